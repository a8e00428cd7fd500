"""Cuts work whose size is known row by row into pieces that fit into memory. Knows no rows."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray


def blocks(sizes_N: NDArray[np.int64], limit: int) -> Iterator[tuple[int, int]]:
    """Ranges (start, stop) of rows whose sizes sum to at most `limit`; at least one row in each.

    Args:
        sizes_N: of each row, >= 0.
        limit: of one range.
    """
    totals_N = np.cumsum(sizes_N)
    start = 0
    while start < len(sizes_N):
        before = totals_N[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(totals_N, before + limit, side="right")))
        yield start, stop
        start = stop
