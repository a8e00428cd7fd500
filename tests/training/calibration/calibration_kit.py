"""Synthetic pictures whose labels were drawn with known parameters."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from inkling_server.interests.graph import Edges, Interest, make_snapshot
from inkling_server.model_manifest import Calibration, OperatingPoint
from inkling_training.calibration.fit_data import FitData, Flags, Float64
from inkling_training.calibration.inputs import Inputs
from tests.serving import make_manifest

SCALE, BIAS = 9.0, -3.0
CALIBRATION = Calibration(
    scale=SCALE,
    bias=BIAS,
    prior_weight=0.0,
    prior_cap=0.7,
    prior_smoothing=5.0,
    calibrated_time=datetime(2026, 11, 1, tzinfo=UTC),
    split="drawn",
    ece=0.0,
    recommended=OperatingPoint(5, 0.5, 0.0, 0.0),
)


def fit_data(
    picture_count: int = 400,
    interest_count: int = 50,
    *,
    seed: int = 0,
    scale: float = SCALE,
    bias: float = BIAS,
    offsets_V: Float64 | None = None,
    bend: Callable[[Float64], Float64] | None = None,
    parts: int = 1,
    labelled_V: Flags | None = None,
    edges: Edges | None = None,
    key: str = "picture",
) -> FitData:
    """Labels drawn with sigmoid(bend(scale * cosine + bias + offset))."""
    rng = np.random.default_rng(seed)
    cosines_BV = np.clip(rng.normal(0, 0.25, (picture_count, interest_count)), -1, 1)
    logits_BV = scale * cosines_BV + bias + (0.0 if offsets_V is None else offsets_V)
    if bend is not None:
        logits_BV = bend(logits_BV)
    right_BV = rng.random(logits_BV.shape) < 1 / (1 + np.exp(-logits_BV))
    return FitData(
        keys=tuple(f"{key}/{number:04}" for number in range(picture_count)),
        sources=tuple(f"part{number % parts}" for number in range(picture_count)),
        interests=tuple(
            Interest(f"i{number:03}", f"interest {number}", (), number)
            for number in range(interest_count)
        ),
        edges=Edges.none() if edges is None else edges,
        cosines_BV=cosines_BV.astype(np.float32),
        right_BV=right_BV,
        counted_BV=np.ones_like(right_BV),
        weights_B=np.full(picture_count, 1 / picture_count),
        labelled_V=np.ones(interest_count, dtype=bool) if labelled_V is None else labelled_V,
    )


def given_inputs(folder: Path, fitting: FitData, judging: FitData) -> Inputs:
    """As the commands load them; `folder` is that of the model version."""
    folder.mkdir(parents=True, exist_ok=True)
    graph = make_snapshot(fitting.interests, datetime(2026, 11, 1, tzinfo=UTC))
    return Inputs(make_manifest(), folder, graph, fitting, judging)
