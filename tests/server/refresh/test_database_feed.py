"""The database as a feed of the graph, mined in this process; what is erased there is forgotten."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from inkling_server.interests.corpus_state import CorpusState, StoredKeys
from inkling_server.interests.corpus_state_files import load_state, load_stored_keys, save_state
from inkling_server.interests.feed import FileMark, FolderFeed
from inkling_server.interests.feeds import JoinedReader
from inkling_server.interests.mining import MiningCounts, mine
from inkling_server.interests.text.preprocess import TextSettings
from inkling_server.refresh.database_feed import (
    DATABASE,
    DatabaseReader,
    Unread,
    database_mark,
    gone,
)
from inkling_server.storage import Storage
from inkling_server.storage.feed import open_feed
from inkling_server.storage.records import EngagementKind, StoredContent
from tests.refresh_content import posts, write_posts
from tests.server.storage_kit import engagement, item

READ_TIME = datetime(2026, 11, 26, tzinfo=UTC)


def stored(subject: str, count: int, *, seed: int, author_id: str | None) -> list[StoredContent]:
    """Items about a subject, all of one author."""
    return [
        item(post["id"], texts={"caption": post["caption"]}, author_id=author_id)
        for post in posts(subject, count, seed=seed)
    ]


class Corpus:
    """A state that is saved and loaded around each pass, as by one process after the other.

    Args:
        folder: of files and of the state.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = CorpusState()
        self.forgotten = StoredKeys()
        self.told: list[tuple[int, int]] = []
        self._passes = 0

    def read(self, url: str | None) -> MiningCounts:
        """One refresh's reading."""
        folder = FolderFeed(self.folder / "content").open(self.state.watermark)
        if url is None:
            return self._mine(JoinedReader([folder, Unread(self.state.watermark)]))
        with open_feed(url, database_mark(self.state.watermark)) as rows:
            self.forgotten = gone(rows, self.state.stored, self.state.salt)
            self.state.forget(self.forgotten)
            return self._mine(JoinedReader([folder, DatabaseReader(rows)]))

    def _mine(self, reader: JoinedReader) -> MiningCounts:
        self.told = []
        counts = mine(
            reader,
            self.state,
            text=TextSettings(),
            read_time=READ_TIME,
            on_progress=lambda done, total: self.told.append((done, total)),
        )
        self._passes += 1
        files = self.folder / f"state-{self._passes}"
        files.mkdir()
        save_state(self.state, files)
        assert load_stored_keys(files) == (self.state.stored, self.state.salt)
        self.state = load_state(files)
        return counts

    def knows(self, *user_ids: str) -> list[bool]:
        """Whether it remembers people."""
        waiting = {person for person, _ in self.state.pending}
        known = self.state.people.keys() | self.state.stored.people.keys() | waiting
        return [self.state.person_hash(user_id) in known for user_id in user_ids]


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    return Corpus(tmp_path)


async def test_items_and_engagements_of_the_database_are_mined_once(
    storage: Storage, database_url: str, corpus: Corpus
) -> None:
    await storage.content.put(stored("magenta kite", 8, seed=1, author_id="ann"))
    names = [post["id"] for post in posts("magenta kite", 8, seed=1)]
    rows = [engagement("bob", name) for name in names]
    await storage.engagements.record([*rows, engagement("eve", names[0], EngagementKind.HIDE)])
    counts = corpus.read(database_url)
    assert (counts.item_count, counts.kept_count, counts.engagement_count) == (8, 8, 9)
    assert ("magenta", "kite") in corpus.state.records
    assert corpus.knows("ann", "bob", "eve") == [True, True, False]
    assert len(corpus.state.stored.items) == 8
    assert corpus.told[-1] == (4_900, 4_900)
    assert all(done <= total for done, total in corpus.told)
    assert list(corpus.state.watermark) == [DATABASE]
    again = corpus.read(database_url)
    assert (again.item_count, again.engagement_count) == (0, 0)
    assert corpus.forgotten == StoredKeys()
    assert corpus.told[-1] == (0, 0)


async def test_folder_and_database_are_one_corpus(
    storage: Storage, database_url: str, corpus: Corpus
) -> None:
    write_posts(corpus.folder / "content", "feed", posts("magenta kite", 3, seed=1))
    await storage.content.put(stored("tree frog", 4, seed=2, author_id="ann"))
    await storage.content.put(stored("magenta kite", 3, seed=1, author_id="ann"))
    (liked, *_) = posts("magenta kite", 3, seed=1)
    await storage.engagements.record([engagement("bob", liked["id"])])
    counts = corpus.read(database_url)
    assert (counts.item_count, counts.kept_count) == (10, 7)  # three are in both
    assert corpus.knows("bob") == [True]
    assert set(corpus.state.watermark) == {DATABASE, "feed.jsonl"}


