"""A monotone curve over the logits: isotonic regression, kept as a few knots.

    logits ─► fine bins ─► isotonic regression ─► groups of equally many right pairs ─► knots

A knot stands where the group's *mean probability* was promised, and says which share was right:
logits that are calibrated already give knots on the diagonal, however wide a group is. The curve
rises everywhere by at least a small slope, so that it never makes two tags equal.

The logits must come from parameters that never saw the pictures (out of fold), otherwise the curve
praises what was learned by heart. This module does not know how they came about.

Source: Zadrozny and Elkan, "Transforming classifier scores into accurate multiclass probability
estimates" (2002); scikit-learn's IsotonicRegression.

Legend: R pictures at a time, V interests, L bins, G groups.
"""

from dataclasses import dataclass

import numpy as np
from sklearn.isotonic import IsotonicRegression

from inkling_server.model_manifest import MAX_KNOTS, Calibration, Curve
from inkling_server.scoring import offset_logits, prior_logits
from inkling_training.calibration.fit_data import FitData, Float64, Rows, effective_count
from inkling_training.calibration.platt import softplus_and_sigmoid

LEAST_RIGHT = 8.0  # right pairs, in effective numbers, that a knot needs
LEAST_SLOPE = 0.05
_LOWEST, _HIGHEST, _BINS = -30.0, 15.0, 4500


@dataclass(frozen=True, slots=True)
class Histogram:
    """Weights of pairs by their logit.

    Attributes:
        all_L: of all counted pairs.
        right_L: of the right ones.
        promised_L: sums of weight times promised probability.
        pair_weight: weight of one effective pair: 1 / the effective number of pictures.
    """

    all_L: Float64
    right_L: Float64
    promised_L: Float64
    pair_weight: float


def histogram(data: FitData, rows: Rows, calibration: Calibration) -> Histogram:
    """Bins the logits before the curve of some pictures."""
    prior_V = prior_logits(data.counts, calibration)
    offset_V = offset_logits(data.interest_ids, calibration.tag_offsets)
    shift_V = (calibration.bias + prior_V + offset_V).astype(np.float32)
    sums_3L = np.zeros((3, _BINS))
    for block in data.blocks(rows):
        logits_RV = np.float32(calibration.scale) * block.cosines_RV + shift_V
        _, probability_RV = softplus_and_sigmoid(logits_RV)
        where_RV = np.clip(
            (logits_RV - _LOWEST) * (_BINS / (_HIGHEST - _LOWEST)), 0, _BINS - 1
        ).astype(np.intp)
        weights_RV = block.weights_R[:, np.newaxis] * block.counted_RV
        for place, factor in enumerate((None, block.right_RV, probability_RV)):
            values_RV = weights_RV if factor is None else weights_RV * factor
            sums_3L[place] += np.bincount(where_RV.ravel(), values_RV.ravel(), _BINS)
    weights_B = data.weights_B[rows]
    all_L, right_L, promised_L = sums_3L
    pair_weight = float(weights_B.sum()) / effective_count(weights_B)
    return Histogram(all_L, right_L, promised_L, pair_weight)


def merged(histograms: list[Histogram], pair_weight: float) -> Histogram:
    """The sum of some histograms; `pair_weight` is that of all their pictures together."""
    return Histogram(
        sum((each.all_L for each in histograms), np.zeros(_BINS)),
        sum((each.right_L for each in histograms), np.zeros(_BINS)),
        sum((each.promised_L for each in histograms), np.zeros(_BINS)),
        pair_weight,
    )


def fit(found: Histogram) -> Curve | None:
    """The curve of a histogram; None where there are too few right pairs for two knots."""
    filled_L = found.all_L > 0
    all_L, right_L = found.all_L[filled_L], found.right_L[filled_L]
    promised_L = found.promised_L[filled_L]
    right_count = right_L.sum() / found.pair_weight
    group_count = min(MAX_KNOTS, int(right_count / LEAST_RIGHT))
    if group_count < 2:
        return None
    shares_L = IsotonicRegression(y_min=0.0, y_max=1.0).fit_transform(
        np.arange(len(all_L)), right_L / all_L, sample_weight=all_L
    )
    before_L = np.cumsum(right_L) - right_L / 2
    group_L = np.minimum((before_L / right_L.sum() * group_count).astype(int), group_count - 1)
    all_G = np.bincount(group_L, all_L)
    promised_G = np.bincount(group_L, promised_L)
    kept_G = np.bincount(group_L, shares_L * all_L)
    used_G = all_G > 0
    promise_G = promised_G[used_G] / all_G[used_G]
    # One effective pair believes the promise: a group of right pairs alone is no certainty.
    share_G = (kept_G[used_G] + found.pair_weight * promise_G) / (all_G[used_G] + found.pair_weight)
    x_G, y_G = _logit(promise_G), _logit(share_G)
    apart_G = np.append(True, np.diff(x_G) > 1e-3)
    x_G, y_G = x_G[apart_G], y_G[apart_G]
    if len(x_G) < 2:
        return None
    rising_G = np.maximum.accumulate(y_G - LEAST_SLOPE * x_G) + LEAST_SLOPE * x_G
    return Curve(tuple(x_G.tolist()), tuple(rising_G.tolist()))


def _logit(probabilities: Float64) -> Float64:
    inside = np.clip(probabilities, 1e-12, 1 - 1e-12)
    logits: Float64 = np.log(inside) - np.log1p(-inside)
    return logits
