"""Keeps the embedded PostgreSQL running: starts it, and starts it again when it has ended.

    starting ──► serving ◄──► repairing          stopped (by stop())

PostgreSQL mends the end of one of its backends by itself; this mends the end of the whole. The URL
stays the same through all of it, so that a pool of connections merely reconnects. Meanwhile whoever
asks `Storage` gets StorageDown. It knows no table.
"""

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, TypeVar

import psycopg
from psycopg import sql

from inkling_server.errors import StorageDown
from inkling_server.storage.postgres_plan import (
    DATABASE,
    PostgresPlan,
    PostgresStartFailed,
    make_plan,
)
from inkling_server.storage.postgres_process import PostgresProcess, log_tail

PostgresState = Literal["starting", "serving", "repairing", "stopped"]

_START_TIMEOUT_S = 60.0  # after a crash it reads its log again first
_LONGEST_BACKOFF_S = 15.0
_STEADY_S = 60.0  # running this long makes the next end a new one, without backoff

_log = logging.getLogger(__name__)
T = TypeVar("T")


class EmbeddedPostgres:
    """One PostgreSQL, kept running. Make it by `start`; use it from one event loop.

    Attributes:
        url: of its database; never changes.
        state: see the module's docstring.
        watch_task: runs from the start to `stop`.
    """

    watch_task: asyncio.Task[None] | None = None

    def __init__(self, plan: PostgresPlan) -> None:
        self.url = plan.url()
        self.state: PostgresState = "starting"
        self._plan = plan
        self._process: PostgresProcess | None = None
        self._failures = 0

    @classmethod
    async def start(cls, data_dir: Path, *, settings: Mapping[str, str] | None = None) -> Self:
        """Starts PostgreSQL on DATA_DIR/postgres; returns when it accepts connections.

        Args:
            data_dir: the server's. One process at a time may run its PostgreSQL.
            settings: of PostgreSQL, over `postgres_plan.SETTINGS`.

        Raises:
            PostgresNotInstalled, PostgresInUse, PostgresStartFailed: with what to do, or the end of
                PostgreSQL's log.
        """
        plans: list[PostgresPlan] = []
        try:
            await _whole(lambda: plans.append(make_plan(data_dir / "postgres", settings=settings)))
        except asyncio.CancelledError:
            for plan in plans:
                plan.release()
            raise
        [plan] = plans
        server = cls(plan)
        try:
            await server._launch()
            await asyncio.to_thread(make_database, plan)
        except BaseException:
            await server.stop()
            raise
        server.state = "serving"
        server.watch_task = asyncio.create_task(server._watch(), name="postgres-watch")
        return server

    @property
    def log_path(self) -> Path:
        """PostgreSQL's log; holds no values."""
        return self._plan.log_path

    @property
    def guard_pid(self) -> int:
        """The guard of the run that is now; the postmaster is its child. 0: there is none."""
        return self._process.guard_pid if self._process else 0

    async def stop(self) -> None:
        """Ends the watching and PostgreSQL, within seconds. Idempotent."""
        if self.state == "stopped":
            return
        self.state = "stopped"
        if self.watch_task is not None:
            self.watch_task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self.watch_task
        if self._process is not None:
            await asyncio.to_thread(self._process.end)
        await asyncio.to_thread(self._plan.release)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    async def _launch(self) -> None:
        def launch() -> PostgresProcess:
            self._process = PostgresProcess(self._plan)
            return self._process

        process = await _whole(launch)
        await asyncio.to_thread(process.wait_ready, _START_TIMEOUT_S)

    async def _watch(self) -> None:
        while True:
            assert self._process is not None
            started_s = time.monotonic()
            await _ended(self._process.guard_pid)
            self.state = "repairing"
            status = await asyncio.to_thread(self._process.guard.wait)
            if time.monotonic() - started_s > _STEADY_S:
                self._failures = 0
            _log.warning(
                "PostgreSQL ended with %d; starting it again\n%s",
                status,
                log_tail(self._plan.log_path, lines=4),
            )
            await self._restart()

    async def _restart(self) -> None:
        started_s = time.monotonic()
        while True:
            if self._failures:
                await asyncio.sleep(min(_LONGEST_BACKOFF_S, 0.25 * 2**self._failures))
            self._failures += 1  # not steady before it has run for a while
            try:
                await asyncio.to_thread(self._plan.end_survivors)
                await self._launch()
            except (StorageDown, OSError) as error:
                _log.warning("PostgreSQL does not start yet: %s", error)
            else:
                self.state = "serving"
                _log.warning("PostgreSQL started again in %.1f s", time.monotonic() - started_s)
                return


async def _whole(work: Callable[[], T]) -> T:
    """Runs work in a thread to its end, also where the caller is cancelled meanwhile.

    A thread cannot be stopped: what it made, a process or a lock, must be known to whoever ends it.
    """
    running = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait({running})
        raise


def make_database(plan: PostgresPlan) -> None:
    """Makes the database in a new folder. Raises PostgresStartFailed."""
    try:
        with psycopg.connect(plan.url("postgres"), autocommit=True, connect_timeout=10) as admin:
            found = admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE])
            if found.fetchone() is None:
                admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
    except psycopg.Error as error:
        raise PostgresStartFailed(
            f"the database cannot be made (SQLSTATE {error.sqlstate})"
        ) from None


async def _ended(pid: int) -> None:
    """Returns when a child process has ended; does not reap it."""
    loop = asyncio.get_running_loop()
    done = asyncio.Event()
    pidfd = os.pidfd_open(pid)
    try:
        loop.add_reader(pidfd, done.set)
        await done.wait()
    finally:
        loop.remove_reader(pidfd)
        os.close(pidfd)
