"""The embedded PostgreSQL survives its own killing and its owner's, and tells nothing."""

import asyncio
import contextlib
import os
import signal
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from inkling_server.errors import StorageDown
from inkling_server.storage import Storage, open_storage
from inkling_server.storage.embedded import EmbeddedPostgres
from inkling_server.storage.postgres_plan import PostgresInUse, PostgresStartFailed
from tests.server.storage_kit import engagement, item
from tests.server_process import command_line

# A gateway in small: starts the database, records, says what was acknowledged, waits to be killed.
OWNER = """
import asyncio, sys
from pathlib import Path
from inkling_server.storage import open_storage
from inkling_server.storage.embedded import EmbeddedPostgres
from tests.server.storage_kit import engagement, item

async def main():
    postgres = await EmbeddedPostgres.start(Path(sys.argv[1]))
    async with open_storage(postgres.url) as storage:
        await storage.content.put([item("a")])
        for i in range(10**9):
            await storage.engagements.record([engagement("ann", "a", hours=i)])
            print(i, postgres.guard_pid, flush=True)

asyncio.run(main())
"""


@contextlib.asynccontextmanager
async def opened(
    data_dir: Path, *, timeout_s: float = 30
) -> AsyncIterator[tuple[EmbeddedPostgres, Storage]]:
    """A PostgreSQL of its own, and a storage in it whose pool outlasts a restart."""
    async with (
        await EmbeddedPostgres.start(data_dir) as postgres,
        open_storage(postgres.url, timeout_s=timeout_s) as storage,
    ):
        yield postgres, storage


def postmaster(postgres: EmbeddedPostgres) -> psutil.Process:
    return psutil.Process(postgres.guard_pid).children()[0]


def mode(path: Path) -> int | None:
    """Who may do what with a folder; None: there is none."""
    return stat.S_IMODE(path.stat().st_mode) if path.exists() else None


def noted_socket_dir(data_dir: Path) -> Path:
    """Where the latest run had its socket."""
    return Path((data_dir / "postgres" / "lock").read_text(encoding="utf-8").strip())


async def answers(storage: Storage) -> int:
    """Asks until there is an answer; how many times there was StorageDown before."""
    failures = 0
    while True:
        try:
            await storage.people.find("ann")
        except StorageDown:
            failures += 1
            assert failures < 100
        else:
            return failures


async def test_folders_are_private_and_the_network_sees_nothing(postgres_data_dir: Path) -> None:
    async with await EmbeddedPostgres.start(postgres_data_dir) as postgres:
        folder = postgres_data_dir / "postgres"
        for path in (folder, folder / "data"):
            assert mode(path) == 0o700
        with psycopg.connect(postgres.url) as session:
            socket_dir = Path(session.info.host)
            shown = session.execute("SHOW listen_addresses").fetchone()
        assert shown == ("",)
        assert mode(socket_dir) == 0o700
        assert not psutil.Process(postgres.guard_pid).net_connections("tcp")
        with pytest.raises(PostgresInUse, match="in use by another process"):
            await EmbeddedPostgres.start(postgres_data_dir)
    assert mode(socket_dir) is None


async def test_what_was_acknowledged_survives_the_killing_of_postgres(
    postgres_data_dir: Path,
) -> None:
    async with opened(postgres_data_dir) as (postgres, storage):
        await storage.content.put([item("a")])
        acknowledged = asyncio.Event()
        counts = {"done": 0, "down": 0}

        async def record() -> None:
            row = 0
            while counts["down"] == 0 or counts["done"] < 50:
                try:
                    await storage.engagements.record([engagement("ann", "a", hours=row)])
                except StorageDown:
                    counts["down"] += 1  # the same row again, as a client does
                else:
                    counts["done"] += 1
                    row += 1
                    if row == 20:
                        acknowledged.set()

        recording = asyncio.create_task(record())
        await acknowledged.wait()
        killed = postmaster(postgres)
        killed.kill()
        await recording
        ann = await storage.people.find("ann")
        assert ann is not None
        assert ann.engagement_count == counts["done"]
        assert counts["down"] >= 1
        assert postmaster(postgres).pid != killed.pid
        assert postgres.state == "serving"


