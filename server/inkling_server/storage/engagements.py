"""What people do with items: recorded once each, and forgotten after a while.

    rows ─► items that there are ─► people ─► INSERT ... DO NOTHING ─► counts, version + 1
            locked against deletion  made, locked

All of it is a few statements over arrays, whatever the number of rows. A request id is kept as the
first 16 bytes of its SHA-256: enough to know it again, and nothing to read.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from inkling_server.storage.database import LONG_TIMEOUT_S, WRITE_TIMEOUT_S, Connection, Database
from inkling_server.storage.person_rows import add_counts, forget_counts, make_people
from inkling_server.storage.records import EngagementRow, Recorded

_PEOPLE_PER_TRANSACTION = 1_000


class EngagementTable:
    """See the module."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record(self, rows: Sequence[EngagementRow]) -> Recorded:
        """Records rows in one transaction; durable when it returns.

        A row of the same user and request id as one before is a duplicate, whatever else it says. A
        row of an unknown item costs the others nothing.
        """
        if not rows:
            return Recorded(0, 0, ())
        request_keys = [_request_key(row.request_id) for row in rows]

        async def work(connection: Connection) -> Recorded:
            return await _record(connection, rows, request_keys)

        return await self._database.transact(work, timeout_s=WRITE_TIMEOUT_S)

    async def expire(self, before: datetime) -> int:
        """Deletes engagements from before a time, and people of whom nothing is left then.

        A transaction for each thousand people: what one has done stays done.

        Returns:
            Engagements that were deleted.
        """
        expired_count = 0
        while True:
            count = await self._database.transact(
                lambda connection: _expire(connection, before), timeout_s=LONG_TIMEOUT_S
            )
            if count == 0:
                return expired_count
            expired_count += count


async def _record(
    connection: Connection, rows: Sequence[EngagementRow], request_keys: Sequence[UUID]
) -> Recorded:
    cursor = await connection.execute(
        "SELECT content_id, content_key FROM content WHERE content_id = ANY(%s::text[])"
        " ORDER BY content_key FOR KEY SHARE",
        [list({row.content_id for row in rows})],
    )
    content_keys: dict[str, int] = dict(await cursor.fetchall())
    unknown = tuple(i for i, row in enumerate(rows) if row.content_id not in content_keys)
    known = [i for i, row in enumerate(rows) if row.content_id in content_keys]
    if not known:
        return Recorded(0, 0, unknown)
    person_keys = await make_people(
        connection, list({rows[i].user_id for i in known}), lock="NO KEY UPDATE"
    )
    cursor = await connection.execute(
        "INSERT INTO engagement (person_key, request_key, content_key, kind, time)"
        " SELECT * FROM unnest(%s::bigint[], %s::uuid[], %s::bigint[], %s::smallint[],"
        " %s::timestamptz[])"
        " ON CONFLICT DO NOTHING RETURNING person_key, time",
        [
            [person_keys[rows[i].user_id] for i in known],
            [request_keys[i] for i in known],
            [content_keys[rows[i].content_id] for i in known],
            [int(rows[i].kind) for i in known],
            [rows[i].time for i in known],
        ],
    )
    counts: Counter[int] = Counter()
    latest: dict[int, datetime] = {}
    for person, time in await cursor.fetchall():
        counts[person] += 1
        latest[person] = max(time, latest.get(person, time))
    await add_counts(connection, counts, latest)
    return Recorded(counts.total(), len(known) - counts.total(), unknown)


async def _expire(connection: Connection, before: datetime) -> int:
    cursor = await connection.execute(
        "SELECT DISTINCT person_key FROM engagement WHERE time < %s LIMIT %s",
        [before, _PEOPLE_PER_TRANSACTION],
    )
    people = sorted(person for (person,) in await cursor.fetchall())
    await connection.execute(
        "SELECT FROM person WHERE person_key = ANY(%s::bigint[]) ORDER BY person_key FOR UPDATE",
        [people],
    )
    cursor = await connection.execute(
        "DELETE FROM engagement WHERE person_key = ANY(%s::bigint[]) AND time < %s"
        " RETURNING person_key",
        [people, before],
    )
    counts = Counter(person for (person,) in await cursor.fetchall())
    await forget_counts(connection, counts)
    await connection.execute(
        "DELETE FROM person p WHERE person_key = ANY(%s::bigint[])"
        " AND NOT EXISTS (SELECT FROM engagement e WHERE e.person_key = p.person_key)"
        " AND NOT EXISTS (SELECT FROM content c WHERE c.author_key = p.person_key)",
        [people],
    )
    return counts.total()


def _request_key(request_id: str) -> UUID:
    return UUID(bytes=hashlib.sha256(request_id.encode()).digest()[:16])
