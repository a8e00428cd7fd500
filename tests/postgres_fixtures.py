"""A real PostgreSQL for tests: one server for the session, a fresh database for each test.

`database_url` names a database with all tables and nothing in them, `storage` is open on it. Both
are made from a template, which takes a tenth of a second. The server does not wait for the disk;
tests of durability start their own.
"""

from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path

import psycopg
import pytest
import pytest_asyncio
from psycopg import sql

from inkling_server.storage import Storage, open_storage
from inkling_server.storage.postgres_plan import PostgresPlan, make_plan
from inkling_server.storage.postgres_process import PostgresProcess
from inkling_server.storage.schema import migrate

_TEMPLATE = "template_inkling"
_FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
_numbers = count(1)


@pytest.fixture(scope="session")
def postgres_plan(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresPlan]:
    """The session's PostgreSQL, running: do not hurt it."""
    plan = make_plan(tmp_path_factory.mktemp("postgres"), settings=_FAST)
    process = PostgresProcess(plan)
    try:
        process.wait_ready(60)
        with psycopg.connect(plan.url("postgres"), autocommit=True) as admin:
            admin.execute(f"CREATE DATABASE {_TEMPLATE}")
        migrate(plan.url(_TEMPLATE))
        yield plan
    finally:
        process.end()
        plan.release()


@pytest.fixture
def empty_database_url(postgres_plan: PostgresPlan) -> Iterator[str]:
    """A database without tables."""
    yield from _database(postgres_plan, "template0")


@pytest.fixture
def database_url(postgres_plan: PostgresPlan) -> Iterator[str]:
    """A database with all tables, empty."""
    yield from _database(postgres_plan, _TEMPLATE)


@pytest.fixture(scope="module")
def module_database_url(postgres_plan: PostgresPlan) -> Iterator[str]:
    """The same for a whole module, whose tests only read what the first of them wrote."""
    yield from _database(postgres_plan, _TEMPLATE)


@pytest_asyncio.fixture
async def storage(database_url: str) -> AsyncIterator[Storage]:
    """Storage on a clean database."""
    async with open_storage(database_url, pool_size=4) as opened:
        yield opened


@pytest.fixture
def postgres_data_dir(tmp_path: Path) -> Path:
    """Of a server that starts its own PostgreSQL; a name that has to be quoted everywhere."""
    return tmp_path / "data dir – ü"


def _database(plan: PostgresPlan, template: str) -> Iterator[str]:
    name = f"test_{next(_numbers)}"
    with psycopg.connect(plan.url("postgres"), autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        yield plan.url(name)
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
