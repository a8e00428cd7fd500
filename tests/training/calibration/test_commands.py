"""Both commands from loaded pictures to files, on drawn labels."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from inkling_server.model_manifest import load_calibration, require_same_model
from inkling_training.calibration import calibrate, choose, inputs, tune
from inkling_training.calibration.inputs import Inputs
from inkling_training.held_out import keys_digest
from tests.serving import make_manifest
from tests.training.calibration.calibration_kit import fit_data, given_inputs

pytestmark = pytest.mark.training

OFFSETS_V = np.random.default_rng(3).normal(0, 1.0, 30)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return tmp_path / "models"


@pytest.fixture
def given(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Inputs:
    """What `inputs.load` returns for the rest of the test."""
    made = given_inputs(
        repository / "vision_encoder" / "1",
        fit_data(240, 30, parts=3, offsets_V=OFFSETS_V),
        fit_data(240, 30, seed=1, parts=3, offsets_V=OFFSETS_V, key="other"),
    )
    monkeypatch.setattr(inputs, "load", lambda arguments: made)
    return made


def flags(repository: Path, *more: str) -> list[str]:
    return ["--model-repository", str(repository), *more]


def test_calibrate_writes_what_the_server_reads(
    given: Inputs, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    calibrate.main(flags(repository))
    calibration = load_calibration(repository)
    require_same_model(calibration, make_manifest())
    assert calibration.format == 2
    assert "offsets" in calibration.method
    assert len(calibration.tag_offsets) > 15
    assert calibration.graph_version == given.graph.version
    assert calibration.fitted_on == keys_digest(given.fitting.keys)
    assert "80 part0" in calibration.data
    assert calibration.recommended.top_n == 5
    assert calibration.validation["mean_ap"] > 0.4
    why = json.loads((given.folder / "calibration_choice.json").read_text())
    assert why["chosen"] == calibration.method
    assert set(why["held_out_half"]) == set(why["cross_validation"])
    said = capsys.readouterr().out
    for name in choose.NAMES:
        assert name in said


def test_second_calibration_is_compared_with_the_first(
    given: Inputs, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    calibrate.main(flags(repository, "--method", "sigmoid", "--no-offsets"))
    assert load_calibration(repository).method == "sigmoid"
    calibrate.main(flags(repository, "--method", "sigmoid", "--offsets"))
    second = load_calibration(repository)
    assert second.version == 2
    rows = json.loads((given.folder / "calibration_choice.json").read_text())["held_out_half"]
    assert rows[second.method]["log_loss"] < rows["what is replaced"]["log_loss"]
    assert (given.folder / "calibration-1.json").exists()
    capsys.readouterr()


def test_tune_touches_the_operating_point_and_nothing_else(
    given: Inputs, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    calibrate.main(flags(repository))
    before = json.loads((given.folder / "calibration.json").read_text())
    tune.main(flags(repository, "--target-precision", "0.5"))
    after = json.loads((given.folder / "calibration.json").read_text())
    changed = {name for name in after if after[name] != before.get(name)}
    assert changed == {"recommended", "version"}
    tuning = json.loads((given.folder / "tuning.json").read_text())
    assert tuning["calibration"] == after["version"] == 2
    # Half 0 fitted the offsets: its pictures are scored by folds without them.
    assert tuning["scores"] == "out of fold"
    assert len(tuning["curve"]) == 10 * 96
    assert tuning["recommended"]["precision_low"] >= 0.5
    # What the server tells are figures of the other half.
    assert after["recommended"]["precision"] == tuning["on_the_other_half"]["precision"]
    said = capsys.readouterr().out
    assert re.search(r"^> +\d+", said, re.MULTILINE)


def test_tune_on_other_pictures_takes_the_scores_as_served(
    given: Inputs, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calibrate.main(flags(repository))
    others = replace(given, fitting=fit_data(240, 30, seed=5, offsets_V=OFFSETS_V, key="new"))
    monkeypatch.setattr(inputs, "load", lambda arguments: others)
    tune.main(flags(repository, "--beta", "1", "--top-n", "3"))
    tuning = json.loads((given.folder / "tuning.json").read_text())
    assert tuning["scores"] == "as served"
    assert load_calibration(repository).recommended.top_n == 3


def test_dry_run_writes_nothing(given: Inputs, repository: Path) -> None:
    calibrate.main(flags(repository, "--method", "sigmoid", "--no-offsets"))
    before = {path.name: path.read_bytes() for path in given.folder.iterdir()}
    tune.main(flags(repository, "--dry-run"))
    assert {path.name: path.read_bytes() for path in given.folder.iterdir()} == before


def test_target_out_of_reach_ends_the_command_and_writes_nothing(
    given: Inputs, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    calibrate.main(flags(repository, "--method", "sigmoid", "--no-offsets"))
    before = (given.folder / "calibration.json").read_bytes()
    with pytest.raises(SystemExit) as ended:
        tune.main(flags(repository, "--target-precision", "0.9999"))
    assert ended.value.code == 2
    assert "target precision 0.9999: out of reach; allowed: up to" in capsys.readouterr().err
    assert (given.folder / "calibration.json").read_bytes() == before


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        (("--target-precision", "1.5"), r"in \(0, 1\)"),
        (("--beta", "0"), "greater than 0"),
        (("--top-n", "11"), "1 to 10"),
        (("--confidence", "0.3"), r"in \(0\.5, 1\)"),
    ],
)
def test_wrong_options_are_named(
    given: Inputs,
    repository: Path,
    wrong: tuple[str, str],
    problem: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        tune.main(flags(repository, *wrong))
    assert re.search(problem, capsys.readouterr().err)
