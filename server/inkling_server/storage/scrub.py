"""Makes erased bytes leave the files of the embedded database.

DELETE marks rows as gone; their bytes stay in the table's file until it is rewritten, in its
indexes, and in the write-ahead log until the next checkpoint. So, some time after an erasure:

    VACUUM FULL     rewrites the tables that hold texts and ids, with their indexes
    pg_switch_wal   closes the file of the log that still holds the rows
    CHECKPOINT      removes closed files of the log (wal_recycle=off: none is kept for later use)

A table is locked while it is rewritten: `person` and `profile` for moments, `content` for some
seconds with a hundred thousand items; that is why this is not part of an erasure. Tables that hold
nothing but numbers are only vacuumed: without the row of `person` they say nothing about anybody.
Embeddings of erased pictures are such numbers: they leave table and index, and their room is used
again.

What it cannot do: blocks that the file system has set free are overwritten when the file system
comes to it. Of a database on another server, whoever runs it does the same there, as its owner
(`python -m inkling_server.storage scrub`, where the role may), and lets replicas, archives of the
log and backups expire: none of these is in our hands.
"""

from psycopg import errors

from inkling_server.errors import StorageDown
from inkling_server.storage.database import Database

_ALWAYS = ("person", "profile")
_WITH_CONTENT = ("content", "cluster_exemplar")
_NUMBERS = ("engagement", "content_tag", "content_embedding")
# Whoever waits for a table's lock makes everybody wait behind it.
_LOCK_TIMEOUT_S = 3.0


async def scrub_files(database: Database, *, content: bool) -> None:
    """See the module.

    Args:
        database: connections with a role that owns the tables, and may switch the log and make
            checkpoints (superuser, or pg_checkpoint and the right to run pg_switch_wal).
        content: items were erased, too, not only people.

    Raises:
        StorageDown: a table stays locked by others, or the database does not answer; try again.
    """
    tables = [*_ALWAYS, *(_WITH_CONTENT if content else ())]
    async with database.maintenance(lock_timeout_s=_LOCK_TIMEOUT_S) as connection:
        try:
            for table in tables:
                await connection.execute(f"VACUUM (FULL) {table}".encode())
            for table in _NUMBERS:
                await connection.execute(f"VACUUM {table}".encode())
        except errors.LockNotAvailable:
            raise StorageDown("a table that is to be rewritten is in use; try again") from None
        await connection.execute("SELECT pg_switch_wal()")
        await connection.execute("CHECKPOINT")
