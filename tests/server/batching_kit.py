"""A consumer behind a gate, and an observer that writes down what it is told."""

import asyncio
from collections.abc import Sequence
from typing import Literal

from inkling_server.admission import Admission
from inkling_server.batching import BatchLimits, MicroBatcher
from tests.serving import until

FOREVER_S = 3600.0


class Consumer:
    """Doubles numbers, behind a gate, with poison at will."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.running = 0
        self.most_running = 0
        self.poison: dict[int, Exception] = {}
        self.bad_items: dict[int, Exception] = {}

    async def __call__(self, items: Sequence[int]) -> Sequence[int | Exception]:
        self.batches.append(list(items))
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            await self.gate.wait()
        finally:
            self.running -= 1
        for item in items:
            if item in self.poison:
                raise self.poison[item]
        return [self.bad_items.get(item, 2 * item) for item in items]

    @property
    def seen(self) -> set[int]:
        return {item for batch in self.batches for item in batch}


class Observer:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.started: list[tuple[int, int]] = []
        self.waits_s: list[float] = []
        self.finished: list[tuple[int, bool]] = []
        self.dropped: list[str] = []

    def batch_started(self, size: int, queue_depth: int, waits_s: Sequence[float]) -> None:
        self.started.append((size, queue_depth))
        self.waits_s += waits_s

    def batch_finished(self, size: int, duration_s: float, *, failed: bool) -> None:
        assert duration_s >= 0
        self.finished.append((size, failed))

    def item_dropped(self, why: Literal["expired", "cancelled"]) -> None:
        self.dropped.append(why)


def make_batcher(
    consumer: Consumer,
    *,
    size: int = 4,
    in_flight: int = 1,
    delay_s: float = FOREVER_S,
    capacity: int = 100,
    parallel: int = 1,
    observer: Observer | None = None,
) -> MicroBatcher[int, int]:
    return MicroBatcher(
        consumer,
        BatchLimits(size, in_flight, delay_s, parallel),
        admission=Admission(capacity),
        observer=observer,
    )


def send(batcher: MicroBatcher[int, int], *items: int) -> list[asyncio.Task[int]]:
    return [asyncio.create_task(batcher.submit(item)) for item in items]


async def hold(batcher: MicroBatcher[int, int], consumer: Consumer) -> asyncio.Task[int]:
    """Occupies the consumer with item 0 until its gate opens."""
    (held,) = await hold_all(batcher, consumer, 0)
    return held


async def hold_all(
    batcher: MicroBatcher[int, int], consumer: Consumer, *items: int
) -> list[asyncio.Task[int]]:
    """Occupies the consumer with one batch of these until its gate opens."""
    consumer.gate.clear()
    held = send(batcher, *items)
    await until(lambda: consumer.batches[-1:] == [list(items)])
    return held
