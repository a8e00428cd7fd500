"""Refreshes as JSON, so that they are remembered beyond the server's life.

    <folder>/refresh-<id>.json

A refresh that a server did not live to finish is found as failed. It does not know how refreshes
run, nor (see `operations`) how files are written.
"""

from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from inkling_server import operations
from inkling_server.errors import (
    EncoderDown,
    InklingError,
    RefreshCancelled,
    RefreshFailed,
    RefreshRefused,
)
from inkling_server.interests.stages import Stage
from inkling_server.refresh.operation import Progress, RefreshOperation, RefreshSummary

KIND = "refresh"
_SUMMARY = TypeAdapter(RefreshSummary)
# Errors that a refresh may end with, by name; their text is all that they say.
_ERRORS: dict[str, type[InklingError]] = {
    kind.__name__: kind for kind in (RefreshFailed, RefreshRefused, EncoderDown)
}


def new_name(now: datetime) -> str:
    """A name that no other refresh has; sorts by time."""
    return operations.new_name(KIND, now)


class OperationFiles(operations.OperationFiles[RefreshOperation]):
    """A folder of refreshes; arguments as those of `operations.OperationFiles`."""

    def __init__(self, folder: Path, *, keep_count: int = 50) -> None:
        codec = operations.Codec(KIND, _to_json, _from_json, _abandoned)
        super().__init__(folder, codec, keep_count=keep_count)


def _abandoned(operation: RefreshOperation) -> RefreshOperation:
    return replace(
        operation,
        end_time=datetime.now(UTC),
        error=RefreshFailed("the server ended before the refresh did"),
    )


def _to_json(operation: RefreshOperation) -> dict[str, Any]:
    error = operation.error
    return {
        "name": operation.name,
        "create_time": operation.create_time.isoformat(),
        "end_time": operation.end_time and operation.end_time.isoformat(),
        "base_version": operation.base_version,
        "feed": operation.feed,
        "progress": asdict(operation.progress),
        "stage_s": operation.stage_s,
        "summary": operation.summary and _SUMMARY.dump_python(operation.summary, mode="json"),
        "error": error and {"kind": type(error).__name__, "text": str(error)},
    }


def _from_json(values: dict[str, Any]) -> RefreshOperation:
    progress, error = values["progress"], values["error"]
    return RefreshOperation(
        name=values["name"],
        create_time=datetime.fromisoformat(values["create_time"]),
        end_time=values["end_time"] and datetime.fromisoformat(values["end_time"]),
        base_version=values["base_version"],
        feed=values["feed"],
        progress=Progress(**{**progress, "stage": Stage(progress["stage"])}),
        stage_s={Stage(stage): seconds for stage, seconds in values["stage_s"].items()},
        summary=values["summary"] and _SUMMARY.validate_python(values["summary"]),
        error=error and _error(error),
    )


def _error(values: dict[str, str]) -> InklingError:
    if values["kind"] == RefreshCancelled.__name__:
        return RefreshCancelled()
    return _ERRORS.get(values["kind"], RefreshFailed)(values["text"])
