"""What was stored since somebody last read it, block by block, for a process that takes its time.

    mark ─► where it leaves off ─► items, by number ─► engagements, by number ─► mark
             └ wait for writers who have drawn a number and not committed yet

Everything written has a number (`feed_seq`). Numbers are drawn in order, and committed in any: who
read up to the largest number there is would miss the transaction that has drawn a smaller one and
commits later. So the reader notes the last number drawn, and waits until nobody is left of those
who hold the writers' lock then; each takes it before drawing. It takes no lock itself: nobody waits
for a reader.

A mark names a row of `feed_mark`. A database that does not have that row was never read, or was
restored from before it was read: it is read from its start, and whoever reads must know what they
know already. Each block is a transaction of its own: a long pass keeps no old rows from being
vacuumed, and does not see what was erased while it went on.

It blocks: it is meant for processes without an event loop. It does not know what is read for.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import psycopg
from psycopg import sql

from inkling_server.errors import StorageDown
from inkling_server.storage.database import translated
from inkling_server.storage.records import EngagementKind

# As in the trigger that takes it, see the first revision.
_LOCK = (1768844140, 1)
# A statement that writes takes half a minute at most.
_WRITERS_TIMEOUT_S = 60.0
_POLL_S = 0.02
# Items have texts, engagements have not.
_ITEMS_PER_BLOCK = 200
_ENGAGEMENTS_PER_BLOCK = 20_000
_KEYS_PER_BLOCK = 10_000
# Of graph versions that anybody may come back to; each of them is some bytes.
_KEPT_MARKS = 1_000
_CONNECT_TIMEOUT_S = 10

_ITEMS = """
SELECT c.feed_seq, c.content_key, c.content_id, c.source, c.texts, c.location, c.created_time,
       c.author_key, p.user_id
FROM content c LEFT JOIN person p ON p.person_key = c.author_key
WHERE c.feed_seq > %s AND c.feed_seq <= %s ORDER BY c.feed_seq LIMIT %s
"""
_ENGAGEMENTS = """
WITH block AS MATERIALIZED (
    SELECT feed_seq, person_key, content_key, kind, time FROM engagement
    WHERE feed_seq > %s AND feed_seq <= %s ORDER BY feed_seq LIMIT %s)
