"""Remembers refreshes beyond the server's life: one small JSON file each.

    <folder>/refresh-<id>.json

A refresh that a server did not live to finish is found here as failed. The newest ones are kept. It
does not know how refreshes run.
"""

import json
import logging
import secrets
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from inkling_server.errors import (
    EncoderDown,
    InklingError,
    RefreshCancelled,
    RefreshFailed,
    RefreshRefused,
)
from inkling_server.interests.stages import Stage
from inkling_server.refresh.operation import Progress, RefreshOperation, RefreshSummary

_log = logging.getLogger(__name__)
_PREFIX = "operations/"
_SUMMARY = TypeAdapter(RefreshSummary)
# Errors that a refresh may end with, by name; their text is all that they say.
_ERRORS: dict[str, type[InklingError]] = {
    kind.__name__: kind for kind in (RefreshFailed, RefreshRefused, EncoderDown)
}


def new_name(now: datetime) -> str:
    """A name that no other refresh has; sorts by time."""
    return f"{_PREFIX}refresh-{now:%Y%m%d-%H%M%S-%f}-{secrets.token_hex(2)}"


class OperationFiles:
    """A folder of refreshes. It blocks, for small files.

    Args:
        folder: made when something is written first.
        keep_count: newest ones that are kept.
    """

    def __init__(self, folder: Path, *, keep_count: int = 50) -> None:
        self._folder = folder
        self.keep_count = keep_count

    def save(self, operation: RefreshOperation) -> None:
        """Writes one; a reader sees all of it or what was there before."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._path(operation.name)
        draft = path.with_suffix(".draft")
        draft.write_text(json.dumps(_to_json(operation)) + "\n", encoding="utf-8")
        draft.replace(path)
        for old in sorted(self._folder.glob("refresh-*.json"))[: -self.keep_count]:
            old.unlink(missing_ok=True)

    def delete(self, name: str) -> None:
        """Forgets one. Idempotent."""
        self._path(name).unlink(missing_ok=True)

    def load(self) -> list[RefreshOperation]:
        """All, oldest first. One that has not ended is failed now: whoever ran it is gone."""
        found = []
        for path in sorted(self._folder.glob("refresh-*.json")):
            try:
                operation = _from_json(json.loads(path.read_text(encoding="utf-8")))
            except Exception as error:  # the many ways in which a file can be damaged
                _log.warning("%s cannot be read: %s", path.name, type(error).__name__)
                continue
            if not operation.is_done:
                operation = replace(
                    operation,
                    end_time=datetime.now(UTC),
                    error=RefreshFailed("the server ended before the refresh did"),
                )
                with suppress(OSError):  # known all the same
                    self.save(operation)
            found.append(operation)
        return found

    def _path(self, name: str) -> Path:
        return self._folder / f"{name.removeprefix(_PREFIX)}.json"


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
