"""Tables are made once, by whoever comes first, and never by older code."""

import asyncio
import logging
from pathlib import Path

import psycopg
import pytest

from inkling_server.errors import StorageDown
from inkling_server.storage import open_storage, schema
from inkling_server.storage.__main__ import main
from inkling_server.storage.schema import HEAD, SchemaUnusable, migrate
from tests.server.storage_kit import item


async def test_gateways_that_start_at_once_make_the_tables_once(empty_database_url: str) -> None:
    done = await asyncio.gather(*(asyncio.to_thread(migrate, empty_database_url) for _ in range(4)))
    assert sorted(done) == [False, False, False, True]
    async with open_storage(empty_database_url) as storage:
        assert await storage.content.put([item("a")]) == [True]


def test_a_newer_database_is_refused(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as session:
        session.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(SchemaUnusable, match=r"revision 9999.* newer than this server"):
        migrate(database_url)


def test_head_is_the_newest_revision_and_all_are_known() -> None:
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory(str(Path(schema.__file__).parent / "migrations"))
    assert scripts.get_heads() == [HEAD]
    assert {script.revision for script in scripts.walk_revisions()} == schema._KNOWN


def test_no_database_is_storage_down(tmp_path: Path) -> None:
    with pytest.raises(StorageDown, match="does not answer"):
        migrate(f"postgresql://nobody@/nothing?host={tmp_path}")


def test_a_role_that_may_not_make_tables_is_told_so(empty_database_url: str) -> None:
    with psycopg.connect(empty_database_url, autocommit=True) as session:
        session.execute("CREATE EXTENSION vector")
        session.execute("DROP ROLE IF EXISTS visitor")
        session.execute("CREATE ROLE visitor LOGIN")
    with pytest.raises(SchemaUnusable, match="CREATE on the schema"):
        migrate(empty_database_url.replace("inkling@", "visitor@"))


def test_no_column_of_text_has_statistics(database_url: str) -> None:
    allowed = {
        *("interest.interest_id", "model.fingerprint", "content.graph_version"),
        *("content.model_version", "profile.stamp", "alembic_version.version_num"),
        *("visual_clusters.version", "visual_clusters.data", "cluster_exemplar.version"),
    }
    with psycopg.connect(database_url) as session:
        rows = session.execute(
            "SELECT relname || '.' || attname FROM pg_attribute JOIN pg_class c ON c.oid = attrelid"
            " JOIN pg_namespace n ON n.oid = relnamespace"
            " WHERE nspname = 'public' AND relkind = 'r' AND attnum > 0"
            " AND attstattarget IS DISTINCT FROM 0 AND atttypid::regtype::text IN"
            " ('text', 'character varying', 'jsonb', 'bytea', 'uuid', 'halfvec')"
        ).fetchall()
    assert {name for (name,) in rows} == allowed


def test_the_command_migrates(
    empty_database_url: str, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    assert main(["migrate", "--database-url", empty_database_url]) == 0
    assert f"revision {HEAD}" in capsys.readouterr().out
    assert main(["migrate", "--database-url", empty_database_url]) == 0
    assert "nothing to do" in capsys.readouterr().out
    assert main(["migrate", "--database-url", "postgresql://x@/y?host=/nowhere"]) == 1
    assert "does not answer" in capsys.readouterr().err


def test_the_command_scrubs(database_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scrub", "--database-url", database_url]) == 0
    assert "rewritten" in capsys.readouterr().out
