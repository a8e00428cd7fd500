"""Refreshes are remembered as they were; what cannot be read costs nothing else."""

import json
import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from inkling_server.errors import (
    EncoderDown,
    InklingError,
    RefreshCancelled,
    RefreshFailed,
    RefreshRefused,
)
from inkling_server.interests.graph import Interest
from inkling_server.interests.stages import Stage
from inkling_server.refresh.operation import Progress, RefreshOperation, RefreshSummary
from inkling_server.refresh.operation_files import OperationFiles, new_name

NOW = datetime(2026, 11, 22, 9, 30, 0, 123456, tzinfo=UTC)
TRENDING = Interest(
    "latte-art",
    "latte art",
    ("latteart",),
    12,
    trend_z=4.5,
    is_trending=True,
    rank=0.25,
    topic=3,
    first_seen=NOW - timedelta(days=3),
    extractors=("rake", "tfidf"),
)
SUMMARY = RefreshSummary(
    graph_version="g2", base_version="g1", item_count=9, edge_count=7, trending=(TRENDING,)
)


def operation(number: int = 0, **fields: object) -> RefreshOperation:
    made = RefreshOperation(
        name=f"operations/refresh-2026{number:04}",
        create_time=NOW + timedelta(seconds=number),
        base_version="g1",
        feed="content",
        progress=Progress(Stage.READING, 5, 9, 12.5),
        stage_s={Stage.LOADING: 1.25, Stage.READING: 3.5},
        end_time=NOW + timedelta(minutes=1),
    )
    return replace(made, **fields)  # type: ignore[arg-type]


def same(one: RefreshOperation, other: RefreshOperation) -> bool:
    """Equal, with errors compared by kind and text."""

    def kind(error: InklingError | None) -> tuple[str, str]:
        return type(error).__name__, str(error)

    return kind(one.error) == kind(other.error) and replace(one, error=None) == replace(
        other, error=None
    )


@pytest.fixture
def files(tmp_path: Path) -> OperationFiles:
    return OperationFiles(tmp_path / "operations")


@pytest.mark.parametrize(
    "ended",
    [
        operation(summary=SUMMARY),
        operation(error=RefreshFailed("it was not to be")),
        operation(error=RefreshRefused("too few")),
        operation(error=EncoderDown("no answer")),
        operation(error=RefreshCancelled()),
        operation(stage_s={}, progress=Progress()),
    ],
)
def test_every_kind_of_end_survives(files: OperationFiles, ended: RefreshOperation) -> None:
    files.save(ended)
    (found,) = files.load()
    assert same(found, ended)


def test_refresh_that_its_server_did_not_finish_has_failed(files: OperationFiles) -> None:
    files.save(operation(end_time=None))
    (found,) = files.load()
    assert found.is_done
    assert isinstance(found.error, RefreshFailed)
    assert "server ended" in str(found.error)
    (again,) = files.load()
    assert again.end_time == found.end_time


def test_saving_again_replaces(files: OperationFiles) -> None:
    files.save(operation(end_time=None))
    files.save(operation(summary=SUMMARY))
    (found,) = files.load()
    assert found.summary == SUMMARY


def test_oldest_leave_when_there_are_too_many(tmp_path: Path) -> None:
    files = OperationFiles(tmp_path, keep_count=3)
    for number in (4, 1, 3, 2, 5):
        files.save(operation(number))
    assert [o.name[-1] for o in files.load()] == ["3", "4", "5"]


def test_deleting_twice_is_fine(files: OperationFiles) -> None:
    files.save(operation())
    files.delete(operation().name)
    files.delete(operation().name)
    assert files.load() == []


def test_no_folder_holds_no_refreshes(files: OperationFiles) -> None:
    assert files.load() == []


@pytest.mark.parametrize(
    "change",
    [
        {"create_time": "yesterday"},
        {"create_time": 5},
        {"stage_s": ["loading"]},
        {"stage_s": {"brewing": 1.0}},
        {"progress": None},
        {"progress": {"stage": "loading", "mood": "good"}},
        {"summary": {"graph_version": 7}},
        {"error": {"kind": "RefreshFailed"}},
        {"error": "oh"},
    ],
)
def test_damaged_file_is_skipped(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, change: dict[str, object]
) -> None:
    files = OperationFiles(tmp_path)
    files.save(operation(1))
    files.save(operation(2))
    path = tmp_path / "refresh-20260001.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change), encoding="utf-8")
    assert [o.name[-1] for o in files.load()] == ["2"]
    assert any("cannot be read" in record.message for record in caplog.records)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"7", b"\xff\xfe", b"[" * 100_000])
def test_file_that_is_no_refresh_is_skipped(tmp_path: Path, content: bytes) -> None:
    files = OperationFiles(tmp_path)
    files.save(operation(2))
    (tmp_path / "refresh-20260001.json").write_bytes(content)
    assert [o.name[-1] for o in files.load()] == ["2"]


def test_server_starts_where_the_folder_can_only_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    files = OperationFiles(tmp_path)
    files.save(operation(end_time=None))

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError("read-only")

    monkeypatch.setattr(Path, "write_text", refuse)
    (found,) = files.load()
    assert isinstance(found.error, RefreshFailed)


def test_error_of_an_unknown_kind_is_a_failed_refresh(tmp_path: Path) -> None:
    files = OperationFiles(tmp_path)
    files.save(operation(1, error=RefreshFailed("x")))
    path = tmp_path / "refresh-20260001.json"
    path.write_text(path.read_text().replace("RefreshFailed", "SystemExit"), encoding="utf-8")
    (found,) = files.load()
    assert type(found.error) is RefreshFailed


def test_names_differ_and_sort_by_time() -> None:
    names = [new_name(NOW + timedelta(seconds=n)) for n in range(3)] + [
        new_name(NOW + timedelta(seconds=3)) for _ in range(3)
    ]
    assert len(set(names)) == 6
    assert sorted(names[:3]) == names[:3]
    assert all(name.startswith("operations/refresh-2026") for name in names)
