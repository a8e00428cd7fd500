"""Rollouts as JSON, so that they are remembered beyond the server's life.

    <folder>/rollout-<id>.json

A rollout that a server did not live to finish is found as failed. It does not know how rollouts
run, nor (see `operations`) how files are written.
"""

from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from inkling_server.errors import (
    EncoderDown,
    InklingError,
    RolloutCancelled,
    RolloutFailed,
    RolloutRefused,
)
from inkling_server.operations import Codec, OperationFiles
from inkling_server.rollout.operation import (
    CanaryReport,
    RolloutOperation,
    RolloutProgress,
    RolloutStage,
    RolloutSummary,
)

KIND = "rollout"
_SUMMARY = TypeAdapter(RolloutSummary)
_REPORT = TypeAdapter(CanaryReport)
# Errors that a rollout may end with, by name; their text is all that they say.
_ERRORS: dict[str, type[InklingError]] = {
    kind.__name__: kind for kind in (RolloutFailed, RolloutRefused, EncoderDown)
}


def rollout_files(folder: Path) -> OperationFiles[RolloutOperation]:
    """A folder of rollouts."""
    return OperationFiles(folder, Codec(KIND, _to_json, _from_json, _abandoned))


def _abandoned(operation: RolloutOperation) -> RolloutOperation:
    return replace(
        operation,
        end_time=datetime.now(UTC),
        error=RolloutFailed("the server ended before the rollout did"),
    )


def _to_json(operation: RolloutOperation) -> dict[str, Any]:
    error = operation.error
    return {
        "name": operation.name,
        "create_time": operation.create_time.isoformat(),
        "end_time": operation.end_time and operation.end_time.isoformat(),
        "version": operation.version,
        "model_version": operation.model_version,
        "base_version": operation.base_version,
        "base_model_version": operation.base_model_version,
        "is_rollback": operation.is_rollback,
        "progress": asdict(operation.progress),
        "stage_s": operation.stage_s,
        "report": operation.report and asdict(operation.report),
        "summary": operation.summary and asdict(operation.summary),
        "error": error and {"kind": type(error).__name__, "text": str(error)},
    }


def _from_json(values: dict[str, Any]) -> RolloutOperation:
    progress, error = values["progress"], values["error"]
    return RolloutOperation(
        name=values["name"],
        create_time=datetime.fromisoformat(values["create_time"]),
        end_time=values["end_time"] and datetime.fromisoformat(values["end_time"]),
        version=int(values["version"]),
        model_version=str(values["model_version"]),
        base_version=int(values["base_version"]),
        base_model_version=str(values["base_model_version"]),
        is_rollback=bool(values["is_rollback"]),
        progress=RolloutProgress(**{**progress, "stage": RolloutStage(progress["stage"])}),
        stage_s={RolloutStage(stage): seconds for stage, seconds in values["stage_s"].items()},
        report=values["report"] and _REPORT.validate_python(values["report"]),
        summary=values["summary"] and _SUMMARY.validate_python(values["summary"]),
        error=error and _error(error),
    )


def _error(values: dict[str, str]) -> InklingError:
    if values["kind"] == RolloutCancelled.__name__:
        return RolloutCancelled()
    return _ERRORS.get(values["kind"], RolloutFailed)(values["text"])
