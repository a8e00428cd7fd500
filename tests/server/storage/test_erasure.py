"""Somebody is forgotten: in the database, and after a scrub in every file of it."""

import dataclasses
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import psycopg

from inkling_server.storage import Storage, open_storage
from inkling_server.storage.embedded import EmbeddedPostgres
from inkling_server.storage.postgres_install import find_postgres
from inkling_server.storage.records import ClusterRecord, Exemplar, StoredProfile, StoredTag
from tests.server.storage_kit import MODEL, NOW, engagement, item, random_units

SECRETS = [
    *("ann-user-4711", "ann-post-4712", "ann-request-4713", "ann-caption-4714"),
    *("ann-evidence-4715", "ann-place-4716", "ann-taste-4717"),
]


async def live(storage: Storage) -> None:
    """Ann posts, engages, is engaged with, and has a profile; others do, too."""
    user, post, request, caption, evidence, place, taste = SECRETS
    pictures_ND = random_units(400)
    posts = item(
        post,
        author_id=user,
        texts={"caption": caption},
        location=place,
        source="user_generated",
        embedding_D=pictures_ND[0],
    )
    tagged = dataclasses.replace(posts, tags=(StoredTag("cat", 0.5, {"evidence": [evidence]}),))
    await storage.content.put([tagged])
    others = [
        item(f"other-{i}", author_id=f"user-{i}", texts={"caption": "x" * 3_000}, embedding_D=row_D)
        for i, row_D in enumerate(pictures_ND[1:])
    ]
    for start in range(0, len(others), 100):
        await storage.content.put(others[start : start + 100])
    rows = [engagement(f"user-{i}", "other-0") for i in range(300)]
    rows += [engagement(user, f"other-{i}", request_id=f"{request}-{i}") for i in range(50)]
    rows += [engagement("user-1", post)]
    await storage.engagements.record(rows)
    ann = await storage.people.find(user)
    assert ann is not None
    await storage.people.save_profile(
        ann.key, StoredProfile(1, "s", np.ones(9, "<f4").tobytes(), 1, 0, {taste: 1.0}, NOW)
    )
    await storage.clusters.save(
        ClusterRecord("v1", MODEL, b"numbers", NOW, 400), [Exemplar(0, 0, post)]
    )
    # Replacing leaves the old row behind until it is vacuumed; ANALYZE looks at values.
    await storage.content.put([posts])
    await storage.content.put([tagged])
    async with storage.database.maintenance() as connection:
        await connection.execute("ANALYZE")


def in_tables(url: str) -> set[str]:
    """Which secrets any column of any table holds, statistics among them, as text."""
    found = set()
    with psycopg.connect(url) as session:
        tables = session.execute(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables"
            " WHERE schemaname = 'public' OR tablename IN ('pg_statistic', 'pg_statistic_ext_data')"
        ).fetchall()
        for (table,) in tables:
            with session.cursor().copy(f"COPY (SELECT * FROM {table}) TO STDOUT".encode()) as copy:
                text = b"".join(bytes(part) for part in copy)
            found |= {secret for secret in SECRETS if secret.encode() in text}
    return found


def in_dump(url: str) -> set[str]:
    """Which secrets a dump of the database holds."""
    dump = subprocess.run(
        [str(find_postgres().folder / "pg_dump"), url], capture_output=True, check=True
    ).stdout
    return {secret for secret in SECRETS if secret.encode() in dump}


def in_files(folder: Path, secrets: Sequence[str] = SECRETS) -> set[str]:
    """Which secrets any file below a folder holds."""
    found = set()
    for path in folder.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            found |= {secret for secret in secrets if secret.encode() in data}
    return found


async def test_nothing_of_somebody_who_is_erased_is_left(postgres_data_dir: Path) -> None:
    user, post, request = SECRETS[:3]
    folder = postgres_data_dir / "postgres"
    async with (
        await EmbeddedPostgres.start(postgres_data_dir) as postgres,
        open_storage(postgres.url) as storage,
    ):
        await live(storage)
        async with storage.database.maintenance() as connection:
            await connection.execute("CHECKPOINT")
        # A request id is hashed before it is stored.
        there = set(SECRETS) - {request}
        assert in_tables(postgres.url) == there
        assert in_dump(postgres.url) == there
        assert in_files(folder) == there

        erased = await storage.people.erase(user)
        assert (erased.engagement_count, erased.content_count) == (50, 1)
        assert in_tables(postgres.url) == set()
        assert in_dump(postgres.url) == set()
        async with storage.database.maintenance() as connection:
            await connection.execute("CHECKPOINT")
        assert user in in_files(folder), "a scrub would have nothing to do"

        await storage.scrub(content=True)
        assert in_files(folder) == set()
        assert await storage.content.get("other-7") is not None
        assert await storage.content.get(post) is None
    assert in_files(folder) == set()
    assert in_files(folder, ["other-7"]) == {"other-7"}
