"""The whole sequence on drawn pictures: features, train, export, calibrate, tune, evaluate."""

import json
from pathlib import Path

import pytest

from inkling_server.model_manifest import load_calibration, load_manifest
from inkling_training.calibration import calibrate, tune
from inkling_training.evaluation.__main__ import main as evaluate
from inkling_training.export.__main__ import main as export
from inkling_training.small import features, train
from tests.training import tiny_towers
from tests.training.small.drawn import draw

pytestmark = [
    pytest.mark.training,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
    pytest.mark.filterwarnings(
        "ignore::torch.jit.TracerWarning", "ignore:Constant folding:UserWarning"
    ),
]


def test_the_whole_sequence_makes_a_calibrated_and_judged_model(tmp_path: Path) -> None:
    drawn = draw(tmp_path)
    cache, run, out = (tmp_path / name for name in ("cache", "run", "repository"))
    side = str(tiny_towers.SIDE)
    seen = ("--data", str(drawn.data), "--vision", drawn.vision)
    features.main([*seen, "--out", str(cache), "--views", "3", "--size", side])
    train.main(
        [
            *(*drawn.inputs, *drawn.towers, "--cache", str(cache), "--out", str(run)),
            *("--views", "3", "--size", side, "--batch", "16", "--steps", "4"),
            *("--dimensions", "16,8", "--name", "tiny", "--threads", "1"),
        ]
    )
    graph = ("--graph", str(drawn.graph))
    export(["--from", str(run / "model"), "--out", str(out), *graph, "--allow-drift"])
    assert load_manifest(out).dimension == 16
    assert load_manifest(out).name == "tiny"

    measured = ("--model-repository", str(out), *drawn.inputs)
    calibrate.main([*measured])
    tune.main([*measured])
    calibration = load_calibration(out)
    assert 0 <= calibration.ece < 1
    assert calibration.recommended.top_n >= 1

    card = tmp_path / "evaluation.json"
    assert evaluate([*measured, "--json", str(card)]) == 0
    figures = json.loads(card.read_text())
    assert figures["model"].startswith("tiny:1:")
    assert "coco-mini" in figures["tagging, by part"]
