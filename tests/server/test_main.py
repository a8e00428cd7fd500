"""The program's entry: exit codes and what it says; the whole life is tested end to end."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from inkling_server.__main__ import main
from inkling_server.data_dir import DataDir
from tests.server.gateway_kit import write_model_repository


@pytest.fixture(autouse=True)
def root_logger() -> Iterator[None]:
    """Puts the root logger back after `main` has set it up."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers, root.level = handlers, level


@pytest.fixture
def flags(tmp_path: Path) -> list[str]:
    """Enough to get as far as listening."""
    repository = write_model_repository(tmp_path / "models")
    return [
        *("--grpc-port=0", "--http-port=0"),
        f"--data-dir={tmp_path / 'data'}",
        f"--model-repository={repository}",
    ]


def test_wrong_setting_exits_with_2_and_names_it(
    flags: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*flags, "--grpc-port=many"]) == 2
    said = capsys.readouterr().err
    assert "--grpc-port or INKLING_GRPC_PORT" in said
    assert "Traceback" not in said


def test_data_folder_in_use_exits_with_1_and_says_so(
    flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with DataDir.hold(tmp_path / "data"):
        assert main(flags) == 1
    captured = capsys.readouterr()
    assert "in use by the server with pid" in captured.err
    assert captured.out == ""


def test_damaged_calibration_exits_with_1_and_says_what_is_wrong(
    flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (path,) = (tmp_path / "models").glob("vision_encoder/*/calibration.json")
    document = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**document, "tag_offsets": {"cat": 9.0}}), encoding="utf-8")
    assert main(flags) == 1
    said = capsys.readouterr().err
    assert "tag_offsets['cat']: 9.0; allowed: -3 to 3" in said
    assert "Traceback" not in said


def test_unusable_model_exits_with_1_after_saying_where_it_listened(
    flags: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    # The repository has a calibration, but no manifest.
    assert main([*flags, "--log-format=json"]) == 1
    captured = capsys.readouterr()
    [line] = captured.out.splitlines()
    told = json.loads(line)
    assert told["event"] == "listening"
    assert told["grpc_port"] > 0
    assert told["http_port"] > 0
    records = [json.loads(line) for line in captured.err.splitlines() if line.startswith("{")]
    assert records[-1]["level"] == "error"
    assert "cannot serve" in records[-1]["message"]
