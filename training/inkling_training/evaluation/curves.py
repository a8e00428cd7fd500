"""How the figures change with the number of tags and the threshold, and without any threshold.

All of it is read off what `judged` kept, so no pair is looked at again. Broad gold, pairs that
nobody can judge left out, micro-averaged: at the operating point the curves give the report's
figures.

Legend: B pictures, K best interests kept, N tags at most, H fine bins of logits.
"""

from typing import Any

import numpy as np

from inkling_training.evaluation.judged import FINE, PairSums, PictureRows, fine_edges
from inkling_training.metrics import Scores

THRESHOLDS = tuple(round(0.02 * step, 2) for step in range(50))
_PR_POINTS = 120


def by_n_and_threshold(
    rows: PictureRows, extra_threshold: float | None = None
) -> dict[str, list[Any]]:
    """Precision, recall, F1, coverage and tags a picture, one list a N, one number a threshold.

    Args:
        rows: the pictures.
        extra_threshold: the operating point's, so that it is on the curve.
    """
    extra = [] if extra_threshold is None else [extra_threshold]
    thresholds = sorted({*THRESHOLDS, *extra})
    tops = list(range(1, rows.best_BK.shape[1] + 1))
    curves: dict[str, list[Any]] = {
        "N": tops,
        "threshold": thresholds,
        **{name: [] for name in ("precision", "recall", "F1", "coverage", "tags_per_picture")},
    }
    gold = max(1, rows.gold_B.sum())
    for top in tops:
        figures = []
        for threshold in thresholds:
            shown_BN = rows.best_counted_BK[:, :top] & (rows.best_scores_BK[:, :top] > threshold)
            right_BN = shown_BN & rows.best_right_BK[:, :top]
            shown, right = shown_BN.sum(), right_BN.sum()
            figures.append(
                (
                    right / shown if shown else float("nan"),  # nothing given: nothing is wrong
                    right / gold,
                    2 * right / (shown + gold),
                    right_BN.any(axis=1).mean(),
                    shown / len(rows),
                )
            )
        names = ("precision", "recall", "F1", "coverage", "tags_per_picture")
        for name, values in zip(names, zip(*figures, strict=True), strict=True):
            curves[name].append([round(float(value), 4) for value in values])
    return curves


def precision_recall(sums: PairSums) -> dict[str, Any]:
    """Precision and recall of all pairs above each score, without a limit to the tags a picture.

    Steps of 0.02 in the logit, thinned to a hundred points of like distance in recall.
    """
    pairs_H = np.cumsum(sums.logits_H3[::-1, 0])
    right_H = np.cumsum(sums.logits_H3[::-1, 2])
    known_H = pairs_H > 0
    precision = right_H[known_H] / pairs_H[known_H]
    recall = right_H[known_H] / max(1.0, right_H[-1])
    score = fine_edges()[::-1][known_H]
    steps = np.diff(recall, prepend=0.0)
    places = np.unique(np.searchsorted(recall, np.linspace(0, 1, _PR_POINTS)))
    places = places[places < len(recall)]
    return {
        "average precision": float((steps * precision).sum()),
        "precision": precision[places].tolist(),
        "recall": recall[places].tolist(),
        "score": score[places].tolist(),
    }


def score_histogram(sums: PairSums, bins: int = 50) -> dict[str, list[float]]:
    """Numbers of right and of wrong pairs by score."""
    edges = np.linspace(0, 1, bins + 1)
    middles_H = _middles()
    which_H = np.minimum((middles_H * bins).astype(int), bins - 1)
    right = np.bincount(which_H, weights=sums.logits_H3[:, 2], minlength=bins)
    pairs = np.bincount(which_H, weights=sums.logits_H3[:, 0], minlength=bins)
    return {"from": edges[:-1].tolist(), "right": right.tolist(), "wrong": (pairs - right).tolist()}


def _middles() -> Scores:
    logits_H = np.log(fine_edges() / (1 - fine_edges()))
    step = logits_H[1] - logits_H[0]
    assert len(logits_H) == FINE
    middles_H: Scores = 1 / (1 + np.exp(-(logits_H + step / 2)))
    return middles_H
