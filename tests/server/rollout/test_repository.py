"""Version folders are what they hold; what a server starts with follows from them."""

import json
from pathlib import Path

import pytest

from inkling_server.rollout.pointer import ModelPointer, PointerFile, version_to_serve
from inkling_server.rollout.repository import list_versions, read_version
from tests.server.gateway_kit import write_model_repository
from tests.serving import make_manifest


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    for version in (1, 2, 10):
        write_model_repository(tmp_path / "models", make_manifest(version))
    return tmp_path / "models"


def vision(repository: Path, version: int) -> Path:
    return repository / "vision_encoder" / str(version)


def test_versions_are_listed_by_number(repository: Path) -> None:
    (repository / "vision_encoder" / "configs").mkdir()
    (repository / "vision_encoder" / "0").mkdir()
    (repository / "text_encoder" / "7").mkdir()
    found = list_versions(repository)
    assert [entry.version for entry in found] == [1, 2, 7, 10]
    assert [entry.is_deployable for entry in found] == [True, True, False, True]
    assert found[0].manifest == make_manifest(1)
    assert found[0].created_time is not None
    assert found[0].calibrated_time is not None


@pytest.mark.parametrize(
    ("file", "problem"),
    [
        ("vision_encoder/2/manifest.json", "no manifest.json"),
        ("vision_encoder/2/calibration.json", "not calibrated"),
        ("text_encoder/2/tokenizer.json", "no tokenizer.json"),
    ],
)
def test_what_is_missing_is_said(repository: Path, file: str, problem: str) -> None:
    (repository / file).unlink()
    entry = read_version(repository, 2)
    assert not entry.is_deployable
    assert problem in entry.problem


@pytest.mark.parametrize("content", ["", "{", "[]", '{"name": 7}'])
@pytest.mark.parametrize("file", ["manifest.json", "calibration.json"])
def test_damaged_file_makes_a_version_undeployable(
    repository: Path, file: str, content: str
) -> None:
    (vision(repository, 2) / file).write_text(content, encoding="utf-8")
    assert file in read_version(repository, 2).problem


def test_folder_copied_without_renumbering_is_noticed(repository: Path) -> None:
    (vision(repository, 2) / "manifest.json").write_bytes(
        (vision(repository, 1) / "manifest.json").read_bytes()
    )
    assert "that of version 1" in read_version(repository, 2).problem


def test_calibration_of_another_model_is_noticed(repository: Path) -> None:
    path = vision(repository, 2) / "calibration.json"
    changed = json.loads(path.read_text()) | {"model_fingerprint": "0f" * 8, "format": 2}
    path.write_text(json.dumps(changed), encoding="utf-8")
    assert "0f" * 8 in read_version(repository, 2).problem


def start(repository: Path, pinned: int | None = None, pointer: ModelPointer | None = None) -> int:
    return version_to_serve(list_versions(repository), pinned, pointer)


def test_first_start_takes_the_greatest_version_that_may_serve(repository: Path) -> None:
    assert start(repository) == 10
    (vision(repository, 10) / "calibration.json").unlink()
    assert start(repository) == 2


def test_pointer_decides_over_greater_versions(repository: Path) -> None:
    assert start(repository, pointer=ModelPointer(1, "x")) == 1


def test_pointer_to_a_version_that_is_gone_does_not_keep_the_server_down(repository: Path) -> None:
    assert start(repository, pointer=ModelPointer(5, "x")) == 10


def test_setting_decides_over_the_pointer(repository: Path) -> None:
    assert start(repository, pinned=2, pointer=ModelPointer(1, "x")) == 2


def test_nothing_to_serve_says_why(repository: Path) -> None:
    for version in (1, 2, 10):
        (vision(repository, version) / "calibration.json").unlink()
    with pytest.raises(FileNotFoundError, match="2: it is not calibrated"):
        start(repository)


def test_pointer_is_read_as_it_was_written(tmp_path: Path) -> None:
    file = PointerFile(tmp_path / "model.json")
    assert file.read() is None
    for pointer in (ModelPointer(1, "a"), ModelPointer(2, "b", 1)):
        file.write(pointer)
        assert file.read() == pointer
    assert [path.name for path in tmp_path.iterdir()] == ["model.json"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"version": "two"}', b"\xff"])
def test_damaged_pointer_counts_as_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.json").write_bytes(content)
    assert PointerFile(tmp_path / "model.json").read() is None
