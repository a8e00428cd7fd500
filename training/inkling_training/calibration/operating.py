"""Precision, recall and coverage over the number of tags and the threshold, and where to stand.

Works on the best few tags of each picture (`figures.Tops`); figures weigh pictures. Two rules
recommend a point:

    best F-beta          at a given number of tags; beta < 1: a wrong tag annoys more than a missing
    target precision     the largest coverage whose precision is at least the target with confidence

The confidence is a one-sided Wilson bound whose number of trials follows from how pictures differ
(tags of one picture are right or wrong together) and from their weights.

Sources: Wilson, "Probable inference, the law of succession, and statistical inference" (1927); the
variance is the linearised one of a ratio (Cochran, "Sampling techniques", 1977).

Legend: B pictures, N ranks.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist

import numpy as np

from inkling_server.model_manifest import OperatingPoint
from inkling_training.calibration.figures import Tops

TOP_N = 5
BETA = 0.5
CONFIDENCE = 0.95
THRESHOLDS = tuple(round(0.01 * step, 2) for step in range(2, 98))
_FINE_STEPS = 1024


class TargetUnreachable(ValueError):
    """No number of tags and no threshold has the precision that was asked for."""


@dataclass(frozen=True, slots=True)
class Point:
    """What an operating point gives.

    Attributes:
        top_n, min_score: the point.
        precision: share of right ones among the given tags that count.
        precision_low: its lower confidence bound.
        recall: share of the right tags that are given, of as many as `top_n` places can hold.
        f_beta: of precision and recall.
        coverage: share of pictures with at least one right tag.
        tags_per_picture: given tags that count.
    """

    top_n: int
    min_score: float
    precision: float
    precision_low: float
    recall: float
    f_beta: float
    coverage: float
    tags_per_picture: float

    def as_dict(self) -> dict[str, float]:
        """Rounded, for files."""
        return {name: round(value, 4) for name, value in asdict(self).items()}

    def recommended(self) -> OperatingPoint:
        """As calibration.json has it."""
        return OperatingPoint(
            self.top_n, self.min_score, round(self.precision, 4), round(self.coverage, 4)
        )


def point(
    tops: Tops,
    top_n: int,
    min_score: float,
    *,
    beta: float = BETA,
    confidence: float = CONFIDENCE,
) -> Point:
    """Figures of one operating point; scores must be strictly above `min_score`."""
    given_BN = tops.scores_BN[:, :top_n].astype(np.float64) > min_score
    given_BN &= tops.counted_BN[:, :top_n]
    hits_B = (given_BN & tops.right_BN[:, :top_n]).sum(axis=1)
    given_B = given_BN.sum(axis=1)
    weights_B = tops.weights_B
    given, hits = float(weights_B @ given_B), float(weights_B @ hits_B)
    precision = hits / given if given else 0.0
    possible = float(weights_B @ np.minimum(top_n, tops.right_count_B))
    recall = hits / possible if possible else 0.0
    low = 0.0
    if given:
        trials = given**2 / float(weights_B**2 @ given_B)
        variance = float(weights_B**2 @ (hits_B - precision * given_B) ** 2) / given**2
        if variance > 0:
            trials = min(trials, precision * (1 - precision) / variance)
        low = _wilson_low(precision, trials, NormalDist().inv_cdf(confidence))
    weight = beta**2
    return Point(
        top_n,
        min_score,
        precision,
        low,
        recall,
        (1 + weight) * precision * recall / max(1e-12, weight * precision + recall),
        min(1.0, float(weights_B @ (hits_B > 0))),
        given,
    )


def curve(
    tops: Tops,
    top_ns: Sequence[int],
    *,
    beta: float = BETA,
    confidence: float = CONFIDENCE,
) -> list[Point]:
    """All points of some numbers of tags over `THRESHOLDS`."""
    return [
        point(tops, top_n, min_score, beta=beta, confidence=confidence)
        for top_n in top_ns
        for min_score in THRESHOLDS
    ]


def best_f_beta(points: Sequence[Point]) -> Point:
    """The point with the best F-beta; the points should share their `top_n`."""
    return max(points, key=lambda each: (each.f_beta, each.min_score))


def best_coverage(points: Sequence[Point], target_precision: float) -> Point:
    """The point of the largest coverage that has the precision with confidence.

    Raises:
        TargetUnreachable: there is none.
    """
    good = [each for each in points if each.precision_low >= target_precision and each.coverage]
    if not good:
        best = max(points, key=lambda each: each.precision_low)
        raise TargetUnreachable(
            f"target precision {target_precision:g}: out of reach; allowed: up to"
            f" {best.precision_low:.3f}, the best lower bound (precision {best.precision:.3f},"
            f" coverage {best.coverage:.3f} at top_n {best.top_n}, min_score {best.min_score:g}),"
            " or more validation pictures, which bring bound and precision together"
        )
    return max(good, key=lambda each: (each.coverage, each.recall, each.precision, -each.top_n))


def precision_at_coverage(tops: Tops, top_n: int, coverage: float) -> float:
    """Precision at the highest threshold that still covers so many pictures; nan where none."""
    low, high = 0, _FINE_STEPS  # in units of 1 / _FINE_STEPS; a lower threshold covers more
    if point(tops, top_n, 0.0).coverage < coverage:
        return float("nan")
    while high - low > 1:
        middle = (low + high) // 2
        covers = point(tops, top_n, middle / _FINE_STEPS).coverage >= coverage
        low, high = (middle, high) if covers else (low, middle)
    return point(tops, top_n, low / _FINE_STEPS).precision


def table(points: Sequence[Point], chosen: Point) -> str:
    """For people: one line a point, the chosen one marked."""
    lines = [
        f"{'top_n':>7} {'min_score':>9} {'precision':>9} {'at least':>9} {'recall':>7}"
        f" {'F-beta':>7} {'coverage':>8} {'tags':>5}"
    ]
    lines += [
        f"{'> ' if each == chosen else '  '}{each.top_n:5} {each.min_score:9.2f}"
        f" {each.precision:9.3f} {each.precision_low:9.3f} {each.recall:7.3f}"
        f" {each.f_beta:7.3f} {each.coverage:8.3f} {each.tags_per_picture:5.2f}"
        for each in points
    ]
    return "\n".join(lines)


def _wilson_low(share: float, trials: float, z: float) -> float:
    centre = share + z**2 / (2 * trials)
    spread = z * math.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2))
    return max(0.0, (centre - spread) / (1 + z**2 / trials))
