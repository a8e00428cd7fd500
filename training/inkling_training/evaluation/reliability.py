"""Does a score of 0.7 mean seven of ten? Over all pairs, and interest by interest.

Everything is read off the sums of `judged`. Pairs of a picture and an interest that nobody can
judge are left out; unlabelled means wrong, so a score that looks too high may be a label that
nobody wrote.

Legend: B pictures, V interests, Q bins of scores, H fine bins of logits.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from inkling_server.interests.graph import Interest
from inkling_training.evaluation.judged import LIKELY, Judged, fine_bin
from inkling_training.metrics import Scores, calibration_error, equal_mass

LEAST_FOR_TAG = 5  # pictures that an interest promises, or has, before its calibration is reported
LEAST_FOR_BIN = 10  # pairs, before a bin is worth a dot in the diagram


def calibration(judged: Judged, interests: Sequence[Interest]) -> dict[str, Any]:
    """Errors, the reliability diagram, and the calibration of each interest with enough data."""
    rows, sums = judged.rows, judged.sums
    likely_from = int(fine_bin(np.array([LIKELY]))[0]) + 1
    return {
        "ECE all pairs": calibration_error(rows.bins_BQ3.sum(axis=0)),
        "ECE pairs above .05": calibration_error(rows.likely_BQ3.sum(axis=0)),
        "adaptive ECE all pairs": calibration_error(equal_mass(sums.logits_H3)),
        "adaptive ECE pairs above .05": calibration_error(equal_mass(sums.logits_H3[likely_from:])),
        "Brier score": float(rows.squared_B.sum() / max(1, rows.pairs_B.sum())),
        "mean score": float(sums.logits_H3[:, 1].sum() / max(1.0, sums.logits_H3[:, 0].sum())),
        "share right": float(sums.logits_H3[:, 2].sum() / max(1.0, sums.logits_H3[:, 0].sum())),
        "reliability": _diagram(rows.bins_BQ3.sum(axis=0)),
        "reliability, adaptive, above .05": _diagram(equal_mass(sums.logits_H3[likely_from:])),
        "by tag": by_tag(judged, interests),
    }


def by_tag(judged: Judged, interests: Sequence[Interest]) -> dict[str, Any]:
    """Calibration of each interest that promises or has `LEAST_FOR_TAG` pictures.

    Promised is the sum of its scores, over-confidence the mean score minus the share of right
    pictures. `z` is (promised - right) over the standard deviation that right ones would have if
    the scores were true, sqrt(sum of score (1 - score)); above 2 the interest is over-confident,
    below -2 under-confident, and neither is luck.
    """
    pairs_V, promised_V, right_V, spread_V = judged.sums.tags_V4.T
    chosen = np.flatnonzero(np.maximum(promised_V, right_V) >= LEAST_FOR_TAG)
    z_V = (promised_V - right_V) / np.sqrt(np.maximum(spread_V, 1e-12))
    pairs_V = np.maximum(pairs_V, 1)
    worst = chosen[np.argsort(-np.abs(z_V[chosen]), kind="stable")]
    errors = [calibration_error(judged.sums.tag_bins_VQ3[row]) for row in worst]
    z = z_V[worst]
    return {
        "tags": len(worst),
        "mean ECE": float(np.mean(errors)) if errors else None,
        "share over-confident": float((z > 2).mean()) if len(z) else None,
        "share under-confident": float((z < -2).mean()) if len(z) else None,
        "columns": {
            "phrase": [interests[row].phrase for row in worst],
            "promised": promised_V[worst].round(1).tolist(),
            "right": right_V[worst].astype(int).tolist(),
            "over-confidence": ((promised_V - right_V) / pairs_V)[worst].round(5).tolist(),
            "ECE": np.round(errors, 5).tolist(),
            "z": z.round(2).tolist(),
        },
    }


def _diagram(sums_Q3: Scores) -> list[dict[str, float]]:
    return [
        {"pairs": int(pairs), "mean score": promised / pairs, "share right": right / pairs}
        for pairs, promised, right in sums_Q3.tolist()
        if pairs >= LEAST_FOR_BIN
    ]
