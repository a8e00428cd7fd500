"""Content that was taken in over the network, as a feed of the interest graph beside the folder's.

    storage.feed ─► rows ─► items, engagements with their keys ─► mining
         └────────► ids of keys ─► who and what of a corpus's state is not stored any more

It knows neither SQL nor what is made of items.
"""

from collections.abc import Iterable, Iterator

from inkling_server.interests.content import content_item
from inkling_server.interests.corpus_state import StoredKeys, item_hash, person_hash
from inkling_server.interests.feed import Engagement, Entry, FileMark, InvalidLine, Watermark
from inkling_server.interests.feeds import Stored
from inkling_server.interests.sources import source_names
from inkling_server.storage.feed import FeedEngagement, FeedItem, FeedMark, FeedRows

# In a watermark, beside names of files; those end in .jsonl or .jsonl.gz.
DATABASE = "database"
# What one takes as a line of a file, about: progress is told in bytes.
_ITEM_BYTES, _ENGAGEMENT_BYTES = 500, 100


class DatabaseReader:
    """A `Reader` of a database.

    Args:
        rows: what is new there.
    """

    def __init__(self, rows: FeedRows) -> None:
        self._rows = rows
        self.total_bytes = _ITEM_BYTES * rows.item_count + _ENGAGEMENT_BYTES * rows.engagement_count
        self.done_bytes = 0

    @property
    def watermark(self) -> Watermark:
        """See `Reader`."""
        mark = self._rows.mark
        return {} if mark is None else {DATABASE: FileMark(mark.seq, mark.token)}

    def __iter__(self) -> Iterator[Entry | Stored]:
        for item in self._rows.items():
            self._advance(_ITEM_BYTES)
            yield _item(item)
        for engagement in self._rows.engagements():
            self._advance(_ENGAGEMENT_BYTES)
            yield _engagement(engagement)
        # Some of what was counted may have been erased meanwhile.
        self.done_bytes = self.total_bytes

    def _advance(self, count: int) -> None:
        self.done_bytes = min(self.done_bytes + count, self.total_bytes)


class Unread:
    """A `Reader` of a feed that cannot be read this time: it stays where it was.

    Args:
        watermark: how far it was read.
    """

    total_bytes = done_bytes = 0

    def __init__(self, watermark: Watermark) -> None:
        self.watermark = {name: mark for name, mark in watermark.items() if name == DATABASE}

    def __iter__(self) -> Iterator[Entry | Stored]:
        return iter(())


def database_mark(watermark: Watermark) -> FeedMark | None:
    """How far the database was read."""
    mark = watermark.get(DATABASE)
    return None if mark is None else FeedMark(mark.offset, mark.head)


def gone(rows: FeedRows, known: StoredKeys, salt: bytes) -> StoredKeys:
    """Which people and items were read from the database and are not stored there any more.

    Somebody who came back after they were erased is somebody new, with another key. Ids are
    compared as well: in another database a key stands for somebody else.

    Args:
        rows: of the database as it is now.
        known: what was read.
        salt: of the hashes in `known`.
    """
    people = ((person_hash(name, salt), key) for key, name in rows.user_ids(known.people.values()))
    items = ((item_hash(name, salt), key) for key, name in rows.content_ids(known.items.values()))
    return StoredKeys(_without(known.people, people), _without(known.items, items))


def _without(known: dict[int, int], stored: Iterable[tuple[int, int]]) -> dict[int, int]:
    return dict(known.items() - stored)


def _item(item: FeedItem) -> Entry | Stored:
    if item.source not in source_names():
        return InvalidLine(f"source must be one of: {', '.join(source_names())}")
    values = {
        **item.texts,
        "id": item.content_id,
        "source": item.source,
        "location": item.location,
        "author_id": item.author_id,
        "created_time": item.created_time,
    }
    try:
        return Stored(content_item(values), item.author_key or 0, item.content_key)
    except ValueError as error:
        return InvalidLine(str(error))


def _engagement(row: FeedEngagement) -> Stored:
    engagement = Engagement(row.user_id, row.content_id, row.kind.name.lower(), row.time)
    return Stored(engagement, row.person_key)
