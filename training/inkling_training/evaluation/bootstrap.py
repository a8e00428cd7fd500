"""How sure a figure is: what it would have been with other pictures of the same kind.

Pictures are drawn with replacement, a thousand times; a draw is a row of counts, so that a figure
of a draw is a product of matrices. Intervals are of 95 %. They speak of the choice of pictures
only: not of another training run, and not of another kind of pictures.

Source: Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), chapters 13 and 16. The
percentiles are taken of the draws' deviations from their own mean, around the figure itself,
because drawing the same picture twice inflates rank figures and calibration errors.

Legend: B pictures, R draws, T interests.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inkling_training.metrics import Flags, Scores

DRAWS = 1000
SEED = 0
Draws = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Interval:
    """The 95 % interval of a figure, or of a difference."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Ratio:
    """A figure that is the sum of one number a picture over the sum of another.

    Precision is right tags over given tags, recall right over gold, a mean is a sum over ones:
    nearly every figure is such a ratio, so nearly every figure can be compared picture by picture.
    """

    upper_B: Scores
    lower_B: Scores

    @property
    def value(self) -> float:
        """nan where nothing was counted."""
        lower = float(self.lower_B.sum())
        return float(self.upper_B.sum()) / lower if lower else float("nan")

    def of_draws(self, draws_RB: Draws) -> Scores:
        """The figure in each draw, [R]; nan in a draw that counts nothing."""
        lower_R = draws_RB @ self.lower_B
        with np.errstate(invalid="ignore", divide="ignore"):
            values_R: Scores = np.where(lower_R > 0, (draws_RB @ self.upper_B) / lower_R, np.nan)
        return values_R

    def of_rows(self, chosen_B: Flags) -> "Ratio":
        """The same figure of some of the pictures; the others count nothing."""
        return Ratio(self.upper_B * chosen_B, self.lower_B * chosen_B)


def draws(pictures: int, count: int = DRAWS, seed: int = SEED) -> Draws:
    """How often each picture was drawn: [R, B], each row sums to B. Equal arguments, equal draws:
    two reports of the same pictures can be compared draw by draw.
    """
    random = np.random.default_rng(seed)
    shares_B = np.full(pictures, 1 / pictures)
    parts = [
        random.multinomial(pictures, shares_B, size=min(100, count - start)).astype(np.float32)
        for start in range(0, count, 100)
    ]
    return np.concatenate(parts)


def interval(value: float, drawn_R: Scores) -> Interval | None:
    """The interval around `value`; None where too few draws counted anything."""
    known_R = drawn_R[np.isfinite(drawn_R)]
    if not np.isfinite(value) or len(known_R) < len(drawn_R) / 2:
        return None
    low, high = np.percentile(known_R - known_R.mean(), [2.5, 97.5])
    return Interval(value + float(low), value + float(high))


def paired(before: Ratio, after: Ratio, draws_RB: Draws) -> Interval | None:
    """The interval of `after` minus `before`, both measured on the same pictures in one order."""
    difference_R = after.of_draws(draws_RB) - before.of_draws(draws_RB)
    return interval(after.value - before.value, difference_R)


def drawn_tag_precision(scores_BT: Scores, right_BT: Flags, draws_RB: Draws) -> Scores:
    """Mean average precision over interests in each draw, [R].

    A picture drawn twice stands twice in the ranking; an interest without a right picture in a draw
    is left out of that draw's mean.
    """
    total_R, known_R = np.zeros(len(draws_RB)), np.zeros(len(draws_RB))
    for scores_B, right_B in zip(scores_BT.T, right_BT.T, strict=True):
        order_B = np.argsort(-scores_B, kind="stable")
        times_RB = draws_RB[:, order_B]
        right_RB = times_RB * right_B[order_B]
        found_R = right_RB.sum(axis=1)
        precision_RB = np.cumsum(right_RB, axis=1) / np.maximum(np.cumsum(times_RB, axis=1), 1)
        sums_R = (precision_RB * right_RB).sum(axis=1)
        total_R += np.divide(sums_R, found_R, out=np.zeros_like(total_R), where=found_R > 0)
        known_R += found_R > 0
    with np.errstate(invalid="ignore"):
        mean_R: Scores = total_R / known_R
    return mean_R


def drawn_calibration_error(bins_BQ3: Scores, draws_RB: Draws) -> Scores:
    """`metrics.calibration_error` in each draw, [R]."""
    pictures, bins, _ = bins_BQ3.shape
    sums_RQ3 = (draws_RB @ bins_BQ3.reshape(pictures, bins * 3)).reshape(-1, bins, 3)
    distance_R = np.abs(sums_RQ3[:, :, 1] - sums_RQ3[:, :, 2]).sum(axis=1)
    errors_R: Scores = distance_R / np.maximum(1, sums_RQ3[:, :, 0].sum(axis=1))
    return errors_R
