"""Long-running work that callers start, watch and cancel by name, and that is remembered on disk.

    start ─► OperationBook.begin ─► note, note ... ─► finish ─► <folder>/<kind>-<id>.json
                                                                      └── OperationFiles

An operation is an immutable value with a name ("operations/<kind>-<id>"); what else it says is its
kind's affair. It does not know how work is done, nor gRPC.
"""

import asyncio
import json
import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from inkling_server.errors import UnknownOperation

_log = logging.getLogger(__name__)
PREFIX = "operations/"


class Operation(Protocol):
    """One piece of work at one moment."""

    @property
    def name(self) -> str:
        """ "operations/<kind>-<id>"."""

    @property
    def create_time(self) -> datetime:
        """When it was asked for."""

    @property
    def is_done(self) -> bool:
        """It has succeeded, failed, or was cancelled."""


O = TypeVar("O", bound=Operation)  # noqa: E741 - the only operation there is


class Operations(Protocol):
    """Operations that can be watched and cancelled; belongs to one event loop."""

    def get(self, name: str) -> Operation:
        """One, running or ended. Raises UnknownOperation."""

    def list(self) -> Sequence[Operation]:
        """All that are known, newest first."""

    async def wait(self, name: str, timeout_s: float | None) -> Operation:
        """It when it has ended, or after `timeout_s`. Raises UnknownOperation."""

    async def cancel(self, name: str) -> None:
        """Ends it; returns when it has ended. Too late is fine. Raises UnknownOperation."""

    def delete(self, name: str) -> None:
        """Forgets one that has ended; one that runs goes on. Raises UnknownOperation."""


def new_name(kind: str, now: datetime) -> str:
    """A name that no other operation has; sorts by time."""
    return f"{PREFIX}{kind}-{now:%Y%m%d-%H%M%S-%f}-{secrets.token_hex(2)}"


@dataclass(frozen=True, slots=True)
class Codec(Generic[O]):
    """How one kind of operation becomes JSON, and what becomes of one that nobody finished.

    Attributes:
        kind: begins the names.
        to_json: values of an operation.
        from_json: an operation of such values; may raise anything where they are damaged.
        abandoned: the same operation, failed now: whoever ran it is gone.
    """

    kind: str
    to_json: Callable[[O], dict[str, Any]]
    from_json: Callable[[Any], O]
    abandoned: Callable[[O], O]


class OperationFiles(Generic[O]):
    """A folder of operations of one kind. It blocks, for small files.

    Args:
        folder: made when something is written first.
        codec: of the kind.
        keep_count: newest ones that are kept.
    """

    def __init__(self, folder: Path, codec: Codec[O], *, keep_count: int = 50) -> None:
        self._folder = folder
        self._codec = codec
        self.keep_count = keep_count

    def save(self, operation: O) -> None:
        """Writes one; a reader sees all of it or what was there before."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._path(operation.name)
        draft = path.with_suffix(".draft")
        draft.write_text(json.dumps(self._codec.to_json(operation)) + "\n", encoding="utf-8")
        draft.replace(path)
        for old in self._paths()[: -self.keep_count]:
            old.unlink(missing_ok=True)

    def delete(self, name: str) -> None:
        """Forgets one. Idempotent."""
        self._path(name).unlink(missing_ok=True)

    def load(self) -> list[O]:
        """All, oldest first. One that has not ended is failed now: whoever ran it is gone."""
        found = []
        for path in self._paths():
            try:
                operation = self._codec.from_json(json.loads(path.read_text(encoding="utf-8")))
            except Exception as error:  # the many ways in which a file can be damaged
                _log.warning("%s cannot be read: %s", path.name, type(error).__name__)
                continue
            if not operation.is_done:
                operation = self._codec.abandoned(operation)
                with suppress(OSError):  # known all the same
                    self.save(operation)
            found.append(operation)
        return found

    def _paths(self) -> list[Path]:
        return sorted(self._folder.glob(f"{self._codec.kind}-*.json"))

    def _path(self, name: str) -> Path:
        return self._folder / f"{name.removeprefix(PREFIX)}.json"


class OperationBook(Generic[O]):
    """The operations of one kind: what is known of each, and who waits for which.

    Args:
        files: operations of the past, and of now.
    """

    def __init__(self, files: OperationFiles[O]) -> None:
        self._files = files
        self._operations = {operation.name: operation for operation in files.load()}
        self._ended: dict[str, asyncio.Event] = {}

    def begin(self, operation: O) -> None:
        """Notes a new one; the oldest are forgotten. Raises OSError where it cannot be saved."""
        self._files.save(operation)  # first: what cannot be saved has not begun
        self.note(operation)
        self._ended[operation.name] = asyncio.Event()
        for old in self.list()[self._files.keep_count :]:
            self.delete(old.name)

    def note(self, operation: O) -> None:
        """What is known of one now."""
        self._operations[operation.name] = operation

    def finish(self, operation: O) -> None:
        """Notes one that has ended, and wakes who waits for it."""
        self.note(operation)
        with suppress(OSError):  # a full disk must not make an ended one look as if it ran
            self._files.save(operation)
        self._ended[operation.name].set()

    def get(self, name: str) -> O:
        """See `Operations.get`."""
        try:
            return self._operations[name]
        except KeyError:
            raise UnknownOperation from None

    def list(self) -> "list[O]":
        """See `Operations.list`."""
        return sorted(
            self._operations.values(), key=lambda o: (o.create_time, o.name), reverse=True
        )

    async def wait(self, name: str, timeout_s: float | None) -> O:
        """See `Operations.wait`."""
        self.get(name)
        ended = self._ended.get(name)
        if ended is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await ended.wait()
        return self.get(name)

    def delete(self, name: str) -> None:
        """See `Operations.delete`."""
        if self.get(name).is_done:
            del self._operations[name]
            self._ended.pop(name, None)
            self._files.delete(name)


class JoinedOperations:
    """Operations of several kinds as one. Implements `Operations`.

    Args:
        kinds: who knows the operations of each kind.
    """

    def __init__(self, kinds: Mapping[str, Operations]) -> None:
        self._kinds = kinds

    def get(self, name: str) -> Operation:
        """See `Operations.get`."""
        return self._of(name).get(name)

    def list(self) -> Sequence[Operation]:
        """See `Operations.list`."""
        found = [operation for kind in self._kinds.values() for operation in kind.list()]
        return sorted(found, key=lambda o: (o.create_time, o.name), reverse=True)

    async def wait(self, name: str, timeout_s: float | None) -> Operation:
        """See `Operations.wait`."""
        return await self._of(name).wait(name, timeout_s)

    async def cancel(self, name: str) -> None:
        """See `Operations.cancel`."""
        await self._of(name).cancel(name)

    def delete(self, name: str) -> None:
        """See `Operations.delete`."""
        self._of(name).delete(name)

    def _of(self, name: str) -> Operations:
        kind = name.removeprefix(PREFIX).partition("-")[0]
        if not name.startswith(PREFIX) or kind not in self._kinds:
            raise UnknownOperation
        return self._kinds[kind]
