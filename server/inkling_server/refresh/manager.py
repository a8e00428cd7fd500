"""Refreshes the graph behind a serving gateway, one at a time.

    start ─► lock ─► job (own process) ─► draft ─► state ─► prove ─► publish ─► swap
                                                     └── refused: the old version goes on serving
    follow: another gateway of the same folder has published ─► state ─► prove ─► swap
    roll_back: a version that is kept ─► state ─► prove ─► make current ─► swap

All methods belong to one event loop; this is the only place that swaps states. It does not know
RPCs, nor how a version is made.
"""

import asyncio
import logging
import shutil
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Protocol

from inkling_server.errors import (
    EncoderDown,
    InklingError,
    RefreshCancelled,
    RefreshFailed,
    RefreshRunning,
)
from inkling_server.images import ImageLimits
from inkling_server.interests.graph import GraphSnapshot
from inkling_server.interests.snapshot import SnapshotDamaged, load_snapshot
from inkling_server.interests.stages import Stage
from inkling_server.interests.store import GraphStore
from inkling_server.interests.vectors import Vectors, load_vectors
from inkling_server.operations import OperationBook
from inkling_server.refresh.eta import Eta
from inkling_server.refresh.job import JobResult
from inkling_server.refresh.operation import RefreshOperation, RefreshSummary
from inkling_server.refresh.operation_files import OperationFiles, new_name
from inkling_server.refresh.proving import LEAST_KEPT, prove
from inkling_server.refresh.summary import summarise
from inkling_server.serving_state import ServingState, StateHolder
from inkling_server.turn import Turn

_log = logging.getLogger(__name__)

Outcome = Literal["done", "unchanged", "failed", "cancelled"]
# Makes a graph servable with the current model.
OpenState = Callable[[GraphSnapshot, Vectors | None], Awaitable[ServingState]]
# Builds a draft on the version in a folder: (base, force, on_progress).
RunJob = Callable[[Path, bool, Callable[[Stage, int, int], None]], Awaitable[JobResult]]


class RefreshObserver(Protocol):
    """Told on the event loop; must not block or raise."""

    def refresh_finished(self, outcome: Outcome, duration_s: float) -> None:
        """A refresh has ended."""

    def graph_swapped(self, state: ServingState) -> None:
        """Another version serves from now on."""


@dataclass(frozen=True, slots=True)
class RefreshPolicy:
    """How a gateway refreshes.

    Attributes:
        period_s: time between two refreshes that nobody asked for; 0: there are none.
        poll_s: time between two looks at what other gateways have published.
        keep_count: versions that stay on disk.
        prove_timeout_s: for encoding the canary pictures.
    """

    period_s: float = 0.0
    poll_s: float = 5.0
    keep_count: int = 5
    prove_timeout_s: float = 10.0


