"""Numbered calibrations: the current one is whole at every moment, older ones stay."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from inkling_server.model_manifest import Curve, load_calibration
from inkling_training.calibration import artifact
from tests.training.calibration.calibration_kit import CALIBRATION

pytestmark = pytest.mark.training


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = artifact.folder_of(tmp_path, 1)
    folder.mkdir(parents=True)
    return folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_first_one_is_number_1(folder: Path, tmp_path: Path) -> None:
    assert artifact.publish(folder, replace(CALIBRATION, format=2)) == 1
    assert names(folder) == ["calibration.json"]
    assert load_calibration(tmp_path).version == 1


def test_older_ones_are_kept_by_their_number(folder: Path, tmp_path: Path) -> None:
    for scale in (1.0, 2.0, 3.0):
        artifact.publish(folder, replace(CALIBRATION, scale=scale, format=2))
    assert names(folder) == ["calibration-1.json", "calibration-2.json", "calibration.json"]
    assert load_calibration(tmp_path).scale == 3.0
    assert json.loads((folder / "calibration-2.json").read_text())["scale"] == 2.0


def test_file_of_format_1_becomes_number_1(folder: Path) -> None:
    (folder / "calibration.json").write_text('{"scale": 5}')
    assert artifact.publish(folder, replace(CALIBRATION, format=2)) == 2
    assert json.loads((folder / "calibration-1.json").read_text()) == {"scale": 5}


def test_no_number_is_ever_used_twice(folder: Path) -> None:
    for _ in range(3):
        artifact.publish(folder, replace(CALIBRATION, format=2))
    # Someone goes back to the first one by hand.
    (folder / "calibration.json").write_bytes((folder / "calibration-1.json").read_bytes())
    first = (folder / "calibration-1.json").read_bytes()
    number = artifact.publish(folder, replace(CALIBRATION, format=2))
    assert (folder / "calibration-1.json").read_bytes() == first
    assert number > 3


def test_failed_write_leaves_the_old_file_and_no_rubbish(folder: Path) -> None:
    artifact.publish(folder, replace(CALIBRATION, format=2))
    before = (folder / "calibration.json").read_bytes()
    with pytest.raises(TypeError):
        artifact.write(folder / "calibration.json", {"scale": object()})
    assert (folder / "calibration.json").read_bytes() == before
    assert names(folder) == ["calibration.json"]


def test_rounded_is_what_comes_back(folder: Path, tmp_path: Path) -> None:
    exact = replace(
        CALIBRATION,
        format=2,
        scale=9.123456789,
        curve=Curve((-1.123456789, 2.0), (-2.0, 1.987654321)),
    )
    kept = artifact.rounded(exact)
    artifact.publish(folder, kept)
    assert load_calibration(tmp_path) == kept
    assert kept.scale == 9.1235
