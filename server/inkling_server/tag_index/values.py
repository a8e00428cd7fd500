"""What a search is asked for, and what it answers."""

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Selection:
    """Which tags one picture gets: the `top_n` best of those that score more than `min_score`.

    Behind them come those of the rows `also`, whatever they score, unless they are among them.
    """

    top_n: int
    min_score: float
    also: tuple[int, ...] = ()


class Hit(NamedTuple):
    """One tag of one picture; `row` is its place in the index.

    `calibrated_logit` is the curve's value at the sum of the three logits; None without a curve.
    """

    row: int
    score: float
    cosine: float
    picture_logit: float
    prior_logit: float
    tag_logit: float = 0.0
    calibrated_logit: float | None = None