async def test_a_backend_that_is_killed_costs_one_request_at_most(postgres_data_dir: Path) -> None:
    async with opened(postgres_data_dir) as (postgres, storage):
        async with storage.database.cursor() as cursor:
            await cursor.execute("SELECT pg_backend_pid()")
            row = await cursor.fetchone()
        assert row is not None
        before = postmaster(postgres).pid
        os.kill(row[0], signal.SIGKILL)
        await answers(storage)
        assert postmaster(postgres).pid == before


async def test_a_backend_that_stands_still_fails_a_transaction_in_time(
    postgres_data_dir: Path,
) -> None:
    async with opened(postgres_data_dir) as (_, storage):
        stopped: list[int] = []

        async def work(connection: psycopg.AsyncConnection[Any]) -> None:
            pid = connection.info.backend_pid
            os.kill(pid, signal.SIGSTOP)  # it keeps no timeout now
            stopped.append(pid)
            await connection.execute("SELECT 1")

        try:
            async with asyncio.timeout(20):
                with pytest.raises(StorageDown):
                    await storage.database.transact(work, timeout_s=1)
            await answers(storage)
        finally:
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)


async def test_a_backend_that_stands_still_fails_a_read_in_time(postgres_data_dir: Path) -> None:
    async with opened(postgres_data_dir, timeout_s=1) as (_, storage):
        stopped: list[int] = []

        async def read() -> None:
            async with storage.database.cursor() as cursor:
                stopped.append(cursor.connection.info.backend_pid)
                os.kill(stopped[0], signal.SIGSTOP)  # it keeps no timeout now
                await cursor.execute("SELECT 1")

        try:
            async with asyncio.timeout(20):
                with pytest.raises(StorageDown):
                    await read()
            await answers(storage)
        finally:
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)


async def test_a_new_start_after_the_owner_was_killed_finds_everything(
    postgres_data_dir: Path, repository: Path
) -> None:
    done, guard = kill_owner(postgres_data_dir, repository, also_guard=False)
    assert_gone(guard)
    assert mode(noted_socket_dir(postgres_data_dir)) is None
    await assert_kept(postgres_data_dir, done)


async def test_a_new_start_ends_what_nobody_looks_after(
    postgres_data_dir: Path, repository: Path
) -> None:
    done, _ = kill_owner(postgres_data_dir, repository, also_guard=True)
    socket_dir = noted_socket_dir(postgres_data_dir)
    assert mode(socket_dir) == 0o700
    await assert_kept(postgres_data_dir, done)
    assert mode(socket_dir) is None


async def test_a_note_of_a_dead_postgres_with_a_living_number_hinders_nobody(
    postgres_data_dir: Path,
) -> None:
    async with await EmbeddedPostgres.start(postgres_data_dir) as postgres:
        note = (postgres_data_dir / "postgres" / "data" / "postmaster.pid").read_text()
        old = postmaster(postgres).pid
    # As in a container, where the same numbers come again: this process lives and is no PostgreSQL.
    stale = note.replace(str(old), str(os.getpid()), 1)
    (postgres_data_dir / "postgres" / "data" / "postmaster.pid").write_text(stale)
    async with await EmbeddedPostgres.start(postgres_data_dir) as postgres:
        assert postgres.state == "serving"


async def test_a_start_that_was_killed_half_way_is_begun_anew(postgres_data_dir: Path) -> None:
    draft = postgres_data_dir / "postgres" / "data.draft"
    draft.mkdir(parents=True)
    (draft / "PG_VERSION").write_text("18\n")
    async with await EmbeddedPostgres.start(postgres_data_dir) as postgres:
        assert postgres.state == "serving"
    assert not draft.exists()


async def test_a_folder_of_another_version_is_refused(postgres_data_dir: Path) -> None:
    data = postgres_data_dir / "postgres" / "data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("16\n")
    with pytest.raises(PostgresStartFailed, match="made by PostgreSQL 16, and this is 18"):
        await EmbeddedPostgres.start(postgres_data_dir)


async def test_a_start_that_fails_says_why_and_leaves_nothing(
    postgres_data_dir: Path, own_children: object
) -> None:
    with pytest.raises(PostgresStartFailed, match="invalid value for parameter"):
        await EmbeddedPostgres.start(postgres_data_dir, settings={"shared_buffers": "much"})
    assert callable(own_children)
    assert own_children() == []


