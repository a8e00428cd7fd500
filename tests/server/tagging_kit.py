"""A tagger on a fake encoder, with everything within a test's reach."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from inkling_server.fake_encoder import FakeEncoder
from inkling_server.images import ImageLimits
from inkling_server.observers import SilentObserver, Stage
from inkling_server.serving_state import ServingState, StateHolder
from inkling_server.tag_index import SearchThread
from inkling_server.tagging import Tagger, TaggerLimits, TagQuery, TagResult
from inkling_server.text_reading import TextReader
from tests.serving import make_state, picture, until

RED = picture("red")


class Observer(SilentObserver):
    def __init__(self) -> None:
        self.stages: list[tuple[Stage, int]] = []
        self.overloaded_count = 0

    def stage_finished(self, stage: Stage, duration_s: float, picture_count: int) -> None:
        assert duration_s >= 0
        self.stages.append((stage, picture_count))

    def overloaded(self) -> None:
        self.overloaded_count += 1


class Bench:
    """A tagger on a fake encoder, with everything within reach."""

    def __init__(
        self,
        thread: SearchThread,
        state: ServingState,
        limits: TaggerLimits,
        text_reader: TextReader | None = None,
    ) -> None:
        assert isinstance(state.encoder, FakeEncoder)
        self.thread = thread
        self.encoder = state.encoder
        self.holder = StateHolder(state)
        self.observer = Observer()
        self.tagger = Tagger(
            self.holder,
            limits=limits,
            image_limits=ImageLimits(max_bytes=100_000),
            observer=self.observer,
            text_reader=text_reader,
        )

    def send(self, *images: bytes, **options: Any) -> list[asyncio.Task[TagResult]]:
        return [asyncio.create_task(self.tagger.tag(TagQuery(i, **options))) for i in images]

    async def hold(self) -> asyncio.Task[TagResult]:
        """Occupies the encoder with one picture until its gate opens."""
        self.encoder.gate.clear()
        (held,) = self.send(RED)
        await until(lambda: self.encoder.in_flight == 1)
        return held


MakeBench = Callable[..., Awaitable[Bench]]


@asynccontextmanager
async def bench_maker() -> AsyncIterator[MakeBench]:
    """A function that makes benches; they are taken down after the block.

    It takes the encoder, and `TaggerLimits` by name over limits that suit tests.
    """
    thread = SearchThread()
    benches: list[Bench] = []

    async def make(encoder: FakeEncoder | None = None, **limits: Any) -> Bench:
        limits = {"capacity": 64, "reserved_for_unary": 0, "max_batches_in_flight": 1, **limits}
        bench = Bench(thread, await make_state(thread, encoder=encoder), TaggerLimits(**limits))
        benches.append(bench)
        return bench

    yield make
    for bench in benches:
        await bench.tagger.close()
        await bench.holder.close()
    thread.close()


def outcome(result: TagResult | BaseException) -> str | type[BaseException]:
    """The best tag's phrase ("" without tags), or what went wrong."""
    if isinstance(result, TagResult):
        return result.tags[0].phrase if result.tags else ""
    return type(result)
