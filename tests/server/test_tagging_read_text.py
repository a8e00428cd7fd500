"""What is written in a picture, as evidence: asked for, joined, bounded; free where not asked."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from inkling_server.errors import DeadlineExceeded, ImageInvalid, Overloaded
from inkling_server.interests.content import ContentItem
from inkling_server.interests.mentions.reading import TextReaders
from inkling_server.tag_index import SearchThread
from inkling_server.tagging import ContentQuery, TaggerLimits, TagQuery
from inkling_server.text_reading import NOTHING_READ, ReadText
from tests.server.tagging_kit import RED, Bench
from tests.serving import make_state, until


class FakeTextReader:
    """Says the same of every picture."""

    def __init__(self, text: str = "A green wall") -> None:
        self.found = ReadText((), text) if text else NOTHING_READ
        self.calls: list[bool] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.error: Exception | None = None

    async def read(
        self, image: bytes, *, deadline: float | None = None, wait: bool = True
    ) -> ReadText:
        self.calls.append(wait)
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return self.found

    async def close(self) -> None: ...


@asynccontextmanager
async def reading_bench(
    reader: FakeTextReader | None, *, reads: bool = True, **limits: Any
) -> AsyncIterator[Bench]:
    thread = SearchThread()
    readers = TextReaders() if reads else None
    options = {"capacity": 64, "reserved_for_unary": 0, "max_batches_in_flight": 1, **limits}
    state = await make_state(thread, readers=readers)
    bench = Bench(thread, state, TaggerLimits(**options), reader)
    try:
        yield bench
    finally:
        await bench.tagger.close()
        await bench.holder.close()
        thread.close()
        if readers is not None:
            readers.close()


async def test_what_is_written_is_joined_as_overlay() -> None:
    async with reading_bench(FakeTextReader()) as bench:
        result = await bench.tagger.tag(TagQuery(RED, explain=True, read_text=True))
        tags = {tag.phrase: tag for tag in result.tags}
        why = tags["green"].explanation
        assert why is not None
        assert [(one.source, one.text) for one in why.evidence] == [("overlay", "green")]
        assert "red" in tags
        assert ("read_picture", 1) in bench.observer.stages


async def test_nothing_is_read_unless_asked_for() -> None:
    reader = FakeTextReader()
    async with reading_bench(reader) as bench:
        await bench.tagger.tag(TagQuery(RED, context=ContentItem(id="-", caption="green")))
        await bench.tagger.tag_content(ContentQuery(RED, ContentItem(id="-")))
        assert reader.calls == []
        assert "read_picture" not in {stage for stage, _ in bench.observer.stages}


@pytest.mark.parametrize("reads", [True, False])
async def test_the_flag_is_ignored_by_a_server_that_cannot(reads: bool) -> None:
    reader = None if reads else FakeTextReader()
    async with reading_bench(reader, reads=reads) as bench:
        plain = await bench.tagger.tag(TagQuery(RED))
        assert await bench.tagger.tag(TagQuery(RED, read_text=True)) == plain
        assert reader is None or reader.calls == []


async def test_a_picture_with_nothing_written_in_it_is_tagged_as_ever() -> None:
    async with reading_bench(FakeTextReader("")) as bench:
        plain = await bench.tagger.tag(TagQuery(RED))
        assert await bench.tagger.tag(TagQuery(RED, read_text=True)) == plain


async def test_what_the_author_gave_counts_once() -> None:
    async with reading_bench(FakeTextReader("A GREEN  wall")) as bench:
        context = ContentItem(id="-", overlay_text="A green wall")
        given = await bench.tagger.tag(TagQuery(RED, context=context, explain=True))
        both = await bench.tagger.tag(TagQuery(RED, context=context, explain=True, read_text=True))
        assert both == given


async def test_an_item_keeps_what_was_read() -> None:
    async with reading_bench(FakeTextReader()) as bench:
        item = ContentItem(id="-", overlay_text="Monday")
        found = await bench.tagger.tag_content(ContentQuery(RED, item, read_text=True))
        assert found.overlay_text == "Monday\nA green wall"
        assert "green" in {tag.phrase for tag in found.tags}
        assert "wall" not in repr(found)
        unread = await bench.tagger.tag_content(ContentQuery(RED, item))
        assert unread.overlay_text == "Monday"
        alone = await bench.tagger.tag_content(ContentQuery(None, item, read_text=True))
        assert alone.overlay_text == "Monday"


async def test_the_deadline_holds_while_a_picture_is_read() -> None:
    reader = FakeTextReader()
    reader.gate.clear()
    async with reading_bench(reader) as bench:
        deadline = asyncio.get_running_loop().time() + 0.05
        with pytest.raises(DeadlineExceeded):
            await bench.tagger.tag(TagQuery(RED, read_text=True, deadline=deadline))
        assert bench.tagger.used == 0


async def test_a_picture_that_is_read_holds_its_slot() -> None:
    reader = FakeTextReader()
    reader.gate.clear()
    async with reading_bench(reader, capacity=1) as bench:
        (held,) = bench.send(RED, read_text=True)
        await until(lambda: reader.calls)
        with pytest.raises(Overloaded):
            await bench.tagger.tag(TagQuery(RED))
        reader.gate.set()
        await held
        assert bench.tagger.used == 0


async def test_a_reader_that_is_full_refuses_who_does_not_wait() -> None:
    reader = FakeTextReader()
    reader.error = Overloaded(1.0)
    async with reading_bench(reader) as bench:
        with pytest.raises(Overloaded):
            await bench.tagger.tag(TagQuery(RED, read_text=True))
        assert reader.calls == [False]
        assert bench.observer.overloaded_count == 1
        assert bench.tagger.used == 0


async def test_a_bad_picture_is_refused_as_ever() -> None:
    async with reading_bench(FakeTextReader("")) as bench:
        with pytest.raises(ImageInvalid):
            await bench.tagger.tag(TagQuery(b"no picture", read_text=True))
