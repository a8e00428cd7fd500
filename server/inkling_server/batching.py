"""A bounded, deadline-aware micro-batcher on one event loop.

    submit ─► queue ─► batch ─► run_batch(items) ─► one answer or error for each item

A batch starts as soon as the consumer is idle (a lone item never waits for company), or is at work
on fewer items than it handles side by side (`parallel_items`). Beside more, it starts when as many
items wait as are at work, or it is half full, or its oldest item has waited for `max_delay_s`. A
smaller one would only stand in line, where nothing joins it any more; of equal ones, one is handled
while the other's callers are answered and ask again: callers who wait for their answers share
themselves out over two batches, however many they are. At most `max_in_flight` run at a time.
Items whose caller is gone or whose deadline has passed are dropped, unhandled. An unexpected
failure is narrowed down by halving the batch, so that a poisonous item fails alone; an InklingError
says that the consumer itself is down, and fails the whole batch at once.

The event loop owns the queue; no other thread may call anything here. Nothing here knows pictures,
encoders or metrics: whoever counts implements BatchObserver.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeVar

from inkling_server.admission import Admission
from inkling_server.errors import DeadlineExceeded, InklingError, ShuttingDown

T = TypeVar("T")
R = TypeVar("R")
_NO_DEADLINE = nullcontext()


class BatchObserver(Protocol):
    """Telemetry's view of a batcher. Called on the event loop; must not block or raise."""

    def batch_started(self, size: int, queue_depth: int, waits_s: Sequence[float]) -> None:
        """A batch leaves the queue; `queue_depth` items stay behind, `waits_s` has one per item."""

    def batch_finished(self, size: int, duration_s: float, *, failed: bool) -> None:
        """Every item of a batch has its answer; `failed`: at least one is an error."""

    def item_dropped(self, why: Literal["expired", "cancelled"]) -> None:
        """An item left the queue without reaching the consumer."""


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """When a batch starts.

    Attributes:
        max_batch_size: items of one batch.
        max_in_flight: batches that run at a time.
        max_delay_s: the longest that an item waits for company while other batches run.
        parallel_items: items that the consumer handles side by side: while fewer run, it has room
            for a batch of any size. 1: it has none while anything runs.
    """

    max_batch_size: int = 32
    max_in_flight: int = 2
    max_delay_s: float = 0.1
    parallel_items: int = 1

    def __post_init__(self) -> None:
        if min(self.max_batch_size, self.max_in_flight, self.parallel_items) < 1:
            raise ValueError("max_batch_size, max_in_flight and parallel_items: at least 1")
        if self.max_delay_s < 0:
            raise ValueError("max_delay_s: at least 0")

    @property
    def always_worth(self) -> int:
        """Items that are worth a batch beside any other: half a batch."""
        return -(-self.max_batch_size // 2)


def deadline_scope(deadline: float | None) -> AbstractAsyncContextManager[None]:
    """Ends an `async with` block with DeadlineExceeded at `deadline` (on the loop's clock; None:
    never)."""
    return _NO_DEADLINE if deadline is None else _until(deadline)


@asynccontextmanager
async def _until(deadline: float) -> AsyncIterator[None]:
    if deadline <= asyncio.get_running_loop().time():
        raise DeadlineExceeded
    timeout = asyncio.timeout_at(deadline)
    try:
        async with timeout:
            yield
    except TimeoutError:
        if timeout.expired():
            raise DeadlineExceeded from None
        raise


class _Entry(Generic[T, R]):
    """One item in the queue. Hashed by identity."""

    __slots__ = ("arrival", "deadline", "future", "item")

    def __init__(self, item: T, deadline: float | None, loop: asyncio.AbstractEventLoop) -> None:
        self.item = item
        self.deadline = deadline
        self.arrival = loop.time()
        self.future: asyncio.Future[R] = loop.create_future()

    def resolve(self, result: R | Exception) -> None:
        if self.future.done():
            return
        if isinstance(result, Exception):
            self.future.set_exception(result)
        else:
            self.future.set_result(result)


class MicroBatcher(Generic[T, R]):
    """Gathers items into batches.

    Args:
        run_batch: handles 1 to `max_batch_size` items; returns, in their order, a result or an
            exception for each.
        limits: when a batch starts.
        admission: bounds the items inside. `submit` takes a slot; whoever needs the slot for longer
            (to decode first) holds one from `admission` and calls `submit_admitted`.
        observer: told what happens.
    """

    def __init__(
        self,
        run_batch: Callable[[Sequence[T]], Awaitable[Sequence[R | Exception]]],
        limits: BatchLimits,
        *,
        admission: Admission,
        observer: BatchObserver | None = None,
    ) -> None:
        self.admission = admission
        self._run_batch = run_batch
        self._limits = limits
        self._observer = observer
        # Ordered and keyed: a cancelled entry leaves from anywhere in O(1), with its memory.
        self._queue: OrderedDict[_Entry[T, R], None] = OrderedDict()
        self._running: dict[asyncio.Task[None], list[_Entry[T, R]]] = {}
        self._next_look: asyncio.Handle | None = None
        self._closed = False

    @property
    def queue_depth(self) -> int:
        """Items that wait for a batch."""
        return len(self._queue)

    @property
    def in_flight(self) -> int:
        """Batches that run now."""
        return len(self._running)

    async def submit(self, item: T, *, deadline: float | None = None, wait: bool = False) -> R:
        """Takes a slot, queues the item and returns its answer.

        Args:
            item: goes to `run_batch`.
            deadline: on the loop's clock; None: none.
            wait: on a full server, wait for a slot instead of failing.

        Raises:
            Overloaded: full, and `wait` is false.
            DeadlineExceeded: `deadline` passed.
            EncoderDown: the consumer is down.
            ShuttingDown: `drain` or `close` was called.
        """
        async with deadline_scope(deadline), self.admission.slot(wait=wait):
            return await self.submit_admitted(item, deadline=deadline)

    async def submit_admitted(self, item: T, *, deadline: float | None = None) -> R:
        """Like `submit`, for callers that hold a slot and watch the deadline themselves."""
        if self._closed:
            raise ShuttingDown()
        entry: _Entry[T, R] = _Entry(item, deadline, asyncio.get_running_loop())
        self._queue[entry] = None
        self._look_soon()
        try:
            return await entry.future
        finally:
            if entry in self._queue:
                del self._queue[entry]
                self._dropped("cancelled")
            elif entry.future.done() and not entry.future.cancelled():
                # Cancelled in the turn in which the answer came: nobody will look at its error.
                entry.future.exception()

    async def drain(self) -> None:
        """Admits nothing more and returns when everything that holds a slot has its answer."""
        self.admission.close()
        await self.admission.drained()

    async def close(self) -> None:
        """Fails what is still queued or running with ShuttingDown. Idempotent."""
        self._closed = True
        if self._next_look is not None:
            self._next_look.cancel()
        for task in self._running:
            task.cancel()
        # Resolved from here and not in the task: one that is cancelled before its first step never
        # runs a line.
        for entry in [
            *self._queue,
            *(entry for batch in self._running.values() for entry in batch),
        ]:
            entry.resolve(ShuttingDown())
        self._queue.clear()
        await asyncio.gather(*self._running, return_exceptions=True)

    def _look_soon(self) -> None:
        """Looks at the queue in the next turn of the loop; what arrives in this one goes along."""
        if self._next_look is not None:
            self._next_look.cancel()
        self._next_look = asyncio.get_running_loop().call_soon(self._look)

    def _look(self) -> None:
        """Starts every batch that is due."""
        self._next_look = None
        loop = asyncio.get_running_loop()
        while self._queue and len(self._running) < self._limits.max_in_flight and not self._closed:
            if len(self._queue) < self._worth:
                due = next(iter(self._queue)).arrival + self._limits.max_delay_s
                if loop.time() < due:
                    self._next_look = loop.call_at(due, self._look)
                    return
            batch = self._take(loop.time())
            if batch:
                task = loop.create_task(self._run(batch, queue_depth=len(self._queue)))
                self._running[task] = batch
                task.add_done_callback(self._finished)

    @property
    def _worth(self) -> int:
        """How many items are worth a batch now."""
        running = sum(map(len, self._running.values()))
        if running < self._limits.parallel_items:
            return 1
        return min(running, self._limits.always_worth)

    def _finished(self, task: asyncio.Task[None]) -> None:
        del self._running[task]
        if self._queue and not self._closed:
            self._look_soon()

    def _take(self, now: float) -> list[_Entry[T, R]]:
        batch: list[_Entry[T, R]] = []
        while self._queue and len(batch) < self._limits.max_batch_size:
            entry, _ = self._queue.popitem(last=False)
            if self._is_alive(entry, now):
                batch.append(entry)
        return batch

    def _is_alive(self, entry: _Entry[T, R], now: float) -> bool:
        if entry.future.done():
            self._dropped("cancelled")
            return False
        if entry.deadline is not None and entry.deadline <= now:
            entry.resolve(DeadlineExceeded())
            self._dropped("expired")
            return False
        return True

    async def _run(self, batch: list[_Entry[T, R]], queue_depth: int) -> None:
        loop = asyncio.get_running_loop()
        start = loop.time()
        if self._observer is not None:
            waits_s = [start - entry.arrival for entry in batch]
            self._observer.batch_started(len(batch), queue_depth, waits_s)
        failed = True
        try:
            failed = await self._run_or_split(batch)
        finally:
            if self._observer is not None:
                duration_s = loop.time() - start
                self._observer.batch_finished(len(batch), duration_s, failed=failed)

    async def _run_or_split(self, batch: list[_Entry[T, R]]) -> bool:
        """Answers every entry; returns whether one failed."""
        try:
            results = await self._run_batch([entry.item for entry in batch])
            if len(results) != len(batch):
                raise RuntimeError(f"{len(results)} results for a batch of {len(batch)}")
        except Exception as error:
            if len(batch) == 1 or isinstance(error, InklingError):
                for entry in batch:
                    entry.resolve(error)
                return True
            return await self._halve(batch)
        for entry, result in zip(batch, results, strict=True):
            entry.resolve(result)
        return any(isinstance(result, Exception) for result in results)

    async def _halve(self, batch: list[_Entry[T, R]]) -> bool:
        middle = len(batch) // 2
        failed = False
        for half in (batch[:middle], batch[middle:]):
            now = asyncio.get_running_loop().time()
            alive = [entry for entry in half if self._is_alive(entry, now)]
            if alive:
                failed |= await self._run_or_split(alive)
        return failed

    def _dropped(self, why: Literal["expired", "cancelled"]) -> None:
        if self._observer is not None:
            self._observer.item_dropped(why)
