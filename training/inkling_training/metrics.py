"""Figures of merit on plain arrays: no model, no data, no files.

Legend: B pictures, V interests; `scores_BV` are probabilities, `gold_BV` bool, `counted_BV` bool:
False where nobody can say whether the interest is right, and the pair is left out.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class TaggingFigures:
    """What a person would see at an operating point.

    Attributes:
        tags_per_picture: tags given, on average.
        precision: share of the given tags that are right.
        recall: share of the right tags that are given.
        f1: harmonic mean of the two.
        coverage: share of pictures with at least one right tag.
    """

    tags_per_picture: float
    precision: float
    recall: float
    f1: float
    coverage: float


def given(scores_BV: Scores, top_n: int, min_score: float) -> Flags:
    """Which tags the server would answer: the `top_n` best, strictly above `min_score`."""
    top_n = min(top_n, scores_BV.shape[1])
    best_BN = np.argpartition(-scores_BV, top_n - 1, axis=1)[:, :top_n]
    given_BV = np.zeros(scores_BV.shape, dtype=bool)
    np.put_along_axis(
        given_BV, best_BN, np.take_along_axis(scores_BV, best_BN, axis=1) > min_score, axis=1
    )
    return given_BV


def tagging_figures(
    given_BV: Flags, gold_BV: Flags, counted_BV: Flags | None = None
) -> TaggingFigures:
    """Micro-averaged over all pictures."""
    if counted_BV is not None:
        given_BV, gold_BV = given_BV & counted_BV, gold_BV & counted_BV
    right_BV = given_BV & gold_BV
    precision = right_BV.sum() / max(1, given_BV.sum())
    recall = right_BV.sum() / max(1, gold_BV.sum())
    f1 = 2 * precision * recall / max(1e-12, precision + recall)
    coverage = right_BV.any(axis=1).mean()
    per_picture = given_BV.sum() / len(given_BV)
    return TaggingFigures(*(float(x) for x in (per_picture, precision, recall, f1, coverage)))


def average_precision(scores: Scores, gold: Flags) -> float:
    """Mean of the precisions at each right item, best score first; nan without a right item."""
    ranked = gold[np.argsort(-scores, kind="stable")]
    if not ranked.any():
        return float("nan")
    precisions = np.cumsum(ranked) / np.arange(1, len(ranked) + 1)
    return float(precisions[ranked].mean())


def mean_average_precision(scores_BV: Scores, gold_BV: Flags, least: int = 1) -> float:
    """Mean over rows with at least `least` right items."""
    rows = [row for row in range(len(gold_BV)) if gold_BV[row].sum() >= least]
    if not rows:
        return float("nan")
    return float(np.mean([average_precision(scores_BV[row], gold_BV[row]) for row in rows]))


def expected_calibration_error(scores: Scores, gold: Flags, bins: int = 15) -> float:
    """Mean distance between score and share of right ones, over equally wide bins, by size.

    Source: Guo et al., "On Calibration of Modern Neural Networks" (2017).
    """
    which = np.minimum((scores * bins).astype(int), bins - 1)
    sizes = np.bincount(which, minlength=bins)
    promised = np.bincount(which, weights=scores, minlength=bins)
    kept = np.bincount(which, weights=gold.astype(float), minlength=bins)
    return float(np.abs(promised - kept).sum() / max(1, sizes.sum()))


def recall_at(similarities: Scores, right: Flags, k: int) -> float:
    """Share of rows with a right column among their `k` most similar ones."""
    best = np.argsort(-similarities, axis=1, kind="stable")[:, :k]
    return float(np.take_along_axis(right, best, axis=1).any(axis=1).mean())
