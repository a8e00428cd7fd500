"""Figures of merit on plain arrays: no model, no data, no files.

Legend: B pictures, V interests, Q bins of scores; `scores_BV` are probabilities, `gold_BV` bool,
`counted_BV` bool: False where nobody can say whether the interest is right, and the pair is left
out.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]
Flags = NDArray[np.bool_]
BINS = 15  # of scores between 0 and 1, for calibration


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
    return figures_of_counts(given_BV.sum(axis=1), right_BV.sum(axis=1), gold_BV.sum(axis=1))


def figures_of_counts(
    given_B: NDArray[np.int64], hits_B: NDArray[np.int64], gold_B: NDArray[np.int64]
) -> TaggingFigures:
    """The same from each picture's number of given, rightly given, and right tags."""
    precision = hits_B.sum() / max(1, given_B.sum())
    recall = hits_B.sum() / max(1, gold_B.sum())
    f1 = 2 * precision * recall / max(1e-12, precision + recall)
    coverage = (hits_B > 0).mean()
    per_picture = given_B.sum() / len(given_B)
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


def bin_sums(scores: Scores, gold: Flags, bins: int = BINS) -> Scores:
    """[Q, 3]: over equally wide bins, the number of pairs, their scores' sum, the right ones."""
    which = np.minimum((scores * bins).astype(int), bins - 1)
    return np.stack(
        [
            np.bincount(which, minlength=bins).astype(np.float64),
            np.bincount(which, weights=scores, minlength=bins),
            np.bincount(which, weights=gold.astype(float), minlength=bins),
        ],
        axis=1,
    )


def calibration_error(sums_Q3: Scores) -> float:
    """Mean distance between score and share of right ones over bins, weighted by their size."""
    return float(np.abs(sums_Q3[:, 1] - sums_Q3[:, 2]).sum() / max(1, sums_Q3[:, 0].sum()))


def expected_calibration_error(scores: Scores, gold: Flags, bins: int = BINS) -> float:
    """`calibration_error` over equally wide bins.

    Source: Guo et al., "On Calibration of Modern Neural Networks" (2017).
    """
    return calibration_error(bin_sums(scores, gold, bins))


def equal_mass(sums_H3: Scores, bins: int = BINS) -> Scores:
    """Joins neighbouring fine bins into at most `bins` of nearly equally many pairs: [Q, 3].

    With `calibration_error` this is the adaptive calibration error, where crowded scores get
    narrow bins. Source: Nixon et al., "Measuring Calibration in Deep Learning" (2019).
    """
    total = sums_H3[:, 0].sum()
    if total == 0:
        return np.zeros((0, 3))
    middles_H = np.cumsum(sums_H3[:, 0]) - sums_H3[:, 0] / 2
    which_H = np.minimum((middles_H / total * bins).astype(int), bins - 1)
    merged_Q3 = np.zeros((bins, 3))
    np.add.at(merged_Q3, which_H, sums_H3)
    return merged_Q3[merged_Q3[:, 0] > 0]


def recall_at(similarities: Scores, right: Flags, k: int) -> float:
    """Share of rows with a right column among their `k` most similar ones."""
    best = np.argsort(-similarities, axis=1, kind="stable")[:, :k]
    return float(np.take_along_axis(right, best, axis=1).any(axis=1).mean())


def worst_ranks(similarities: Scores, right: Flags) -> NDArray[np.int64]:
    """Rank of each row's most similar right column, from 1; wrong columns as similar go first.

    So a model for which everything is alike gets the worst rank, not the best.

    Args:
        similarities: one row a query.
        right: which columns answer it, at least one a row.
    """
    best = np.where(right, similarities, -np.inf).max(axis=1, keepdims=True)
    ranks: NDArray[np.int64] = ((similarities >= best) & ~right).sum(axis=1) + 1
    return ranks
