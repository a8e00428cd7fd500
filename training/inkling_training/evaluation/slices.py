"""Is the model worse on some pictures? The same figures by source, by size, by number of tags.

Nothing here knows scores: it groups rows that were counted already.

Legend: B pictures, R draws.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from inkling_training.data import Record
from inkling_training.evaluation.bootstrap import Draws
from inkling_training.evaluation.judged import PictureRows
from inkling_training.evaluation.tagging import ratios, with_interval

FIGURES = ("mAP a picture", "precision", "recall", "F1", "coverage")
_SIDES = (96, 160, 256, 512)  # pixels of the longer side
_TAGS = (1, 2, 4, 8)  # right tags


@dataclass(frozen=True, slots=True)
class Grouping:
    """One way to part the pictures.

    Attributes:
        groups: names in the order in which a person wants them.
        of_pictures: the group of each picture, B of them.
    """

    groups: tuple[str, ...]
    of_pictures: tuple[str, ...]


def groupings(records: Sequence[Record], gold_B: NDArray[np.int64]) -> dict[str, Grouping]:
    """By source, by longer side, and by number of right tags (broad gold)."""
    sources = [record.source for record in records]
    sides = [_longer_side(record.picture) for record in records]
    return {
        "source": Grouping(tuple(sorted(set(sources))), tuple(sources)),
        "longer side": _ranges(sides, _SIDES, "px"),
        "right tags": _ranges(gold_B.tolist(), _TAGS, "right"),
    }


def slices(
    rows: PictureRows, by: dict[str, Grouping], draws_RB: Draws
) -> dict[str, dict[str, Any]]:
    """Figures with intervals of each group of each grouping.

    Args:
        rows: the pictures' answers.
        by: groupings of the same pictures.
        draws_RB: of the same pictures.
    """
    figures = ratios(rows)
    found: dict[str, dict[str, Any]] = {}
    for name, grouping in by.items():
        group_B = np.array(grouping.of_pictures)
        found[name] = {}
        for group in grouping.groups:
            chosen_B = np.asarray(group_B == group)
            found[name][group] = {"pictures": int(chosen_B.sum())} | {
                figure: with_interval(figures[figure].of_rows(chosen_B), draws_RB)
                for figure in FIGURES
            }
    return found


def _ranges(values: Sequence[int], upper: Sequence[int], unit: str) -> Grouping:
    names, low = [], 0
    for high in upper:
        name = f"{low} to {high} {unit}" if low else f"up to {high} {unit}"
        names.append(f"{high} {unit}" if low == high else name)
        low = high + 1
    names.append(f"over {upper[-1]} {unit}")
    of_pictures = [names[int(np.searchsorted(upper, value))] for value in values]
    return Grouping(tuple(name for name in names if name in set(of_pictures)), tuple(of_pictures))


def _longer_side(picture: bytes) -> int:
    """From the header alone, in pixels; 0 where the header is none."""
    try:
        with Image.open(io.BytesIO(picture)) as opened:
            return max(opened.size)
    except (UnidentifiedImageError, OSError):
        return 0
