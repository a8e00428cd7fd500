"""What is computed for all items together: engagements out, popularity and co-engagement in.

Readers see what there was before until the new is complete. It does not know how either is
computed.

Shapes: R interactions, E directed edges between items, N items.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence

import numpy as np
from numpy.typing import NDArray

from inkling_server.storage.database import Connection, Database
from inkling_server.storage.records import Interactions

# One row of COPY ... (FORMAT BINARY): https://www.postgresql.org/docs/18/sql-copy.html
_ROW = np.dtype(
    [
        ("fields", ">i2"),
        *(("person_bytes", ">i4"), ("person", ">i8")),
        *(("content_bytes", ">i4"), ("content", ">i8")),
        *(("kind_bytes", ">i4"), ("kind", ">i2")),
        *(("time_bytes", ">i4"), ("time", ">f8")),
    ]
)
_HEADER_BYTES = 19


class BatchTable:
    """See the module."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def interactions(self, *, block_count: int = 200_000) -> AsyncIterator[Interactions]:
        """All engagements of one moment, ordered by person, in blocks of about `block_count`."""
        async with self._database.connection() as connection, connection.transaction():
            await connection.execute("SELECT set_config('statement_timeout', '0', true)")
            cursor = connection.cursor()
            pending = bytearray()
            skip = _HEADER_BYTES
            async with cursor.copy(
                "COPY (SELECT person_key, content_key, kind, extract(epoch FROM time)::float8"
                " FROM engagement ORDER BY person_key, time, content_key)"
                " TO STDOUT (FORMAT BINARY)"
            ) as copy:
                async for part in copy:
                    pending += part
                    if skip and len(pending) >= skip:
                        del pending[:skip]
                        skip = 0
                    # The trailer is shorter than a row, so it is never taken for one.
                    if not skip and len(pending) >= block_count * _ROW.itemsize:
                        yield _take(pending)
            if len(pending) >= _ROW.itemsize:
                yield _take(pending)

    async def replace_co_engagement(
        self,
        content_E: NDArray[np.int64],
        neighbor_E: NDArray[np.int64],
        weight_E: NDArray[np.float32],
    ) -> int:
        """Puts new edges in the place of all there are. Each pair at most once.

        Returns:
            Edges written: those both of whose items are still stored.
        """
        rows = np.stack([content_E, neighbor_E])

        async def work(connection: Connection) -> int:
            stored = await _stored(connection)
            # Millions of edges: not on the event loop.
            kept_E = await asyncio.to_thread(
                lambda: np.isin(rows[0], stored) & np.isin(rows[1], stored)
            )
            await connection.execute("DELETE FROM content_neighbor")
            await _copy(
                connection,
                "COPY content_neighbor (content_key, neighbor_key, weight) FROM STDIN (FORMAT"
                " BINARY)",
                [rows[0][kept_E], rows[1][kept_E], weight_E[kept_E]],
            )
            return int(kept_E.sum())

        count = await self._database.transact(work, timeout_s=0)
        await self._vacuum("content_neighbor")
        return count

    async def replace_popularity(
        self, content_N: NDArray[np.int64], popularity_N: NDArray[np.float32]
    ) -> int:
        """Puts new popularity in the place of all there is. Each item at most once.

        Returns:
            Items written: those that are still stored.
        """

        async def work(connection: Connection) -> int:
            kept_N = np.isin(content_N, await _stored(connection))
            await connection.execute("DELETE FROM content_popularity")
            await _copy(
                connection,
                "COPY content_popularity (content_key, popularity) FROM STDIN (FORMAT BINARY)",
                [content_N[kept_N], popularity_N[kept_N]],
            )
            return int(kept_N.sum())

        count = await self._database.transact(work, timeout_s=0)
        await self._vacuum("content_popularity")
        return count

    async def _vacuum(self, table: str) -> None:
        """What was replaced would otherwise be read over until autovacuum comes by."""
        async with self._database.maintenance() as connection:
            await connection.execute(f"VACUUM (ANALYZE) {table}".encode())


async def _stored(connection: Connection) -> NDArray[np.int64]:
    """Keys of all items, which cannot be deleted before the transaction has ended."""
    # Deleting an item deletes its rows in the tables that are written here: they wait for each
    # other.
    await connection.execute(
        "LOCK TABLE content_neighbor, content_popularity IN SHARE ROW EXCLUSIVE MODE"
    )
    cursor = connection.cursor(binary=True)
    await cursor.execute("SELECT string_agg(int8send(content_key), '') FROM content")
    row = await cursor.fetchone()
    return np.frombuffer((row and row[0]) or b"", ">i8").astype(np.int64)


async def _copy(
    connection: Connection, statement: str, columns: Sequence[NDArray[np.generic]]
) -> None:
    """Writes columns of numbers as COPY's binary rows."""
    table = await asyncio.to_thread(_rows, columns)
    async with connection.cursor().copy(statement.encode()) as copy:
        await copy.write(b"PGCOPY\n\xff\r\n\0" + bytes(8))
        for start in range(0, len(table), 100_000):
            await copy.write(table[start : start + 100_000].tobytes())
        await copy.write(b"\xff\xff")


def _rows(columns: Sequence[NDArray[np.generic]]) -> NDArray[np.void]:
    """Columns as COPY's binary rows: the number of fields, and each with its length."""
    kinds = [
        (f"c{i}", np.dtype(column.dtype).newbyteorder(">")) for i, column in enumerate(columns)
    ]
    fields: list[tuple[str, object]] = [("fields", ">i2")]
    for name, kind in kinds:
        fields += [(f"{name}_bytes", ">i4"), (name, kind)]
    table = np.empty(len(columns[0]), np.dtype(fields))
    table["fields"] = len(columns)
    for (name, kind), column in zip(kinds, columns, strict=True):
        table[f"{name}_bytes"] = kind.itemsize
        table[name] = column
    return table


def _take(pending: bytearray) -> Interactions:
    """Takes the whole rows off the front."""
    count = len(pending) // _ROW.itemsize
    rows = np.frombuffer(bytes(pending[: count * _ROW.itemsize]), _ROW)
    del pending[: count * _ROW.itemsize]
    return Interactions(
        person_R=rows["person"].astype(np.int64),
        content_R=rows["content"].astype(np.int64),
        kind_R=rows["kind"].astype(np.int8),
        time_R=rows["time"].astype(np.float64),
    )
