"""Platt scaling with a prior: the scale, bias and weight of the prior that explain the labels best.

Minimises the weighted cross-entropy over counted pairs. The prior's cap is not fitted: it bounds
how far frequency may ever move a score, so that the picture has the last word.

Source: Platt, "Probabilistic outputs for support vector machines" (1999).

Legend: R pictures at a time, V interests.
"""

from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from inkling_server.model_manifest import Calibration, OperatingPoint
from inkling_server.scoring import prior_logits
from inkling_training.calibration.fit_data import FitData, Float64, Rows

PRIOR_CAP = 0.7  # logits: at most doubles or halves the odds
PRIOR_SMOOTHING = 5.0
GREATEST_PRIOR_WEIGHT = 0.5
SPLIT = "validation pictures whose key has an even CRC-32; everyday photos weigh half"

_BOUNDS = ((1.0, 60.0), (-30.0, 0.0), (0.0, GREATEST_PRIOR_WEIGHT))
_NOWHERE = OperatingPoint(5, 0.5, 0.0, 0.0)


def fit(data: FitData, rows: Rows, start: Calibration | None = None) -> Calibration:
    """The parameters with the least cross-entropy on some pictures; the operating point is open.

    Args:
        data: the pairs.
        rows: pictures that may be looked at.
        start: where to begin; what another fold found saves half the time.
    """
    begin = [16.0, -8.0, 0.1]
    if start is not None:
        begin = [start.scale, start.bias, start.prior_weight]
    found = minimize(
        lambda parameters: _loss(data, rows, parameters),
        np.array(begin),
        jac=True,
        method="L-BFGS-B",
        bounds=_BOUNDS,
    )
    return _calibration(found.x)


def _calibration(parameters: Float64) -> Calibration:
    scale, bias, prior_weight = (float(value) for value in parameters)
    now = datetime.now(UTC).replace(microsecond=0)
    return Calibration(
        scale, bias, prior_weight, PRIOR_CAP, PRIOR_SMOOTHING, now, SPLIT, 0.0, _NOWHERE, format=2
    )


def _loss(data: FitData, rows: Rows, parameters: Float64) -> tuple[float, Float64]:
    """Nats a picture, and the gradient."""
    candidate = _calibration(parameters)
    prior_V = prior_logits(data.counts, candidate)
    shift_V = (candidate.bias + prior_V).astype(np.float32)
    log_counts_V = np.log(np.asarray(data.counts, np.float64) + PRIOR_SMOOTHING)
    # Where the cap holds, the weight changes nothing.
    slope_V = np.where(
        np.abs(candidate.prior_weight * (log_counts_V - log_counts_V.mean())) < PRIOR_CAP,
        log_counts_V - log_counts_V.mean(),
        0.0,
    ).astype(np.float32)
    total, gradient = 0.0, np.zeros(3)
    for block in data.blocks(rows):
        logits_RV = np.float32(candidate.scale) * block.cosines_RV + shift_V
        softplus_RV, probability_RV = softplus_and_sigmoid(logits_RV)
        terms_RV = (softplus_RV - block.right_RV * logits_RV) * block.counted_RV
        excess_RV = (probability_RV - block.right_RV) * block.counted_RV
        total += float(block.weights_R @ terms_RV.sum(axis=1, dtype=np.float64))
        for place, factor in enumerate((block.cosines_RV, None, slope_V)):
            sums_RV = excess_RV if factor is None else excess_RV * factor
            gradient[place] += block.weights_R @ sums_RV.sum(axis=1, dtype=np.float64)
    weight = data.weights_B[rows].sum()
    return total / weight, gradient / weight


def softplus_and_sigmoid(
    logits: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """ln(1 + e^x) and 1 / (1 + e^-x) from one exponential, without overflow."""
    small = np.exp(-np.abs(logits))
    softplus = np.maximum(logits, 0) + np.log1p(small)
    sigmoid = np.where(logits >= 0, np.float32(1), small) / (1 + small)
    return softplus, sigmoid
