"""How a cosine becomes a calibrated probability: pure maths on arrays.

    logit = scale * cosine + bias + prior          score = float32(1 / (1 + exp(-logit)))

Everything is computed in float64 and only the score is rounded, to the float32 that a client
receives: whoever compares scores (with a threshold, or with each other) must compare what it sees.
This module does not know where embeddings come from, nor how candidates are found.

Shapes: N interests.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inkling_server.model_manifest import Calibration

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


def sigmoid(logits: ArrayLike) -> Float32:
    """Scores in [0, 1] as the client receives them. Never overflows, never decreases."""
    values = np.asarray(logits, np.float64)
    # exp() of a number <= 0 only: no overflow warning, and no loss of precision near 0.
    small = np.exp(-np.abs(values))
    return np.where(values >= 0, 1 / (1 + small), small / (1 + small)).astype(np.float32)