class RefreshManager:
    """Implements `Refresher`.

    Args:
        store: the versions.
        states: what serves; swapped here only.
        open_state: makes a graph servable.
        run_job: makes a draft.
        files: refreshes of the past.
        canaries: pictures to prove a version on.
        image_limits: what a picture may be.
        feed_name: what is read now, see `RefreshOperation.feed`.
        observer: told about ends and swaps.
        policy: when, and how.
        turn: held while versions change hands; shared with whoever else swaps states.
    """

    def __init__(
        self,
        store: GraphStore,
        states: StateHolder,
        *,
        open_state: OpenState,
        run_job: RunJob,
        files: OperationFiles,
        canaries: Sequence[bytes],
        image_limits: ImageLimits,
        feed_name: Callable[[], Awaitable[str]],
        observer: RefreshObserver,
        policy: RefreshPolicy,
        turn: Turn | None = None,
    ) -> None:
        self._store = store
        self._states = states
        self._open_state = open_state
        self._run_job = run_job
        self._canaries = canaries
        self._image_limits = image_limits
        self._feed_name = feed_name
        self._observer = observer
        self._policy = policy
        self._book = OperationBook(files)
        self._running: asyncio.Task[None] | None = None
        self._running_name = ""
        self._turn = turn or Turn()
        self._unfit = ""

    async def start(self, *, force: bool = False) -> RefreshOperation:
        """See `Refresher.start`."""
        feed = await self._feed_name()
        await self._turn.take(self._busy)
        async with AsyncExitStack() as stack:
            stack.callback(self._turn.release)
            stack.enter_context(self._store.refresh_lock())
            operation = self._begin(feed)
            self._running_name = operation.name
            self._running = asyncio.create_task(
                self._run(operation.name, force, stack.pop_all()), name=operation.name
            )
        # A task that is cancelled before its first step never runs, and would release nothing.
        await asyncio.sleep(0)
        return operation

    def _begin(self, feed: str) -> RefreshOperation:
        now = datetime.now(UTC)
        operation = RefreshOperation(
            name=new_name(now),
            create_time=now,
            base_version=self._states.current.graph_version,
            feed=feed,
        )
        try:
            self._book.begin(operation)
        except OSError as error:
            raise RefreshFailed(f"it cannot be noted on disk: {error.strerror}") from error
        return operation

    def _busy(self) -> InklingError:
        return RefreshRunning(self._running_name)

    def get(self, name: str) -> RefreshOperation:
        """See `Refresher.get`."""
        return self._book.get(name)

    def list(self) -> list[RefreshOperation]:
        """See `Refresher.list`."""
        return self._book.list()

    async def wait(self, name: str, timeout_s: float | None) -> RefreshOperation:
        """See `Refresher.wait`."""
        return await self._book.wait(name, timeout_s)

    async def cancel(self, name: str) -> None:
        """See `Refresher.cancel`."""
        operation = self.get(name)
        if operation.is_done:
            return
        self._cancel_running()
        await self.wait(name, None)

    def _cancel_running(self) -> None:
        # What is being published is published: a thread cannot be stopped half-way.
        publishing = self.get(self._running_name).progress.stage is Stage.PUBLISHING
        if self._running is not None and not publishing:
            self._running.cancel()

    def delete(self, name: str) -> None:
        """See `Refresher.delete`."""
        self._book.delete(name)

    async def roll_back(self, version: str) -> str:
        """See `Refresher.roll_back`."""
        await self._turn.take(self._busy)
        # A caller that hangs up must not leave a version that is current and does not serve.
        task = asyncio.create_task(self._roll_back(version))
        task.add_done_callback(lambda _: self._turn.release())
        return await asyncio.shield(task)

    async def _roll_back(self, version: str) -> str:
        previous = self._states.current.graph_version
        with self._store.refresh_lock():
            folder = self._store.folder(version)
            # A person asked for it: it may be much smaller than what serves.
            try:
                new = await self._prepare(folder, least_kept=0.0)
            except SnapshotDamaged as error:
                raise RefreshFailed(str(error)) from error
            await asyncio.to_thread(self._store.make_current, version)
            self._swap(new)
        _log.info("rolled back", extra={"graph_version": version, "previous": previous})
        return previous

    async def run(self) -> None:
        """Follows other gateways and keeps to the schedule until cancelled; then ends what runs."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._follow())
                if self._policy.period_s > 0:
                    group.create_task(self._repeat())
        finally:
            if self._running is not None and not self._running.done():
                self._cancel_running()
                await asyncio.wait({self._running})

    async def _repeat(self) -> None:
        while True:
            await asyncio.sleep(self._policy.period_s)
            try:
                await self.start()
            except (InklingError, OSError) as error:
                _log.info("no refresh this time: %s", error)

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(self._policy.poll_s)
            if self._turn.is_taken():
                continue
            try:
                version = await asyncio.to_thread(self._store.current_version)
            except (OSError, ValueError) as error:  # a shared disk may be away for a while
                _log.warning("cannot see which graph version is current: %s", error)
                continue
            if version in ("", self._states.current.graph_version, self._unfit):
                continue
            if self._turn.is_taken():
                continue
            await self._turn.take(self._busy)
            try:
                await self._take_over(version)
            finally:
                self._turn.release()

    async def _take_over(self, version: str) -> None:
        """Serves what another gateway has published."""
        try:
            self._swap(await self._prepare(self._store.folder(version), least_kept=0.0))
        except EncoderDown as error:
            _log.warning("a version that was published elsewhere must wait: %s", error)
        except Exception as error:  # whatever is wrong with it must not end the following
            self._unfit = version
            _log.error("a version that was published elsewhere cannot be served: %s", error)

    async def _run(self, name: str, force: bool, stack: AsyncExitStack) -> None:
        """One refresh from start to end; never raises."""
        started_s = time.monotonic()
        eta = Eta(self._last_stage_s(), started_s)
        outcome: Outcome = "failed"
        changes: dict[str, object] = {}

        def on_progress(stage: Stage, done: int, total: int) -> None:
            progress = eta.update(stage, done, total, time.monotonic())
            self._book.note(replace(self.get(name), progress=progress, stage_s=dict(eta.stage_s)))

        try:
            summary = await self._refresh(force, on_progress)
            changes = {"summary": summary}
            outcome = "unchanged" if summary.graph_version == summary.base_version else "done"
        except asyncio.CancelledError:
            outcome, changes = "cancelled", {"error": RefreshCancelled()}
        except InklingError as error:
            # Its frames would keep states alive for as long as the operation is remembered.
            error.__cause__ = error.__context__ = None
            changes = {"error": error.with_traceback(None)}
        except SnapshotDamaged as error:
            changes = {"error": RefreshFailed(str(error))}
        except Exception as error:
            _log.exception("a refresh failed in an unexpected way")
            changes = {"error": RefreshFailed(f"unexpected {type(error).__name__}")}
        if outcome in ("done", "unchanged"):
            on_progress(Stage.DONE, 1, 1)
        operation = replace(self.get(name), end_time=datetime.now(UTC), **changes)  # type: ignore[arg-type]
        await stack.aclose()
        self._finish(operation, outcome, time.monotonic() - started_s)

    async def _refresh(
        self, force: bool, on_progress: Callable[[Stage, int, int], None]
    ) -> RefreshSummary:
        old = self._states.current
        base = await asyncio.to_thread(self._store.folder, old.graph_version)
        await asyncio.to_thread(self._clean)
        result = await self._run_job(base, force, on_progress)
        if result.draft is None:
            return summarise(old, old, result)
        try:
            on_progress(Stage.PROVING, 0, len(self._canaries))
            new = await self._prepare(result.draft, least_kept=LEAST_KEPT)
            on_progress(Stage.PUBLISHING, 0, 1)
            try:
                await asyncio.to_thread(self._store.publish, result.draft)
            except BaseException:
                await new.index.close()
                raise
            self._swap(new)
        finally:
            await asyncio.to_thread(shutil.rmtree, result.draft, ignore_errors=True)
        await asyncio.to_thread(self._clean)
        return summarise(old, new, result)

    async def _prepare(self, folder: Path, *, least_kept: float) -> ServingState:
        """A proven state of the version in a folder. Raises InklingError, SnapshotDamaged."""
        graph, vectors = await asyncio.to_thread(_read, folder)
        new = await self._open_state(graph, vectors)
        try:
            await prove(
                new,
                self._states.current,
                self._canaries,
                image_limits=self._image_limits,
                timeout_s=self._policy.prove_timeout_s,
                least_kept=least_kept,
            )
        except BaseException:
            await new.index.close()
            raise
        return new

    def _swap(self, new: ServingState) -> None:
        self._states.swap(new)
        self._observer.graph_swapped(new)
        _log.info(
            "serving another graph",
            extra={
                "graph_version": new.graph_version,
                "interest_count": len(new.graph.interests),
            },
        )

    def _clean(self) -> None:
        self._store.clean(
            keep_count=self._policy.keep_count, in_use={self._states.current.graph_version}
        )

    def _finish(self, operation: RefreshOperation, outcome: Outcome, duration_s: float) -> None:
        self._running_name = ""
        self._book.finish(operation)
        self._observer.refresh_finished(outcome, duration_s)
        problem = "" if operation.error is None else str(operation.error)
        _log.log(
            logging.ERROR if outcome == "failed" else logging.INFO,
            "refresh ended",
            extra={"outcome": outcome, "duration_s": round(duration_s, 1), "problem": problem},
        )

    def _last_stage_s(self) -> dict[Stage, float]:
        """How long stages took in the latest refresh that succeeded."""
        ended = [o for o in self.list() if o.summary is not None]
        return ended[0].stage_s if ended else {}


def _read(folder: Path) -> tuple[GraphSnapshot, Vectors | None]:
    graph = load_snapshot(folder)
    return graph, load_vectors(folder, len(graph.interests))