SELECT b.feed_seq, b.person_key, p.user_id, c.content_id, b.kind, b.time
FROM block b JOIN person p USING (person_key) JOIN content c USING (content_key)
ORDER BY b.feed_seq
"""


@dataclass(frozen=True, slots=True)
class FeedMark:
    """Up to where a database was read.

    Attributes:
        seq: the last number that was read.
        token: known to the database from then on.
    """

    seq: int
    token: str


@dataclass(frozen=True, slots=True)
class FeedItem:
    """An item as it is stored now; see `StoredContent`.

    Attributes:
        content_key: stands for it as long as it is stored, and for no other ever.
        author_key: the same of its author; None: nobody is named.
    """

    content_key: int
    content_id: str = field(repr=False)
    source: str = field(repr=False)
    texts: dict[str, Any] = field(repr=False)
    location: str = field(repr=False)
    created_time: datetime
    author_key: int | None
    author_id: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class FeedEngagement:
    """Somebody did something.

    Attributes:
        person_key: stands for them as long as something is stored of them, and for nobody else.
    """

    person_key: int
    user_id: str = field(repr=False)
    content_id: str = field(repr=False)
    kind: EngagementKind
    time: datetime


class FeedRows:
    """One pass over what is new; `open_feed` makes it. Every method may raise StorageDown.

    Attributes:
        item_count: items that are new.
        engagement_count: engagements that are new.
        mark: to be kept once all of it is read; None: nothing was ever stored.
    """

    def __init__(self, connection: psycopg.Connection, mark: FeedMark | None) -> None:
        self._connection = connection
        known = mark is not None and self._knows(mark)
        self._start = mark.seq if mark is not None and known else 0
        self._end = _committed(connection)
        self.item_count, self.engagement_count = self._counts()
        self.mark = mark if known else None
        if self.item_count or self.engagement_count:
            self.mark = self._set_mark()

    def items(self) -> Iterator[FeedItem]:
        """The new items, in the order of their numbers."""
        for row in self._rows(_ITEMS, _ITEMS_PER_BLOCK):
            _, content_key, content_id, source, texts, location, time_, author_key, author = row
            yield FeedItem(
                *(content_key, content_id, source, texts, location, time_, author_key, author)
            )

    def engagements(self) -> Iterator[FeedEngagement]:
        """The new engagements, in the order of their numbers; their items come in `items`, or came
        before."""
        for row in self._rows(_ENGAGEMENTS, _ENGAGEMENTS_PER_BLOCK):
            _, person_key, user_id, content_id, kind, time_ = row
            yield FeedEngagement(person_key, user_id, content_id, EngagementKind(kind), time_)

    def user_ids(self, person_keys: Iterable[int]) -> Iterator[tuple[int, str]]:
        """Key and user id of those of these people of whom something is stored."""
        query = "SELECT person_key, user_id FROM person WHERE person_key = ANY(%s::bigint[])"
        return self._named(query, person_keys)

    def content_ids(self, content_keys: Iterable[int]) -> Iterator[tuple[int, str]]:
        """Key and id of those of these items that are stored."""
        query = "SELECT content_key, content_id FROM content WHERE content_key = ANY(%s::bigint[])"
        return self._named(query, content_keys)

    def _rows(self, query: str, block_count: int) -> Iterator[tuple[Any, ...]]:
        last = self._start
        while True:
            rows = self._fetch(query, [last, self._end, block_count])
            if not rows:
                return
            yield from rows
            last = rows[-1][0]

    def _named(self, query: str, keys: Iterable[int]) -> Iterator[tuple[int, str]]:
        wanted = list(keys)
        for start in range(0, len(wanted), _KEYS_PER_BLOCK):
            yield from self._fetch(query, [wanted[start : start + _KEYS_PER_BLOCK]])

    def _fetch(self, query: str, values: Sequence[object]) -> list[Any]:
        with translated(), self._connection.cursor(binary=True) as cursor:
            return cursor.execute(query.encode(), values).fetchall()

    def _knows(self, mark: FeedMark) -> bool:
        query = "SELECT 1 FROM feed_mark WHERE token::text = %s AND seq = %s"
        return bool(self._fetch(query, [mark.token, mark.seq]))

    def _counts(self) -> tuple[int, int]:
        bounds = [self._start, self._end]
        ((items, engagements),) = self._fetch(
            "SELECT (SELECT count(*) FROM content WHERE feed_seq > %s AND feed_seq <= %s),"
            " (SELECT count(*) FROM engagement WHERE feed_seq > %s AND feed_seq <= %s)",
            bounds + bounds,
        )
        return items, engagements

    def _set_mark(self) -> FeedMark:
        ((token,),) = self._fetch(
            "INSERT INTO feed_mark (seq) VALUES (%s) RETURNING token::text", [self._end]
        )
        with translated():
            self._connection.execute(
                "DELETE FROM feed_mark WHERE seq < (SELECT seq FROM feed_mark ORDER BY seq DESC"
                " OFFSET %s LIMIT 1)",
                [_KEPT_MARKS],
            )
        return FeedMark(self._end, token)


@contextmanager
def open_feed(url: str, mark: FeedMark | None) -> Iterator[FeedRows]:
    """What was stored since a mark, as of now; what is stored later is not read.

    Args:
        url: of a database with all tables.
        mark: up to where it was read; None: it never was.

    Raises:
        StorageDown: the database does not answer, or a transaction that writes does not end.
    """
    with _connection(url) as connection:
        yield FeedRows(connection, mark)


def has_feed_begun(url: str) -> bool:
    """Whether anything was ever stored in a database with all tables. Raises StorageDown."""
    with _connection(url) as connection, translated():
        row = connection.execute("SELECT is_called FROM feed_seq").fetchone()
    return bool(row and row[0])


@contextmanager
def _connection(url: str) -> Iterator[psycopg.Connection]:
    with translated():
        connection = psycopg.connect(
            url,
            autocommit=True,
            connect_timeout=_CONNECT_TIMEOUT_S,
            application_name="inkling-feed",
        )
    with connection:
        with translated():
            connection.execute(
                "SELECT set_config('statement_timeout', '0', false),"
                " set_config('timezone', 'UTC', false)"
            )
        yield connection


def _committed(connection: psycopg.Connection) -> int:
    """A number up to which everything is committed, or never will be.

    The writers' lock is released after the transaction is seen by others, see
    https://www.postgresql.org/docs/18/explicit-locking.html#ADVISORY-LOCKS.
    """
    holders = sql.SQL(
        "SELECT virtualtransaction FROM pg_locks WHERE locktype = 'advisory' AND granted"
        " AND classid = {} AND objid = {} AND objsubid = 2"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    ).format(*_LOCK)
    with translated():
        row = connection.execute("SELECT last_value, is_called FROM feed_seq").fetchone()
        if row is None or not row[1]:
            return 0
        awaited = {name for (name,) in connection.execute(holders).fetchall()}
        deadline_s = time.monotonic() + _WRITERS_TIMEOUT_S
        while awaited:
            awaited &= {name for (name,) in connection.execute(holders).fetchall()}
            if awaited and time.monotonic() > deadline_s:
                raise StorageDown("a transaction that writes does not end")
            if awaited:
                time.sleep(_POLL_S)
    return int(row[0])