async def test_database_that_is_not_read_once_goes_on_where_it_was(
    storage: Storage, database_url: str, corpus: Corpus
) -> None:
    await storage.content.put(stored("magenta kite", 3, seed=1, author_id="ann"))
    corpus.read(database_url)
    mark = corpus.state.watermark[DATABASE]
    write_posts(corpus.folder / "content", "feed", posts("tree frog", 2, seed=2))
    assert corpus.read(None).item_count == 2
    assert corpus.state.watermark[DATABASE] == mark
    assert corpus.knows("ann") == [True]
    await storage.content.put(stored("sea", 1, seed=3, author_id="ann"))
    assert corpus.read(database_url).item_count == 1


def test_only_the_databases_mark_is_kept_of_what_is_not_read() -> None:
    assert Unread({"a.jsonl": FileMark(1, "x")}).watermark == {}


async def test_item_that_no_source_reads_is_counted_and_skipped(
    storage: Storage, database_url: str, corpus: Corpus
) -> None:
    (first, second) = stored("magenta kite", 2, seed=1, author_id=None)
    await storage.content.put([first, item("odd", source="of a plug-in that is gone"), second])
    counts = corpus.read(database_url)
    assert (counts.kept_count, counts.invalid_count) == (2, 1)


async def test_erased_person_is_forgotten_and_others_are_not(
    storage: Storage, database_url: str, corpus: Corpus
) -> None:
    anns = stored("magenta kite", 5, seed=1, author_id="ann")
    bobs = stored("tree frog", 5, seed=2, author_id="bob")
    await storage.content.put([*anns, *bobs, item("empty", texts={"caption": ""})])
    names = [row.content_id for row in [*anns, *bobs]]
    await storage.engagements.record(
        [
            *(engagement(user, name) for user in ("ann", "carl") for name in names),
            # Of an item that nothing is mined of: these wait for it.
            engagement("ann", "empty"),
            engagement("dora", "empty"),
        ]
    )
    corpus.read(database_url)
    assert corpus.knows("ann", "bob", "carl", "dora") == [True] * 4
    samples = len(corpus.state.sample)
    liked = len(corpus.state.people[corpus.state.person_hash("carl")])
    await storage.people.erase("ann")
    # Comes back before anybody looks.
    await storage.content.put([item("c", texts={"caption": "porcelain teapots and ceramic glaze"})])
    await storage.engagements.record([engagement("ann", "c", request_id="new")])
    counts = corpus.read(database_url)
    state = corpus.state
    assert counts.item_count == 1
    assert len(corpus.forgotten.people) == 1
    assert len(corpus.forgotten.items) == 5
    assert corpus.knows("bob", "carl", "dora") == [True] * 3
    assert len(state.people[state.person_hash("carl")]) == liked
    now_ann = set(state.people[state.person_hash("ann")])
    assert now_ann
    assert not now_ann & set(state.people[state.person_hash("carl")])
    # Nothing of what ann posted, and none of what they did; the counts are nobody's.
    assert not {state.item_hash(row.content_id) for row in anns} & state.items.keys()
    assert len(state.sample) == len(state.sample_items) == samples - 5 + 1
    assert not any("kite" in words for words in state.sample)
    assert all(person != state.person_hash("ann") for person, _ in state.pending)
    assert state.records["magenta", "kite"].document_count == 5


async def test_erasing_is_noticed_where_nothing_else_is_new(
    storage: Storage, database_url: str, corpus: Corpus
) -> None:
    await storage.content.put(stored("magenta kite", 3, seed=1, author_id="ann"))
    corpus.read(database_url)
    await storage.people.erase("ann")
    corpus.read(database_url)
    assert (len(corpus.forgotten.people), len(corpus.forgotten.items)) == (1, 3)
    assert corpus.knows("ann") == [False]
    assert corpus.state.stored == StoredKeys()
    corpus.read(database_url)
    assert corpus.forgotten == StoredKeys()


async def test_keys_of_another_database_say_nothing_of_this_one(
    storage: Storage, database_url: str, corpus: Corpus
) -> None:
    await storage.content.put(stored("magenta kite", 3, seed=1, author_id="ann"))
    corpus.read(database_url)
    state = corpus.state
    # As if it had been read from another one, where the same keys were somebody else's.
    mark = state.watermark[DATABASE]
    state.watermark[DATABASE] = FileMark(mark.offset, "00000000-0000-0000-0000-000000000000")
    (key,) = state.stored.people.values()
    state.people = {1: state.people[state.person_hash("ann")]}
    state.stored.people = {1: key}
    assert corpus.read(database_url).item_count == 3
    assert corpus.forgotten.people == {1: key}
    assert 1 not in corpus.state.people


async def test_progress_reaches_the_total_also_where_something_is_erased_meanwhile(
    storage: Storage, database_url: str
) -> None:
    await storage.content.put(stored("magenta kite", 3, seed=1, author_id="ann"))
    with open_feed(database_url, None) as rows:
        reader = DatabaseReader(rows)
        await storage.people.erase("ann")
        assert list(reader) == []
        assert reader.done_bytes == reader.total_bytes > 0
