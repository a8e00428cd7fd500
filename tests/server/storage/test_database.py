"""Transactions are tried again; errors say what is wrong and quote nothing."""

import traceback

import psycopg
import pytest

from inkling_server.errors import StorageDown
from inkling_server.storage import Storage, open_storage
from inkling_server.storage.database import Connection, StatementFailed
from tests.server.storage_kit import item


async def test_a_transaction_that_another_was_in_the_way_of_runs_again(storage: Storage) -> None:
    attempts = []

    async def work(connection: Connection) -> str:
        attempts.append(1)
        await connection.execute("INSERT INTO interest (interest_id) VALUES ('cat')")
        if len(attempts) < 3:
            raise psycopg.errors.DeadlockDetected
        return "done"

    assert await storage.database.transact(work) == "done"
    assert len(attempts) == 3
    async with storage.database.cursor() as cursor:
        await cursor.execute("SELECT count(*) FROM interest")
        assert await cursor.fetchone() == (1,)


async def test_it_gives_up_in_the_end_without_a_word_of_the_row(storage: Storage) -> None:
    await storage.content.put([item("secret-id", author_id="secret-ann")])
    attempts = []

    async def work(connection: Connection) -> None:
        attempts.append(1)
        await connection.execute("INSERT INTO person (user_id) VALUES ('secret-ann')")

    with pytest.raises(StatementFailed, match="23505, constraint person_user_id_key") as raised:
        await storage.database.transact(work)
    assert len(attempts) == 3
    shown = "".join(traceback.format_exception(raised.value))
    assert "secret-ann" not in shown.replace("VALUES ('secret-ann')", "")


async def test_a_statement_that_takes_too_long_is_storage_down(database_url: str) -> None:
    async with open_storage(database_url, pool_size=1, timeout_s=0.2) as storage:
        with pytest.raises(StorageDown, match="does not answer in time"):
            async with storage.database.connection() as connection:
                await connection.execute("SELECT pg_sleep(60)")
        async with storage.database.maintenance() as connection:
            cursor = await connection.execute("SHOW statement_timeout")
            assert await cursor.fetchone() == ("0",)
        async with storage.database.connection() as connection:
            cursor = await connection.execute("SHOW statement_timeout")
            assert await cursor.fetchone() == ("200ms",)


async def test_a_pool_that_is_all_in_use_is_storage_down(database_url: str) -> None:
    async with (
        open_storage(database_url, pool_size=1, timeout_s=0.2) as storage,
        storage.database.connection(),
    ):
        with pytest.raises(StorageDown, match="no connection is free in time"):
            await storage.people.find("ann")


async def test_a_connection_that_was_cut_is_replaced(database_url: str) -> None:
    async with open_storage(database_url, pool_size=1) as storage:
        with psycopg.connect(database_url, autocommit=True) as session:
            session.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        assert await storage.people.find("ann") is None


async def test_one_gateway_at_a_time_refreshes(database_url: str) -> None:
    async with open_storage(database_url) as here, open_storage(database_url) as there:
        async with here.refresh_lock() as first, there.refresh_lock() as second:
            assert (first, second) == (True, False)
        async with there.refresh_lock() as third:
            assert third
