"""Reading what is new in the database: nothing twice, nothing missed."""

import subprocess
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

from inkling_server.errors import StorageDown
from inkling_server.storage import Storage, feed
from inkling_server.storage.feed import FeedItem, FeedMark, has_feed_begun, open_feed
from inkling_server.storage.postgres_install import find_postgres
from inkling_server.storage.records import EngagementKind
from tests.server.storage_kit import NOW, engagement, item
from tests.serving import until


class Seen:
    """What one pass read."""

    def __init__(self, url: str, mark: FeedMark | None = None) -> None:
        with open_feed(url, mark) as reader:
            self.counts = reader.item_count, reader.engagement_count
            self.items = list(reader.items())
            self.engagements = list(reader.engagements())
            self.mark = reader.mark

    @property
    def ids(self) -> list[str]:
        """Of its items."""
        return [item.content_id for item in self.items]


async def test_everything_is_read_once_with_what_is_known_of_it(
    storage: Storage, database_url: str
) -> None:
    assert not has_feed_begun(database_url)
    empty = Seen(database_url)
    assert (empty.counts, empty.items, empty.engagements, empty.mark) == ((0, 0), [], [], None)
    texts = {"caption": "a cat", "hashtags": ["cat", "cats"], "comments": ["nice"]}
    post = item("a", author_id="ann", texts=texts, location="Bergen", source="publisher")
    await storage.content.put([post, item("b")])
    await storage.engagements.record([engagement("bob", "a"), engagement("bob", "b", hours=1)])
    first = Seen(database_url)
    assert has_feed_begun(database_url)
    assert first.counts == (2, 2)
    ann, bob = [await storage.people.find(name) for name in ("ann", "bob")]
    assert ann is not None
    assert bob is not None
    (key,) = (await storage.content.keys(["a"])).values()
    assert first.items[0] == FeedItem(key, "a", "publisher", texts, "Bergen", NOW, ann.key, "ann")
    assert (first.items[1].author_key, first.items[1].author_id) == (None, None)
    assert [(e.person_key, e.user_id, e.content_id, e.kind) for e in first.engagements] == [
        (bob.key, "bob", "a", EngagementKind.SAVE),
        (bob.key, "bob", "b", EngagementKind.SAVE),
    ]
    assert first.engagements[0].time == NOW
    assert "ann" not in repr(first.items) + repr(first.engagements)
    again = Seen(database_url, first.mark)
    assert (again.counts, again.items, again.engagements, again.mark) == (
        (0, 0),
        [],
        [],
        first.mark,
    )
    await storage.content.put([item("c")])
    assert Seen(database_url, first.mark).ids == ["c"]


async def test_blocks_have_neither_gaps_nor_overlaps(
    storage: Storage, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "_ITEMS_PER_BLOCK", 3)
    monkeypatch.setattr(feed, "_ENGAGEMENTS_PER_BLOCK", 4)
    await storage.content.put([item(f"p{n}") for n in range(10)])
    await storage.engagements.record([engagement("ann", f"p{n}") for n in range(10)])
    seen = Seen(database_url)
    assert sorted(seen.ids) == sorted(e.content_id for e in seen.engagements)
    assert len(set(seen.ids)) == len(seen.ids) == len(seen.engagements) == 10


async def test_item_that_is_replaced_is_not_read_again_and_neither_is_a_repeated_engagement(
    storage: Storage, database_url: str
) -> None:
    await storage.content.put([item("a")])
    await storage.engagements.record([engagement("ann", "a")])
    mark = Seen(database_url).mark
    await storage.content.put([item("a", texts={"caption": "another text"}), item("b")])
    await storage.engagements.record([engagement("ann", "a")])
    seen = Seen(database_url, mark)
    assert (seen.ids, seen.engagements) == (["b"], [])


async def test_what_is_erased_while_a_pass_goes_on_is_not_read(
    storage: Storage, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "_ITEMS_PER_BLOCK", 1)
    await storage.content.put([item("a")])
    await storage.content.put([item("b", author_id="ann")])
    await storage.engagements.record([engagement("ann", "a"), engagement("bob", "a")])
    with open_feed(database_url, None) as reader:
        items = reader.items()
        assert next(items).content_id == "a"
        await storage.people.erase("ann")
        assert list(items) == []
        assert [e.user_id for e in reader.engagements()] == ["bob"]


def _store(session: psycopg.Connection, name: str) -> None:
    """An item, written in another transaction than Storage's, which ends when the test likes."""
    session.execute(
        "INSERT INTO content (content_id, created_time, source, location, graph_version,"
        " model_version, texts, explanations) VALUES (%s, now(), '', '', '', '', '{}', '{}')",
        [name],
    )


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True, capture_output=True)


