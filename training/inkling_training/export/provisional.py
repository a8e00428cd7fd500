"""A calibration from a model's own loss alone: enough to start a server, not to trust a number.

    SigLIP, trained with a sigmoid:   score = sigmoid(scale * cosine + bias), its own two numbers
    CLIP, trained with a softmax:     score = sigmoid(scale * cosine - A)

A softmax says how a phrase does against others, and gives a single pair no probability. Its odds
are exp(scale * cosine) against the sum over all other phrases; A is the logarithm of that sum over
the graph's phrases, averaged over pictures, so the score is what the softmax would say of a picture
whose competition is average. Nothing here was fitted on labelled pictures: `split` says so, the
error of calibration is given as 1 (the worst there is), precision and coverage as 0, and no tag is
cut off. `inkling-calibrate` replaces it.

Legend: B pictures, V phrases.
"""

import math
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from inkling_server.model_manifest import Calibration, OperatingPoint
from inkling_training.models.loaded import LoadedModel

SPLIT = "none: provisional, from the model's own logit scale"
NOTE = (
    "calibration.json is PROVISIONAL: scores come from the loss that the model was trained with, "
    "not from labelled pictures. Run inkling-calibrate before you trust a score or a threshold."
)


def provisional_calibration(
    model: LoadedModel, cosines_BV: NDArray[np.float32], vocabulary: int, fingerprint: str
) -> Calibration:
    """Makes one, clearly marked.

    Args:
        model: with its logit scale.
        cosines_BV: between sample pictures and phrases drawn evenly from the graph.
        vocabulary: how many phrases the whole graph has.
        fingerprint: of the exported version.

    Raises:
        ValueError: the model does not say its logit scale.
    """
    scale = model.logit_scale
    if scale is None or not scale > 0:
        raise ValueError(f"{model.name} has no logit scale to start from: run inkling-calibrate")
    bias = model.logit_bias
    if bias is None:
        logits_BV = scale * cosines_BV.astype(np.float64)
        peak_B1 = logits_BV.max(axis=1, keepdims=True)
        sums_B = np.log(np.exp(logits_BV - peak_B1).sum(axis=1)) + peak_B1[:, 0]
        bias = -float(sums_B.mean()) - math.log(vocabulary / cosines_BV.shape[1])
    return Calibration(
        scale=round(scale, 4),
        bias=round(bias, 4),
        prior_weight=0.0,
        prior_cap=0.0,
        prior_smoothing=1.0,
        calibrated_time=datetime.now(UTC).replace(microsecond=0),
        split=SPLIT,
        ece=1.0,
        recommended=OperatingPoint(top_n=5, min_score=0.0, precision=0.0, coverage=0.0),
        format=2,
        model_fingerprint=fingerprint,
        method="sigmoid of the loss" if model.logit_bias is not None else "softmax's odds",
        data="none",
    )
