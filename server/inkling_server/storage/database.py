"""A pool of connections to PostgreSQL, transactions that are tried again, and errors in our words.

psycopg's errors quote rows and parameters, so none of them leaves this module: what means that the
database does not answer becomes StorageDown, everything else StatementFailed, which names the
SQLSTATE and the constraint, and no value. This module knows no table.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any, Self, TypeVar

import psycopg
from psycopg import AsyncConnection, AsyncCursor, errors, pq
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout, TooManyRequests

from inkling_server.errors import StorageDown
from inkling_server.storage.vectors import register_halfvec

T = TypeVar("T")
Connection = AsyncConnection[TupleRow]

# Somebody else was faster: the same transaction succeeds when it runs again, on what there is then.
_RETRIED = (
    errors.SerializationFailure,
    errors.DeadlockDetected,
    errors.ForeignKeyViolation,
    errors.UniqueViolation,
)
_ATTEMPTS = 3
# Thousands of rows at once, perhaps behind somebody else's lock.
WRITE_TIMEOUT_S = 30.0
# Deleting an item that a million people saw takes longer than an answer may.
LONG_TIMEOUT_S = 600.0
# A transaction has a few statements, each with a timeout of its own that the server keeps. What is
# not over after so many of them waits for a server that is not there any more, or stands still.
_HUNG_AFTER_TIMEOUTS = 3
_GRACE_S = 5.0
# Classes of SQLSTATE that speak of the server's state, not of the statement: connection, resources,
# operator intervention (also a statement's timeout), system error; and a standby that cannot write.
_DOWN = ("08", "53", "57", "58", "25006", "XX")
# Waiting longer than this between attempts to reconnect would outlast a restart of the database.
_RECONNECT_TIMEOUT_S = 5.0
# Candidates that HNSW keeps in view (pgvector's default is 40): fewer are faster and miss more.
_EF_SEARCH = 100


class StatementFailed(Exception):
    """The database refused a statement: a defect of ours, or a value that it cannot hold."""


class Database:
    """Connections to one database. `Database.open` makes it; it belongs to one event loop.

    Args:
        pool: opened.
        timeout_s: for a statement of an answer to somebody who waits.
    """

    def __init__(self, pool: AsyncConnectionPool[Connection], timeout_s: float) -> None:
        self._pool = pool
        self.timeout_s = timeout_s

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, *, pool_size: int, timeout_s: float) -> "AsyncIterator[Database]":
        """Connects; closes every connection at the end.

        Args:
            url: anything that libpq takes.
            pool_size: connections at most.
            timeout_s: for a connection, and for a statement.

        Raises:
            StorageDown: the database does not answer.
        """
        options: dict[str, Any] = {
            "autocommit": True,
            "connect_timeout": max(2, round(timeout_s)),
            "application_name": "inkling",
            # A network that drops everything is noticed; local sockets ignore these.
            "keepalives_idle": 20,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 20_000,
        }

        async def configure(connection: Connection) -> None:
            await connection.execute(
                "SELECT set_config('statement_timeout', %s, false), set_config('timezone',"
                " 'UTC', false),"
                " set_config('hnsw.ef_search', %s, false),"
                " set_config('hnsw.iterative_scan', 'relaxed_order', false),"
                # A short query is slowed by being compiled.
                " set_config('jit', 'off', false)",
                [str(round(timeout_s * 1000)), str(_EF_SEARCH)],
            )
            await register_halfvec(connection)

        pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            url,
            kwargs=options,
            min_size=min(2, pool_size),
            max_size=pool_size,
            open=False,
            configure=configure,
            check=AsyncConnectionPool.check_connection,
            timeout=timeout_s,
            reconnect_timeout=_RECONNECT_TIMEOUT_S,
            name="inkling",
        )
        try:
            with translated():
                await pool.open(wait=True, timeout=timeout_s)
            yield cls(pool, timeout_s)
        finally:
            await pool.close(timeout=2.0)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection in which each statement is a transaction of its own. Raises StorageDown."""
        with translated():
            async with self._pool.connection() as connection:
                yield connection

    @asynccontextmanager
    async def cursor(self) -> AsyncIterator[AsyncCursor[TupleRow]]:
        """A cursor of such a connection, with binary results. Raises StorageDown, also where the
        server says nothing for three times a statement's timeout."""
        limit_s = _HUNG_AFTER_TIMEOUTS * self.timeout_s
        async with self.connection() as connection, _Cursor(connection, limit_s) as cursor:
            yield cursor

    @asynccontextmanager
    async def maintenance(self, *, lock_timeout_s: float = 0) -> AsyncIterator[Connection]:
        """A connection whose statements may take as long as they take. Raises StorageDown.

        Args:
            lock_timeout_s: for a lock that others hold; 0: waits.
        """
        async with self.connection() as connection:
            await _set_timeouts(connection, statement_s=0, lock_s=lock_timeout_s)
            try:
                yield connection
            finally:
                if not connection.broken:
                    await _set_timeouts(connection, statement_s=self.timeout_s, lock_s=0)

    async def transact(
        self, work: Callable[[Connection], Awaitable[T]], *, timeout_s: float | None = None
    ) -> T:
        """Runs work in one transaction; again from its beginning where another one was in its way.

        Args:
            work: may run several times, so it must keep nothing of a time before.
            timeout_s: for each of its statements, where it is not the usual one; 0: none.

        Raises:
            StorageDown: whether the work was committed may be unknown then: ask again. Also where
                the server says nothing for three times the timeout.
        """
        limit_s = _HUNG_AFTER_TIMEOUTS * (self.timeout_s if timeout_s is None else timeout_s)
        for attempt in range(_ATTEMPTS):
            last = attempt == _ATTEMPTS - 1
            with translated(), contextlib.suppress(*(() if last else _RETRIED)):
                async with (
                    self._pool.connection() as connection,
                    _not_longer_than(limit_s, connection),
                    connection.transaction(),
                ):
                    if timeout_s is not None:
                        limit = str(round(timeout_s * 1000))
                        await connection.execute(
                            "SELECT set_config('statement_timeout', %s, true)", [limit]
                        )
                    return await work(connection)
        raise AssertionError("the last attempt returns or raises")