async def test_transaction_that_commits_late_is_waited_for_and_not_missed(
    storage: Storage, database_url: str
) -> None:
    with ThreadPoolExecutor(1) as threads, psycopg.connect(database_url) as late:
        _store(late, "late")
        await storage.content.put([item("early")])  # a greater number, committed before
        reading: Future[Seen] = threads.submit(Seen, database_url)
        with psycopg.connect(database_url, autocommit=True) as watcher:

            def is_waiting() -> bool:
                query = (
                    "SELECT 1 FROM pg_stat_activity WHERE application_name = 'inkling-feed'"
                    " AND query LIKE '%pg_locks%' AND datname = current_database()"
                )
                return watcher.execute(query).fetchone() is not None

            await until(is_waiting)
            assert not reading.done()
            # Nobody waits for the reader meanwhile.
            await storage.content.put([item("later")])
            assert not reading.done()
        late.commit()
        seen = reading.result(20)
    assert seen.ids == ["late", "early"]
    assert Seen(database_url, seen.mark).ids == ["later"]


async def test_transaction_that_is_rolled_back_leaves_a_gap_only(
    storage: Storage, database_url: str
) -> None:
    with psycopg.connect(database_url) as session:
        _store(session, "never")
        session.rollback()
    assert Seen(database_url).counts == (0, 0)
    await storage.content.put([item("a")])
    assert Seen(database_url).ids == ["a"]


async def test_transaction_that_does_not_end_fails_the_reading(
    storage: Storage, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "_WRITERS_TIMEOUT_S", 0.1)
    with psycopg.connect(database_url) as session:
        _store(session, "late")
        with pytest.raises(StorageDown, match="does not end"):
            Seen(database_url)


async def test_database_that_was_restored_from_before_the_reading_is_read_from_its_start(
    storage: Storage, database_url: str, empty_database_url: str, tmp_path: Path
) -> None:
    await storage.content.put([item("a")])
    before = Seen(database_url).mark
    dump = tmp_path / "dump.sql"
    tools = find_postgres().folder
    _run(tools / "pg_dump", database_url, "-f", dump)
    await storage.content.put([item("lost")])
    after = Seen(database_url, before).mark
    _run(tools / "psql", "-v", "ON_ERROR_STOP=1", "-q", "-d", empty_database_url, "-f", dump)
    with psycopg.connect(empty_database_url) as session:
        # As many as were lost, and more: the numbers alone would not tell.
        for name in ("b", "c", "d"):
            _store(session, name)
    # What was read before the dump is known to it, also under the new name.
    assert Seen(empty_database_url, before).ids == ["b", "c", "d"]
    assert Seen(empty_database_url, after).ids == ["a", "b", "c", "d"]


async def test_keys_name_what_is_still_stored_and_never_anything_else(
    storage: Storage, database_url: str
) -> None:
    await storage.content.put([item("a", author_id="ann"), item("b")])
    await storage.engagements.record([engagement("ann", "b"), engagement("bob", "b")])
    keys = {e.user_id: e.person_key for e in Seen(database_url).engagements}
    items = await storage.content.keys(["a", "b"])
    await storage.people.erase("ann")
    await storage.engagements.record([engagement("ann", "b", request_id="anew")])
    await storage.content.put([item("a")])
    with open_feed(database_url, None) as reader:
        assert list(reader.user_ids(keys.values())) == [(keys["bob"], "bob")]
        assert list(reader.content_ids(items.values())) == [(items["b"], "b")]


async def test_old_marks_are_not_kept_for_ever(
    storage: Storage, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "_KEPT_MARKS", 2)
    marks: list[FeedMark | None] = [None]
    for n in range(5):
        await storage.content.put([item(f"p{n}")])
        marks.append(Seen(database_url, marks[-1]).mark)
    with psycopg.connect(database_url) as session:
        (count,) = session.execute("SELECT count(*) FROM feed_mark").fetchone() or (0,)
    assert count == 3
    assert Seen(database_url, marks[-1]).counts == (0, 0)


async def test_database_that_is_not_there_is_down_and_its_url_is_not_repeated(
    tmp_path: Path,
) -> None:
    for url in (f"postgresql://ann:secret@/x?host={tmp_path}", "nonsense secret"):
        with ExitStack() as stack:
            with pytest.raises(Exception) as caught:  # noqa: PT011 - of two kinds
                stack.enter_context(open_feed(url, None))
            assert "secret" not in str(caught.value)
            assert caught.value.__cause__ is None
