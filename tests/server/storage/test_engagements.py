"""Recording what people do, once each."""

import asyncio
from datetime import timedelta

import pytest

from inkling_server.storage import Storage, open_storage
from inkling_server.storage.records import EngagementKind, Recorded
from tests.server.storage_kit import NOW, engagement, item


async def test_rows_are_recorded_once(storage: Storage) -> None:
    await storage.content.put([item("a"), item("b")])
    rows = [engagement("ann", "a"), engagement("ann", "b", hours=2), engagement("bob", "a")]
    assert await storage.engagements.record(rows) == Recorded(3, 0, ())
    assert await storage.engagements.record([*rows, engagement("bob", "b")]) == Recorded(1, 3, ())
    person = await storage.people.find("ann")
    assert person is not None
    assert person.engagement_count == 2
    assert person.last_time == NOW + timedelta(hours=2)


async def test_a_request_id_counts_within_its_person_and_within_one_call(storage: Storage) -> None:
    await storage.content.put([item("a"), item("b")])
    rows = [
        engagement("ann", "a", request_id="1"),
        engagement("ann", "b", request_id="1"),
        engagement("bob", "a", request_id="1"),
    ]
    assert await storage.engagements.record(rows) == Recorded(2, 1, ())


async def test_unknown_items_are_named_and_cost_the_others_nothing(storage: Storage) -> None:
    await storage.content.put([item("a")])
    rows = [engagement("ann", "x"), engagement("ann", "a"), engagement("bob", "y")]
    assert await storage.engagements.record(rows) == Recorded(1, 0, (0, 2))
    assert await storage.people.find("bob") is None
    assert await storage.engagements.record(rows[:1]) == Recorded(0, 0, (0,))
    assert await storage.engagements.record([]) == Recorded(0, 0, ())


async def test_versions_rise_only_with_what_is_new(storage: Storage) -> None:
    await storage.content.put([item("a"), item("b")])
    await storage.engagements.record([engagement("ann", "a")])
    first = await storage.people.find("ann")
    await storage.engagements.record([engagement("ann", "a"), engagement("bob", "a")])
    assert await storage.people.find("ann") == first
    await storage.engagements.record([engagement("ann", "b")])
    later = await storage.people.find("ann")
    assert first is not None
    assert later is not None
    assert later.engagement_version == first.engagement_version + 1


async def test_the_same_rows_from_many_sides_are_recorded_once(database_url: str) -> None:
    async with open_storage(database_url) as here, open_storage(database_url) as there:
        await here.content.put([item(f"c{i}") for i in range(20)])
        rows = [engagement(f"u{i % 30}", f"c{i % 20}", hours=i) for i in range(600)]
        calls = [
            side.engagements.record(part)
            for side in (here, there)
            for part in (rows, rows[::-1], rows[300:] + rows[:300])
        ]
        results = await asyncio.gather(*calls)
        assert sum(result.recorded_count for result in results) == 600
        assert sum(result.duplicate_count for result in results) == 5 * 600


async def test_recording_and_deleting_at_once_leaves_nothing_half(database_url: str) -> None:
    async with open_storage(database_url) as storage:
        items = [item(f"c{i}", author_id=f"u{i % 3}") for i in range(12)]
        await storage.content.put(items)

        async def record(start: int) -> None:
            for i in range(15):
                await storage.engagements.record(
                    [engagement(f"u{j}", f"c{(j * start) % 12}", hours=i) for j in range(10)]
                )

        async def delete() -> None:
            for i in range(10):
                await storage.content.delete([f"c{j}" for j in range(i % 4, 12)])
                await storage.content.put(items[::-1])
                await storage.people.erase(f"u{i % 3}")

        await asyncio.gather(record(1), record(5), record(7), delete())
        async with storage.database.cursor() as cursor:
            await cursor.execute("SELECT count(*) FROM engagement JOIN content USING (content_key)")
            joined = await cursor.fetchone()
            await cursor.execute("SELECT count(*) FROM engagement")
            assert await cursor.fetchone() == joined
            await cursor.execute(
                "SELECT user_id FROM person p, LATERAL (SELECT count(*), max(time) FROM"
                " engagement e"
                " WHERE e.person_key = p.person_key) AS real (count, time)"
                " WHERE (engagement_count, last_time) IS DISTINCT FROM (real.count, real.time)"
            )
            assert await cursor.fetchall() == []


async def test_old_engagements_expire_and_people_with_nothing_left_go(storage: Storage) -> None:
    await storage.content.put([item("a", author_id="author"), item("b")])
    await storage.engagements.record(
        [
            engagement("old", "a", hours=-10),
            engagement("both", "a", hours=-10),
            engagement("both", "b", hours=1),
            engagement("author", "b", hours=-10),
        ]
    )
    before = await storage.people.find("both")
    assert await storage.engagements.expire(NOW) == 3
    assert await storage.people.find("old") is None
    both, author = await storage.people.find("both"), await storage.people.find("author")
    assert before is not None
    assert both is not None
    assert author is not None
    assert (both.engagement_count, author.engagement_count) == (1, 0)
    assert both.engagement_version > before.engagement_version
    assert await storage.engagements.expire(NOW) == 0


@pytest.mark.parametrize("kind", EngagementKind)
async def test_every_kind_is_recorded(storage: Storage, kind: EngagementKind) -> None:
    await storage.content.put([item("a")])
    assert (await storage.engagements.record([engagement("ann", "a", kind)])).recorded_count == 1
    person = await storage.people.find("ann")
    assert person is not None
    engaged = await storage.people.engaged(person.key, limit=1)
    assert engaged.kinds_M.tolist() == [kind]
