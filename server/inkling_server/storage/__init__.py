"""PostgreSQL: items, what people do with them, and what is computed of that.

    embedded (or a server by URL) ──► migrate ──► Database (pool) ──► the tables below

This package alone knows SQL and psycopg. It knows neither gRPC nor how anything is computed.
Its order of locks, against deadlocks: items, then people, each in ascending order of keys.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from inkling_server.storage.batch import BatchTable
from inkling_server.storage.candidates import CandidateTable
from inkling_server.storage.clusters import ClusterTable
from inkling_server.storage.content import ContentTable
from inkling_server.storage.database import Database
from inkling_server.storage.engagements import EngagementTable
from inkling_server.storage.keys import InterestKeys, ModelKeys
from inkling_server.storage.people import PeopleTable
from inkling_server.storage.schema import migrate
from inkling_server.storage.scrub import scrub_files

# Any number that no other lock of this database has.
_REFRESH_LOCK = 0x1A4B_11A6_9E09_1E01

__all__ = ["Storage", "open_storage"]


@dataclass(frozen=True, slots=True)
class Storage:
    """The tables of one database. `open_storage` makes it; it belongs to one event loop.

    `url` is for processes that are started to read for themselves, and a secret.

    Every method of every table raises StorageDown where the database does not answer.
    """

    content: ContentTable
    engagements: EngagementTable
    people: PeopleTable
    clusters: ClusterTable
    candidates: CandidateTable
    batch: BatchTable
    database: Database
    url: str = field(repr=False)

    @asynccontextmanager
    async def refresh_lock(self) -> AsyncIterator[bool]:
        """Whether this gateway alone refreshes what belongs to all, during the block.

        False where another gateway of the same database does. Raises StorageDown.
        """
        async with self.database.connection() as connection:
            cursor = await connection.execute("SELECT pg_try_advisory_lock(%s)", [_REFRESH_LOCK])
            row = await cursor.fetchone()
            is_ours = bool(row and row[0])
            try:
                yield is_ours
            finally:
                # A connection that broke has lost the lock with its session.
                if is_ours and not connection.broken:
                    await connection.execute("SELECT pg_advisory_unlock(%s)", [_REFRESH_LOCK])

    async def scrub(self, *, content: bool) -> None:
        """Makes erased bytes leave the files, see `scrub_files`."""
        await scrub_files(self.database, content=content)


@asynccontextmanager
async def open_storage(
    url: str, *, pool_size: int = 8, timeout_s: float = 5.0
) -> AsyncIterator[Storage]:
    """Brings the database's tables up to date and connects.

    Args:
        url: of the database; anything that libpq takes.
        pool_size: connections at most.
        timeout_s: for a connection, and for one statement of a short answer.

    Raises:
        StorageDown: the database does not answer.
        SchemaUnusable: its tables are newer than this code, or cannot be made.
    """
    await asyncio.to_thread(migrate, url)
    async with Database.open(url, pool_size=pool_size, timeout_s=timeout_s) as database:
        interests, models = InterestKeys(database), ModelKeys(database)
        yield Storage(
            content=ContentTable(database, interests, models),
            engagements=EngagementTable(database),
            people=PeopleTable(database, interests, models),
            clusters=ClusterTable(database, models),
            candidates=CandidateTable(database, interests, models),
            batch=BatchTable(database),
            database=database,
            url=url,
        )
