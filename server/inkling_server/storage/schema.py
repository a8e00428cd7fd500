"""Brings a database's tables to where this code wants them, once, however many gateways start.

    applied revision = HEAD   nothing to do (Alembic is not even loaded)
    older, or none            Alembic, under an advisory lock: whoever comes second finds it done
    unknown here              the database is newer than this code: refused

The revisions are in `migrations/versions`, plain SQL. It blocks. It knows no table but Alembic's.
"""

import logging
from pathlib import Path
from typing import Any

import psycopg

from inkling_server.errors import StorageDown
from inkling_server.storage.database import describe

# The newest revision in migrations/versions.
HEAD = "0001"
_KNOWN = frozenset({"0001"})
_LOCK_KEY = 0x696E6B6C  # "inkl"
_LOCK_TIMEOUT_S = 300
_OPTIONS: dict[str, Any] = {"application_name": "inkling-migrate", "connect_timeout": 10}

_log = logging.getLogger(__name__)


class SchemaUnusable(Exception):
    """The database's tables are not for this code, or cannot be made; says what to do."""


def migrate(url: str) -> bool:
    """Brings the tables to HEAD. True where there was something to do.

    Args:
        url: anything that libpq takes.

    Raises:
        StorageDown: the database does not answer.
        SchemaUnusable: it is newer than this code, or may not be changed.
    """
    try:
        # A session of its own for the lock: migrations may end transactions as they like.
        with psycopg.connect(url, autocommit=True, **_OPTIONS) as session:
            if applied_revision(session) == HEAD:
                return False
            session.execute(f"SET lock_timeout = '{_LOCK_TIMEOUT_S}s'")
            session.execute("SELECT pg_advisory_lock(%s)", [_LOCK_KEY])
            if applied_revision(session) == HEAD:
                return False
            _make_extension(session)
            _upgrade(url)
    except psycopg.Error as error:
        raise _translate(error) from None
    return True


def applied_revision(session: psycopg.Connection) -> str | None:
    """The revision of the database's tables; None where there are none.

    Raises:
        SchemaUnusable: this code does not know it.
    """
    table = session.execute("SELECT to_regclass('alembic_version')").fetchone()
    if table is None or table[0] is None:
        return None
    row = session.execute("SELECT version_num FROM alembic_version").fetchone()
    if row is None:
        return None
    revision = str(row[0])
    if revision not in _KNOWN:
        raise SchemaUnusable(
            f"the database is at revision {revision}, and this server knows revisions up to {HEAD}:"
            " it is newer than this server; start a newer server, or restore an older database"
        )
    return revision


def _make_extension(session: psycopg.Connection) -> None:
    try:
        session.execute("CREATE EXTENSION IF NOT EXISTS vector")
    except psycopg.Error as error:
        if not isinstance(describe(error), StorageDown) or error.sqlstate == "58P01":
            raise SchemaUnusable(
                "pgvector cannot be enabled: install it on the database server and run"
                f" CREATE EXTENSION vector there as its owner (SQLSTATE {error.sqlstate})"
            ) from None
        raise
    found = session.execute(
        "SELECT extversion FROM pg_extension WHERE extname = 'vector'"
    ).fetchone()
    version = str(found[0]) if found else "0"
    if tuple(int(part) for part in version.split(".")[:2]) < (0, 8):
        raise SchemaUnusable(f"pgvector {version} is too old: 0.8 or newer is wanted")


def _upgrade(url: str) -> None:
    # Loaded only where there is something to do: half a second.
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import create_engine, exc, pool

    config = Config()
    scripts = Path(__file__).parent / "migrations"
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    engine = create_engine(
        "postgresql+psycopg://",
        creator=lambda: psycopg.connect(url, **_OPTIONS),
        poolclass=pool.NullPool,
    )
    try:
        with engine.connect() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, HEAD)
    except exc.DBAPIError as error:
        original = error.orig
        assert isinstance(original, psycopg.Error)
        raise _translate(original) from None
    finally:
        engine.dispose()
    _log.info("the database's tables are at revision %s now", HEAD)


def _translate(error: psycopg.Error) -> Exception:
    found = describe(error)
    if isinstance(found, StorageDown):
        return found
    return SchemaUnusable(
        f"the database's tables cannot be made (SQLSTATE {error.sqlstate}): the role wants"
        f" CREATE on the"
        " schema"
    )
