"""How a cosine becomes a calibrated probability: pure maths on arrays.

    logit = curve(scale * cosine + bias + prior + offset)     score = float32(1 / (1 + exp(-logit)))

Everything is computed in float64 and only the score is rounded, to the float32 that a client
receives: whoever compares scores (with a threshold, or with each other) must compare what it sees.
This module does not know where embeddings come from, nor how candidates are found.

Shapes: N interests.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inkling_server.model_manifest import Calibration, Curve

Float64 = NDArray[np.float64]
Float32 = NDArray[np.float32]


def prior_logits(counts: Sequence[int], calibration: Calibration) -> Float64:
    """What the frequency of each interest adds to its logit, float64 [N].

    The mean over the graph is taken before the cap, so that a graph of equally frequent interests
    has no prior at all, and a new graph does not shift every score.
    """
    if len(counts) == 0:
        return np.zeros(0)
    if calibration.prior_weight == 0:
        return np.zeros(len(counts))
    log_counts_N = np.log(np.asarray(counts, np.float64) + calibration.prior_smoothing)
    shift_N = calibration.prior_weight * (log_counts_N - log_counts_N.mean())
    capped_N: Float64 = np.clip(shift_N, -calibration.prior_cap, calibration.prior_cap)
    return capped_N


def offset_logits(interest_ids: Sequence[str], offsets: Mapping[str, float]) -> Float64:
    """What the calibration adds to the logit of each interest, float64 [N]: 0 where it has none."""
    return np.array([offsets.get(interest_id, 0.0) for interest_id in interest_ids], np.float64)


def final_logits(
    cosines: Float64,
    priors_N: Float64,
    offsets_N: Float64,
    *,
    scale: float,
    bias: float,
    curve: Curve | None = None,
) -> Float64:
    """Logits of [..., N] cosines. The order of the sum is part of the score: it rounds."""
    logits: Float64 = scale * cosines + bias + priors_N + offsets_N
    return logits if curve is None else bent(logits, curve)


def bent(logits: ArrayLike, curve: Curve) -> Float64:
    """The curve's values at some logits. Never decreases, not even by rounding."""
    x = np.asarray(logits, np.float64)
    x_K, y_K = np.asarray(curve.logits), np.asarray(curve.calibrated)
    slopes_K = np.append(np.diff(y_K) / np.diff(x_K), 1.0)
    knot = np.clip(np.searchsorted(x_K, x, side="right") - 1, 0, len(x_K) - 1)
    inside = y_K[knot] + slopes_K[knot] * (x - x_K[knot])
    # A line may round to the far side of its next knot.
    ceilings_K = np.append(y_K[1:], np.inf)
    bent_x = np.minimum(inside, ceilings_K[knot])
    return np.asarray(np.where(x < x_K[0], y_K[0] + (x - x_K[0]), bent_x))


def sigmoid(logits: ArrayLike) -> Float32:
    """Scores in [0, 1] as the client receives them. Never overflows, never decreases."""
    values = np.asarray(logits, np.float64)
    # exp() of a number <= 0 only: no overflow warning, and no loss of precision near 0.
    small = np.exp(-np.abs(values))
    return np.where(values >= 0, 1 / (1 + small), small / (1 + small)).astype(np.float32)
