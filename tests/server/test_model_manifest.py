"""Reading calibrations: of both formats, damaged ones, and those of other models."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from inkling_server.model_manifest import (
    MAX_KNOTS,
    Calibration,
    CalibrationUnusable,
    Curve,
    load_calibration,
    require_same_model,
)
from tests.serving import CALIBRATION, make_manifest

FORMAT_1 = {
    "scale": 21.2,
    "bias": -8.7,
    "prior_weight": 0.5,
    "prior_cap": 0.7,
    "prior_smoothing": 5.0,
    "calibrated_time": "2026-11-25T19:37:59Z",
    "split": "some pictures",
    "ece": 0.001,
    "recommended": {"top_n": 5, "min_score": 0.33, "precision": 0.6, "coverage": 0.75},
}


def written(root: Path, document: dict[str, Any]) -> Path:
    folder = root / "vision_encoder" / "1"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "calibration.json").write_text(json.dumps(document), encoding="utf-8")
    return root


def test_format_1_has_neither_curve_nor_offsets_and_fits_any_model(tmp_path: Path) -> None:
    calibration = load_calibration(written(tmp_path, FORMAT_1))
    assert (calibration.format, calibration.version) == (1, 1)
    assert calibration.scale == 21.2
    assert calibration.curve is None
    assert calibration.tag_offsets == {}
    require_same_model(calibration, make_manifest())


def test_format_2_comes_back_as_it_was_written(tmp_path: Path) -> None:
    calibration = replace(
        CALIBRATION,
        format=2,
        version=7,
        model_fingerprint="0123456789abcdef",
        graph_version="g1",
        curve=Curve((-2.0, 3.0), (-1.5, 2.0)),
        tag_offsets={"cat": 0.25},
        validation={"log_loss": 50.5},
    )
    document = TypeAdapter(Calibration).dump_python(calibration, mode="json")
    assert load_calibration(written(tmp_path, document)) == calibration


def test_calibration_names_the_model_it_is_for() -> None:
    manifest = make_manifest()
    require_same_model(replace(CALIBRATION, model_fingerprint=manifest.fingerprint), manifest)
    with pytest.raises(CalibrationUnusable) as refused:
        require_same_model(replace(CALIBRATION, model_fingerprint="feed"), manifest)
    assert "feed" in str(refused.value)
    assert manifest.fingerprint in str(refused.value)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"format": 3}, "format"),
        ({"scale": 0.0}, "scale 0.0"),
        ({"tag_offsets": {"cat": 3.5}}, "tag_offsets\\['cat'\\]: 3.5; allowed: -3 to 3"),
        ({"tag_offsets": {"cat": math.nan}}, "tag_offsets"),
        ({"curve": {"logits": [0, 1, 1], "calibrated": [0, 1, 2]}}, "curve.logits: not rising"),
        ({"curve": {"logits": [0, 1], "calibrated": [0, 0]}}, "curve.calibrated: not rising"),
        ({"curve": {"logits": [0], "calibrated": [0]}}, "2 to 32"),
        ({"curve": {"logits": [0, 1], "calibrated": [0, 1, 2]}}, "equally many"),
        ({"recommended": None}, "recommended"),
    ],
)
def test_unusable_file_says_what_is_wrong(
    tmp_path: Path, change: dict[str, Any], problem: str
) -> None:
    with pytest.raises(CalibrationUnusable, match=problem):
        load_calibration(written(tmp_path, {**FORMAT_1, **change}))


def test_curve_has_a_bound_on_its_knots() -> None:
    knots = tuple(float(knot) for knot in range(MAX_KNOTS + 1))
    assert len(Curve(knots[:-1], knots[:-1]).logits) == MAX_KNOTS
    with pytest.raises(ValueError, match="2 to 32"):
        Curve(knots, knots)


def test_missing_calibration_is_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"calibration\.json"):
        load_calibration(tmp_path)