async def test_the_log_holds_no_value_of_a_statement_that_fails(postgres_data_dir: Path) -> None:
    secret = "secret-4711"
    async with await EmbeddedPostgres.start(postgres_data_dir) as postgres:  # noqa: SIM117
        async with open_storage(postgres.url) as storage:
            await storage.content.put([item(secret, author_id=secret)])
            for statement in (
                "INSERT INTO person (user_id) VALUES (%s)",
                "SELECT %s::bigint",
                "SELECT %s::text::jsonb",
                "DELETE FROM person WHERE user_id = %s",
            ):
                with pytest.raises(Exception, match="SQLSTATE") as raised:
                    async with storage.database.connection() as connection:
                        await connection.execute(statement.encode(), [secret])
                assert secret not in str(raised.value)
                with psycopg.connect(postgres.url) as session, pytest.raises(psycopg.Error):
                    session.execute(statement.replace("%s", f"'{secret}'").encode())
            async with storage.database.cursor() as cursor:
                await cursor.execute("SELECT pg_backend_pid()")
                row = await cursor.fetchone()
                assert row is not None
            os.kill(row[0], signal.SIGKILL)
            while "was terminated by signal 9" not in (log := postgres.log_path.read_text()):
                await answers(storage)
            await answers(storage)
            log = postgres.log_path.read_text()
    assert secret not in log


def kill_owner(data_dir: Path, repository: Path, *, also_guard: bool) -> tuple[int, int]:
    """Kills an owner at its work. Returns the last acknowledged row, and the guard's pid."""
    environment = os.environ | {"PYTHONPATH": f"{repository / 'server'}:{repository}"}
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, str(data_dir)],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as owner:
        assert owner.stdout is not None
        done, guard = -1, 0
        for line in owner.stdout:
            done, guard = map(int, line.split())
            if done == 20:
                if also_guard:
                    # The postmaster is stopped first, so that it cannot obey when its guard is
                    # gone.
                    os.kill(psutil.Process(guard).children()[0].pid, signal.SIGSTOP)
                    os.kill(guard, signal.SIGKILL)
                owner.kill()
                break
        for line in owner.stdout:
            done = int(line.split()[0])
    return done, guard


def assert_gone(pid: int) -> None:
    """Waits for the guard to have ended PostgreSQL, and itself."""
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(pid).wait(30)


async def assert_kept(data_dir: Path, done: int) -> None:
    async with (
        await EmbeddedPostgres.start(data_dir) as postgres,
        open_storage(postgres.url) as storage,
    ):
        ann = await storage.people.find("ann")
        assert ann is not None
        # One more may have been committed whose acknowledgement nobody has read.
        assert ann.engagement_count in (done + 1, done + 2)
        again = await storage.engagements.record(
            [engagement("ann", "a", hours=i) for i in range(done + 2)]
        )
        assert again.recorded_count + ann.engagement_count == done + 2


@pytest.fixture(autouse=True)
def nothing_is_left(tmp_path: Path) -> Iterator[None]:
    """No process of PostgreSQL outlives its test."""
    yield
    mark = str(tmp_path)
    left = [
        process.info["pid"]
        for process in psutil.process_iter(["pid", "cmdline"])
        if any(mark in part for part in process.info["cmdline"] or ())
    ]
    assert left == []


async def test_a_user_that_nobody_knows_is_told_so(
    postgres_data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(uid: int) -> None:
        raise KeyError(uid)

    monkeypatch.setattr("pwd.getpwuid", unknown)
    with pytest.raises(PostgresStartFailed, match="only for a user that /etc/passwd knows"):
        await EmbeddedPostgres.start(postgres_data_dir)


@pytest.mark.parametrize("after_s", [0.05, 0.4])
async def test_a_start_that_is_cancelled_leaves_nothing(
    postgres_data_dir: Path, after_s: float
) -> None:
    starting = asyncio.create_task(EmbeddedPostgres.start(postgres_data_dir))
    await asyncio.wait({starting}, timeout=after_s)
    starting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await (await starting).stop()

    folder = str(postgres_data_dir)
    left = [
        p for p in psutil.Process().children(recursive=True) if folder in " ".join(command_line(p))
    ]
    assert left == []
    # The folder is free: it is not in use by whoever was cancelled.
    async with await EmbeddedPostgres.start(postgres_data_dir) as postgres:
        assert postgres.state == "serving"
