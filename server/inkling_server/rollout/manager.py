"""Rolls a model version out behind a serving gateway, one at a time.

    deploy ─► load beside ─► embed the graph ─► prove ─► compare ─► pointer ─► swap ─► unload old
                                                  │         │
                                                  └─────────┴─► refused: unload new

All methods belong to one event loop. A refresh of the graph and a rollout share one `Turn`, so that
neither builds on what the other is replacing. It does not know RPCs, Triton, nor how pictures
are compared.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Protocol

from inkling_server.encoders import Encoder, EncoderBackend, EncoderDescription
from inkling_server.errors import (
    EncoderDown,
    InklingError,
    RolloutCancelled,
    RolloutFailed,
    RolloutRefused,
    RolloutRunning,
    UnknownModelVersion,
)
from inkling_server.model_manifest import Calibration, CalibrationUnusable, load_calibration
from inkling_server.operations import OperationBook, OperationFiles, new_name
from inkling_server.rollout.operation import (
    CanaryLimits,
    DeployOrder,
    ModelStatus,
    RolloutOperation,
    RolloutProgress,
    RolloutStage,
    RolloutSummary,
)
from inkling_server.rollout.operation_files import KIND
from inkling_server.rollout.pointer import ModelPointer, PointerFile
from inkling_server.rollout.repository import RepositoryVersion, list_versions
from inkling_server.rollout.target import find_target
from inkling_server.rollout.trial import Trial
from inkling_server.serving_state import ServingState, StateHolder
from inkling_server.turn import Turn

_log = logging.getLogger(__name__)
# For what still uses the old model: no batch takes longer.
_UNLOAD_TIMEOUT_S = 60.0
_FINAL = (RolloutStage.SWAPPING, RolloutStage.UNLOADING)

Outcome = Literal["done", "unchanged", "failed", "cancelled"]
OnBatch = Callable[[int, int], Awaitable[None]]
# Makes the graph that serves servable with another model: (encoder, calibration, on_batch).
OpenState = Callable[[Encoder, Calibration, OnBatch], Awaitable[ServingState]]


class RolloutObserver(Protocol):
    """Told on the event loop; must not block or raise."""

    def rollout_finished(self, outcome: Outcome, duration_s: float) -> None:
        """A rollout has ended."""

    def model_swapped(self, state: ServingState) -> None:
        """Another model serves from now on."""


@dataclass(frozen=True, slots=True)
class RolloutPolicy:
    """How a gateway rolls out.

    Attributes:
        repository: the model repository.
        pinned: the version that the settings insist on; nothing is rolled out then.
        limits: of orders that name none.
        pause_ratio: pause after each batch of phrases, in times of what the batch took.
    """

    repository: Path
    pinned: int | None = None
    limits: CanaryLimits = field(default_factory=CanaryLimits)
    pause_ratio: float = 1.0


class RolloutManager:
    """Implements `Rollouts`.

    Args:
        states: what serves; models are swapped here only.
        backend: has versions encode.
        open_state: makes the graph servable.
        trial: proves and compares.
        pointer: remembers what serves.
        files: rollouts of the past.
        turn: shared with whoever else swaps states.
        observer: told about ends and swaps.
        encoders: what runs the model that serves now, as it said itself.
        policy: how.

    Attributes:
        encoders: what runs the model that serves.
    """

    def __init__(
        self,
        states: StateHolder,
        backend: EncoderBackend,
        *,
        open_state: OpenState,
        trial: Trial,
        pointer: PointerFile,
        files: OperationFiles[RolloutOperation],
        turn: Turn,
        observer: RolloutObserver,
        encoders: Sequence[EncoderDescription],
        policy: RolloutPolicy,
    ) -> None:
        self._states = states
        self._backend = backend
        self._open_state = open_state
        self._trial = trial
        self._pointer = pointer
        self._book = OperationBook(files)
        self._turn = turn
        self._observer = observer
        self.encoders = tuple(encoders)
        self._policy = policy
        self._running: asyncio.Task[None] | None = None
        self._running_name = ""

    @property
    def limits(self) -> CanaryLimits:
        """See `Rollouts.limits`."""
        return self._policy.limits

    async def deploy(self, order: DeployOrder) -> RolloutOperation:
        """See `Rollouts.deploy`."""
        return await self._start(order.version, order)

    async def roll_back(self) -> RolloutOperation:
        """See `Rollouts.roll_back`."""
        pointer = await asyncio.to_thread(self._pointer.read)
        if pointer is None or pointer.previous is None:
            versions = await asyncio.to_thread(list_versions, self._policy.repository)
            raise UnknownModelVersion(
                "no version has served before this one", [entry.version for entry in versions]
            )
        return await self._start(pointer.previous, None)

    async def status(self) -> ModelStatus:
        """See `Rollouts.status`."""
        manifest = self._states.current.manifest
        versions = await asyncio.to_thread(list_versions, self._policy.repository, manifest)
        pointer = await asyncio.to_thread(self._pointer.read)
        loaded: frozenset[int] = frozenset()
        with suppress(EncoderDown):
            loaded = frozenset(await self._backend.loaded_versions())
        return ModelStatus(
            version=manifest.version,
            model_version=manifest.model_version,
            previous_version=pointer.previous if pointer is not None else None,
            versions=versions,
            loaded=loaded,
            last_rollout=next(iter(self.list()), None),
        )

    def get(self, name: str) -> RolloutOperation:
        """See `Operations.get`."""
        return self._book.get(name)

    def list(self) -> list[RolloutOperation]:
        """See `Operations.list`."""
        return self._book.list()

    async def wait(self, name: str, timeout_s: float | None) -> RolloutOperation:
        """See `Operations.wait`."""
        return await self._book.wait(name, timeout_s)

    async def cancel(self, name: str) -> None:
        """See `Operations.cancel`."""
        if self.get(name).is_done:
            return
        self._cancel_running()
        await self.wait(name, None)

    def delete(self, name: str) -> None:
        """See `Operations.delete`."""
        self._book.delete(name)

    async def close(self) -> None:
        """Cancels the rollout that runs, and returns when it has ended."""
        if self._running is not None and not self._running.done():
            self._cancel_running()
            await asyncio.wait({self._running})

    def _cancel_running(self) -> None:
        # What has been noted to serve is to serve: from there on it is a matter of moments.
        final = self.get(self._running_name).progress.stage in _FINAL
        if self._running is not None and not final:
            self._running.cancel()

    def _busy(self) -> InklingError:
        return RolloutRunning(self._running_name)

    async def _start(self, version: int, order: DeployOrder | None) -> RolloutOperation:
        """Checks what can be known at once, and starts; without an order it is a rollback."""
        policy, serving = self._policy, self._states.current.manifest
        target = await asyncio.to_thread(
            find_target, policy.repository, version, serving=serving, pinned=policy.pinned
        )
        await self._turn.take(self._busy)
        try:
            await asyncio.to_thread(self._note_what_serves)
            operation = self._begin(target, is_rollback=order is None)
        except BaseException:
            self._turn.release()
            raise
        self._running_name = operation.name
        self._running = asyncio.create_task(
            self._run(operation.name, target, order), name=operation.name
        )
        # A task that is cancelled before its first step never runs, and would release nothing.
        await asyncio.sleep(0)
        return operation

    def _note_what_serves(self) -> None:
        """Before anything is tried: a server that starts again must not guess."""
        if self._pointer.read() is None:
            manifest = self._states.current.manifest
            try:
                self._pointer.write(ModelPointer(manifest.version, manifest.fingerprint))
            except OSError as error:
                raise _not_noted(error) from error

    def _begin(self, target: RepositoryVersion, *, is_rollback: bool) -> RolloutOperation:
        assert target.manifest is not None
        now = datetime.now(UTC)
        serving = self._states.current.manifest
        operation = RolloutOperation(
            name=new_name(KIND, now),
            create_time=now,
            version=target.version,
            model_version=target.manifest.model_version,
            base_version=serving.version,
            base_model_version=serving.model_version,
            is_rollback=is_rollback,
        )
        try:
            self._book.begin(operation)
        except OSError as error:
            raise _not_noted(error) from error
        return operation

    async def _run(self, name: str, target: RepositoryVersion, order: DeployOrder | None) -> None:
        """One rollout from start to end; never raises."""
        started_s = time.monotonic()
        outcome: Outcome = "failed"
        error: InklingError | None = None
        try:
            if target.version == self.get(name).base_version:
                outcome = "unchanged"
            else:
                await self._roll_out(name, target, order)
                outcome = "done"
            self._reach(name, RolloutStage.DONE)
        except asyncio.CancelledError:
            outcome, error = "cancelled", RolloutCancelled()
        except EncoderDown as failure:
            # Not as it is: the server's own encoders may be quite well.
            error = RolloutFailed(str(failure))
        except InklingError as failure:
            # Its frames would keep states alive for as long as the operation is remembered.
            failure.__cause__ = failure.__context__ = None
            error = failure.with_traceback(None)
        except (CalibrationUnusable, OSError, ValueError) as failure:
            error = RolloutFailed(f"version {target.version} cannot be read: {failure}")
        except Exception as failure:
            _log.exception("a rollout failed in an unexpected way")
            error = RolloutFailed(f"unexpected {type(failure).__name__}")
        self._turn.release()
        self._finish(name, outcome, error, time.monotonic() - started_s)

    async def _roll_out(
        self, name: str, target: RepositoryVersion, order: DeployOrder | None
    ) -> None:
        encoder = await self._backend.open(target.version)
        try:
            encoders = tuple(await encoder.describe())
            calibration = await asyncio.to_thread(
                load_calibration, self._policy.repository, target.version
            )
            new = await self._open_state(encoder, calibration, self._on_batch(name))
            try:
                await self._try(name, new, order)
                freed = await self._swap(name, new, encoders)
            except BaseException:
                await new.index.close()
                raise
        except BaseException:
            # Also while this task is being cancelled: what was loaded must not stay.
            await asyncio.shield(encoder.close())
            raise
        self._reach(name, RolloutStage.UNLOADING)
        done, _ = await asyncio.wait({freed}, timeout=_UNLOAD_TIMEOUT_S)
        if not done:
            _log.warning("the old model is still in use, and is unloaded when it is not")

    async def _try(self, name: str, new: ServingState, order: DeployOrder | None) -> None:
        """Proves and compares. Raises RolloutRefused, EncoderDown."""
        self._reach(name, RolloutStage.CANARY)

        def on_progress(done: int, total: int) -> None:
            self._reach(name, RolloutStage.CANARY, done, total)

        with self._states.lease() as old:
            report = await self._trial.run(old, new, order, on_progress)
        if report is None:
            return
        self._book.note(replace(self.get(name), report=report))
        if report.decision == "refused":
            raise RolloutRefused("; ".join(report.problems))

    async def _swap(
        self, name: str, new: ServingState, encoders: tuple[EncoderDescription, ...]
    ) -> asyncio.Future[None]:
        self._reach(name, RolloutStage.SWAPPING)
        old = self._states.current.manifest
        pointer = ModelPointer(new.manifest.version, new.manifest.fingerprint, old.version)
        try:
            await asyncio.to_thread(self._pointer.write, pointer)
        except OSError as error:
            raise _not_noted(error) from error
        freed = self._states.swap(new)
        self._backend.serve(new.encoder)
        self.encoders = encoders
        self._observer.model_swapped(new)
        _log.info(
            "serving another model",
            extra={"model_version": new.model_version, "previous": old.model_version},
        )
        return freed

    def _on_batch(self, name: str) -> OnBatch:
        """Counts phrases, and pauses between batches so that pictures do not wait."""
        last_s = time.monotonic()

        async def on_batch(done: int, total: int) -> None:
            nonlocal last_s
            self._reach(name, RolloutStage.EMBEDDING, done, total)
            await asyncio.sleep(self._policy.pause_ratio * (time.monotonic() - last_s))
            last_s = time.monotonic()

        return on_batch

    def _reach(self, name: str, stage: RolloutStage, done: int = 0, total: int = 0) -> None:
        """Notes where the rollout is, and how long the stage before took."""
        operation = self.get(name)
        before = operation.progress.stage
        stage_s = operation.stage_s
        if stage is not before:
            spent_s = (datetime.now(UTC) - operation.create_time).total_seconds()
            stage_s = {**stage_s, before: round(spent_s - sum(stage_s.values()), 3)}
        progress = RolloutProgress(stage, done, total)
        self._book.note(replace(operation, progress=progress, stage_s=stage_s))

    def _finish(
        self, name: str, outcome: Outcome, error: InklingError | None, duration_s: float
    ) -> None:
        operation = replace(self.get(name), end_time=datetime.now(UTC), error=error)
        if error is None:
            summary = RolloutSummary(
                version=operation.version,
                model_version=operation.model_version,
                previous_version=operation.base_version,
                previous_model_version=operation.base_model_version,
            )
            operation = replace(operation, summary=summary)
        self._running_name = ""
        self._book.finish(operation)
        self._observer.rollout_finished(outcome, duration_s)
        _log.log(
            logging.ERROR if outcome == "failed" else logging.INFO,
            "rollout ended",
            extra={
                "outcome": outcome,
                "version": operation.version,
                "duration_s": round(duration_s, 1),
                "problem": "" if error is None else str(error),
            },
        )


def _not_noted(error: OSError) -> RolloutFailed:
    return RolloutFailed(f"it cannot be noted on disk: {error.strerror}")