class _Cursor(AsyncCursor[TupleRow]):
    """Binary results, and no statement waits for a server that says nothing any more.

    Rows are with the client when `execute` returns; readers then take as long as they like.
    """

    def __init__(self, connection: Connection, limit_s: float) -> None:
        super().__init__(connection)
        self.format = pq.Format.BINARY
        self._limit_s = limit_s

    async def execute(self, *args: Any, **kwargs: Any) -> Self:
        async with _not_longer_than(self._limit_s, self.connection):
            return await super().execute(*args, **kwargs)


@asynccontextmanager
async def _not_longer_than(limit_s: float, connection: Connection) -> AsyncIterator[None]:
    """Ends a block whose server says nothing any more; 0: waits for ever.

    The server keeps statements' timeouts, and commits have none: where it was killed in the middle
    of one, or stands still, nobody else would ever end the waiting. psycopg waits for the server
    also after a cancellation, so the connection is hung up first.

    Raises:
        StorageDown: the block has not ended in time.
    """
    if limit_s <= 0:
        yield
        return
    timer = asyncio.get_running_loop().call_later(limit_s, _hang_up, connection)
    try:
        async with asyncio.timeout(limit_s + _GRACE_S):
            yield
    except TimeoutError:
        raise StorageDown("the database does not answer") from None
    finally:
        timer.cancel()


def _hang_up(connection: Connection) -> None:
    """Has whoever waits for the server see the end of the conversation."""
    with (
        contextlib.suppress(OSError, psycopg.Error),
        socket.socket(fileno=os.dup(connection.fileno())) as line,
    ):
        line.shutdown(socket.SHUT_RDWR)


async def _set_timeouts(connection: Connection, *, statement_s: float, lock_s: float) -> None:
    await connection.execute(
        "SELECT set_config('statement_timeout', %s, false), set_config('lock_timeout', %s, false)",
        [str(round(statement_s * 1000)), str(round(lock_s * 1000))],
    )


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Turns psycopg's errors into ours, without their texts."""
    try:
        yield
    except (PoolTimeout, PoolClosed, TooManyRequests):
        raise StorageDown("the database does not answer: no connection is free in time") from None
    except psycopg.Error as error:
        raise describe(error) from None


def describe(error: psycopg.Error) -> Exception:
    """The error to raise for one of psycopg's; holds no value of it."""
    state = error.sqlstate
    if isinstance(error, errors.QueryCanceled):
        return StorageDown("the database does not answer in time")
    lost = isinstance(error, psycopg.OperationalError | psycopg.InterfaceError) and state is None
    if lost or (state is not None and state.startswith(_DOWN)):
        return StorageDown(f"the database does not answer (SQLSTATE {state or 'none'})")
    constraint = error.diag.constraint_name
    where = f", constraint {constraint}" if constraint else ""
    return StatementFailed(f"the database refused a statement: SQLSTATE {state}{where}")
