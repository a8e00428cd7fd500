"""Storing items with both clients, against a scripted server on a real socket."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

from inkling_client import (
    AsyncInklingClient,
    Context,
    FileUnreadable,
    GeoPoint,
    ImageInvalid,
    ImageTooLarge,
    IngestedContent,
    IngestItem,
    StorageDown,
)
from inkling_client.errors import ArgumentOutOfRange
from tests.client.fake_content import STORAGE_DOWN, FakeContent
from tests.client.fake_server import INVALID, MAX_IMAGE_BYTES, RunningServer, overloaded
from tests.client.people_face import Outcomes, PeopleFace

TIME = datetime(2026, 11, 2, 10, 0, tzinfo=timezone(timedelta(hours=1)))


def items(count: int) -> list[IngestItem]:
    return [
        IngestItem(content_id=f"pin-{number}", image=f"picture {number}".encode())
        for number in range(count)
    ]


def stored_ids(outcomes: Outcomes) -> list[str]:
    return sorted(
        outcome.content_id for _, outcome in outcomes if isinstance(outcome, IngestedContent)
    )


async def test_every_item_is_stored_and_comes_back_with_its_outcome(
    people: PeopleFace, content: FakeContent
) -> None:
    sent = items(200)
    outcomes = await people.ingest(sent)
    assert len(outcomes) == 200
    for item, outcome in outcomes:
        assert isinstance(outcome, IngestedContent)
        assert outcome.content_id == item.content_id
        assert outcome.created
        assert (outcome.graph_version, outcome.model_version) == ("g1", "fake:1:00")
    assert {id(item) for item, _ in outcomes} == {id(item) for item in sent}
    assert content.stream_count == 1


async def test_an_item_travels_whole(
    people: PeopleFace, content: FakeContent, tmp_path: Path
) -> None:
    (tmp_path / "a.jpg").write_bytes(b"cat")
    context = Context(
        caption="a",
        hashtags=("b", "c"),
        overlay_text="d",
        comments=("e",),
        title="f",
        transcript="g",
        location="Lisbon",
        body="h",
        source="publisher",
    )
    item = IngestItem(
        content_id="p",
        image=tmp_path / "a.jpg",
        context=context,
        author_id="ann",
        created_time=TIME,
        point=GeoPoint(38.7, -9.1),
    )
    ((_, outcome),) = await people.ingest([item])
    assert isinstance(outcome, IngestedContent)
    assert content.items["p"].image == b"cat"
    found = await people.call(people.client.content, "get", "p")
    assert found.context == context
    assert found.author_id == "ann"
    assert found.created_time == datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
    assert found.point == GeoPoint(38.7, -9.1)
    assert found.has_embedding
    assert found.tags[0].explanation.picture_logit == 1.5


async def test_an_item_of_texts_alone_has_no_picture(
    people: PeopleFace, content: FakeContent
) -> None:
    await people.ingest([IngestItem(content_id="p", context=Context(caption="a cat"))])
    sent = content.items["p"]
    assert (sent.image, sent.item.context.caption) == (b"", "a cat")
    assert not sent.item.HasField("created_time")
    assert not sent.item.HasField("point")
    found = await people.call(people.client.content, "get", "p")
    assert found.point is None
    assert not found.has_embedding


async def test_bad_items_are_values_and_end_nothing(
    people: PeopleFace, content: FakeContent, tmp_path: Path
) -> None:
    content.script["text"] = [INVALID]
    outcomes = await people.ingest(
        [
            IngestItem(content_id="good", image=b"cat"),
            IngestItem(content_id="text", image=b"text"),
            IngestItem(content_id="missing", image=tmp_path / "missing.jpg"),
            IngestItem(content_id="large", image=bytes(MAX_IMAGE_BYTES + 1)),
            IngestItem(content_id="half \ud83d"),
            IngestItem(content_id="half", context=Context(comments=("\ud83d",))),
            IngestItem(content_id="also good"),
        ]
    )
    kinds = {item.content_id: type(outcome) for item, outcome in outcomes}
    assert kinds == {
        "good": IngestedContent,
        "text": ImageInvalid,
        "missing": FileUnreadable,
        "large": ImageTooLarge,
        "half \ud83d": ArgumentOutOfRange,
        "half": ArgumentOutOfRange,
        "also good": IngestedContent,
    }
    (half,) = [outcome for item, outcome in outcomes if item.content_id == "half"]
    assert "half a character" in str(half)
    assert sorted(content.stored) == ["also good", "good"]


async def test_items_are_drawn_no_further_than_the_window(
    people: PeopleFace, content: FakeContent
) -> None:
    drawn = 0

    def endless() -> Iterator[IngestItem]:
        nonlocal drawn
        for item in items(60):
            drawn += 1
            yield item

    content.hold = True
    ingest = asyncio.create_task(people.ingest(endless(), max_in_flight=7))
    await asyncio.to_thread(content.wait_for_received, 1)
    assert drawn <= 7
    content.release()
    assert len(await ingest) == 60


async def test_a_broken_connection_loses_nothing_and_doubles_nothing(
    people: PeopleFace, content: FakeContent
) -> None:
    content.break_at = 30
    outcomes = await people.ingest(items(100), max_in_flight=8)
    assert stored_ids(outcomes) == sorted(f"pin-{n}" for n in range(100))
    assert content.stream_count == 2
    assert len(content.items) == 100
    # Those whose answers were lost were stored twice, which replaced them: that of the break, and
    # whichever of the others under way it overtook.
    replaced = {
        o.content_id for _, o in outcomes if isinstance(o, IngestedContent) and not o.created
    }
    assert {"pin-29"} <= replaced <= {f"pin-{n}" for n in range(22, 30)}
    assert {one for one in content.stored if content.stored.count(one) > 1} == replaced
    assert len(content.stored) == 100 + len(replaced)


async def test_a_server_that_starts_again_gets_what_is_left(
    people: PeopleFace, content: FakeContent, people_server: RunningServer
) -> None:
    content.hold = True
    ingest = asyncio.create_task(people.ingest(items(40), max_in_flight=10))
    await asyncio.to_thread(content.wait_for_received, 1)
    await asyncio.to_thread(people_server.stop)
    content.release()
    people_server.start()
    assert len(stored_ids(await ingest)) == 40
    assert len(content.items) == 40


async def test_a_database_that_is_away_for_a_moment_costs_nothing(
    people: PeopleFace, content: FakeContent
) -> None:
    content.script["pin-1"] = [STORAGE_DOWN, overloaded(0.01)]
    assert len(stored_ids(await people.ingest(items(3)))) == 3


async def test_a_database_that_stays_away_is_an_error_of_each_item(
    people: PeopleFace, content: FakeContent
) -> None:
    content.script["pin-1"] = [STORAGE_DOWN] * 50
    outcomes = {item.content_id: outcome for item, outcome in await people.ingest(items(3))}
    assert isinstance(outcomes["pin-1"], StorageDown)
    assert isinstance(outcomes["pin-2"], IngestedContent)


async def test_breaking_out_ends_the_stream(people: PeopleFace, content: FakeContent) -> None:
    assert len(await people.ingest(items(500), stop_after=3, max_in_flight=4)) == 3
    assert len(content.stored) <= 20


async def test_asynchronous_items(people_server: RunningServer, content: FakeContent) -> None:
    async def some() -> AsyncIterator[IngestItem]:
        for item in items(3):
            yield item

    async with AsyncInklingClient(people_server.target) as client:
        ids = [item.content_id async for item, _ in client.content.ingest(some())]
    assert sorted(ids) == ["pin-0", "pin-1", "pin-2"]
