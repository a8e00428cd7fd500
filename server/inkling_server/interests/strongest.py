"""The k strongest entries of each row of a sparse matrix given as columns of pairs.

Shapes: P pairs.
"""

import numpy as np
from numpy.typing import NDArray


def strongest(
    from_P: NDArray[np.integer],
    to_P: NDArray[np.integer],
    strengths_P: NDArray[np.floating],
    k: int | None = None,
) -> NDArray[np.int64]:
    """Which pairs are among the k strongest of the row that they begin at.

    Args:
        from_P: rows.
        to_P: what each is joined with; ties of strength: the lower first.
        strengths_P: the more, the stronger.
        k: of each row; None: all of them.

    Returns:
        Indices of pairs, ordered by row, then the strongest first.
    """
    order_P = np.lexsort((to_P, -strengths_P, from_P))
    if k is None:
        return order_P
    sorted_P = from_P[order_P]
    place_P = np.arange(len(order_P)) - np.searchsorted(sorted_P, sorted_P)
    return order_P[place_P < k]
