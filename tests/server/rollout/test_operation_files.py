"""Rollouts are remembered as they were."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from inkling_server.errors import (
    InklingError,
    RolloutCancelled,
    RolloutFailed,
    RolloutRefused,
)
from inkling_server.operations import OperationFiles
from inkling_server.rollout.operation import (
    CanaryReport,
    RolloutOperation,
    RolloutProgress,
    RolloutStage,
    RolloutSummary,
)
from inkling_server.rollout.operation_files import rollout_files

NOW = datetime(2026, 11, 22, 9, 30, 0, 123456, tzinfo=UTC)
SUMMARY = RolloutSummary(
    version=2, model_version="m:2:ff", previous_version=1, previous_model_version="m:1:00"
)
REPORT = CanaryReport(
    folder_count=3, tag_overlap=0.25, problems=("too slow",), decision="refused", new_p95_ms=7.5
)


def operation(number: int = 0, **fields: object) -> RolloutOperation:
    made = RolloutOperation(
        name=f"operations/rollout-2026{number:04}",
        create_time=NOW + timedelta(seconds=number),
        version=2,
        model_version="m:2:ff",
        base_version=1,
        base_model_version="m:1:00",
        progress=RolloutProgress(RolloutStage.CANARY, 5, 9),
        stage_s={RolloutStage.LOADING: 1.25},
        end_time=NOW + timedelta(minutes=1),
    )
    return replace(made, **fields)  # type: ignore[arg-type]


def same(one: RolloutOperation, other: RolloutOperation) -> bool:
    """Equal, with errors compared by kind and text."""

    def kind(error: InklingError | None) -> tuple[str, str]:
        return type(error).__name__, str(error)

    return kind(one.error) == kind(other.error) and replace(one, error=None) == replace(
        other, error=None
    )


@pytest.fixture
def files(tmp_path: Path) -> OperationFiles[RolloutOperation]:
    return rollout_files(tmp_path / "operations")


@pytest.mark.parametrize(
    "ended",
    [
        operation(summary=SUMMARY, report=replace(REPORT, problems=(), decision="accepted")),
        operation(error=RolloutRefused("tag overlap"), report=REPORT),
        operation(error=RolloutFailed("it was not to be"), is_rollback=True),
        operation(error=RolloutCancelled()),
        operation(stage_s={}, progress=RolloutProgress()),
    ],
)
def test_every_kind_of_end_survives(
    files: OperationFiles[RolloutOperation], ended: RolloutOperation
) -> None:
    files.save(ended)
    (found,) = files.load()
    assert same(found, ended)


def test_rollout_that_its_server_did_not_finish_has_failed(
    files: OperationFiles[RolloutOperation],
) -> None:
    files.save(operation(end_time=None))
    (found,) = files.load()
    assert found.is_done
    assert isinstance(found.error, RolloutFailed)
    assert "server ended" in str(found.error)


@pytest.mark.parametrize(
    "change",
    [
        {"version": "two"},
        {"progress": {"stage": "brewing"}},
        {"report": {"decision": "perhaps"}},
        {"summary": {"version": 2}},
    ],
)
def test_damaged_file_is_skipped(tmp_path: Path, change: dict[str, object]) -> None:
    files = rollout_files(tmp_path)
    files.save(operation(1))
    files.save(operation(2))
    path = tmp_path / "rollout-20260001.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change), encoding="utf-8")
    assert [o.name[-1] for o in files.load()] == ["2"]


def test_refreshes_in_the_same_folder_are_not_touched(tmp_path: Path) -> None:
    (tmp_path / "refresh-1.json").write_text("{}")
    files = rollout_files(tmp_path)
    files.save(operation())
    assert len(files.load()) == 1
    assert (tmp_path / "refresh-1.json").exists()
