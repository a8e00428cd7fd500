"""Items: what they say, what they are about, and their embeddings.

Replacing an item with other tags or another embedding changes what is computed of everybody who
engaged with it: their `engagement_version` rises in the same transaction. Sending the same again
changes nothing. Transactions lock items before people, each in ascending order of their keys; so
does everything in this package, against deadlocks. This module does not know what is computed of
people.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from inkling_server.storage.database import LONG_TIMEOUT_S, WRITE_TIMEOUT_S, Connection, Database
from inkling_server.storage.json_values import to_json, without_nul
from inkling_server.storage.keys import InterestKeys, ModelKey, ModelKeys
from inkling_server.storage.person_rows import forget_counts, make_people, raise_versions
from inkling_server.storage.records import AuthorInterest, StoredContent, StoredTag
from inkling_server.storage.vectors import HalfVector, to_matrix

_AUTHOR_ITEMS = 1_000

_PUT = """
INSERT INTO content (content_id, author_key, model_key, created_time, latitude_deg, longitude_deg,
                     source, location, graph_version, model_version, texts, explanations)
SELECT * FROM unnest(%s::text[], %s::bigint[], %s::integer[], %s::timestamptz[], %s::float8[],
                     %s::float8[], %s::text[], %s::text[], %s::text[], %s::text[],
                     %s::jsonb[], %s::jsonb[])
ON CONFLICT (content_id) DO UPDATE SET
    author_key = excluded.author_key, model_key = excluded.model_key,
    created_time = excluded.created_time, latitude_deg = excluded.latitude_deg,
    longitude_deg = excluded.longitude_deg, source = excluded.source, location = excluded.location,
    graph_version = excluded.graph_version, model_version = excluded.model_version,
    texts = excluded.texts, explanations = excluded.explanations
RETURNING content_id, content_key
"""


class ContentTable:
    """See the module."""

    def __init__(self, database: Database, interests: InterestKeys, models: ModelKeys) -> None:
        self._database = database
        self._interests = interests
        self._models = models

    async def put(self, items: Sequence[StoredContent]) -> list[bool]:
        """Stores items in one transaction; an item of the same id is replaced.

        An embedding of another model stays until there is one of that model; all embeddings go
        where the item has no picture any more. Of an id that is given twice, the later one stays.

        Returns:
            Whether each was created.

        Raises:
            ValueError: an embedding's dimension is not its model's.
        """
        last = {item.content_id: item for item in items}
        distinct = [last[content_id] for content_id in sorted(last)]
        interest_keys = await self._interests.make(
            tag.interest_id for item in distinct for tag in item.tags
        )
        models: dict[str, ModelKey] = {}
        for item in distinct:
            if item.embedding_D is not None:
                models[item.fingerprint] = await self._models.make(
                    item.fingerprint, len(item.embedding_D)
                )
            elif model := await self._models.find(item.fingerprint):
                models[item.fingerprint] = model

        async def work(connection: Connection) -> set[str]:
            return await _put(connection, distinct, interest_keys, models)

        created = await self._database.transact(work, timeout_s=WRITE_TIMEOUT_S) if items else set()
        flags = []
        for item in items:
            flags.append(item.content_id in created)
            created.discard(item.content_id)
        return flags

    async def get(self, content_id: str) -> StoredContent | None:
        """One item, with the embedding of the model that tagged it last."""
        async with self._database.cursor() as cursor:
            await cursor.execute(
                "SELECT c.content_key, c.source, c.texts, p.user_id, c.created_time, c.location,"
                " c.latitude_deg, c.longitude_deg, c.explanations, c.graph_version,"
                " c.model_version,"
                " m.fingerprint, m.dimension, e.embedding"
                " FROM content c LEFT JOIN person p ON p.person_key = c.author_key"
                " LEFT JOIN model m USING (model_key)"
                " LEFT JOIN content_embedding e USING (content_key, model_key)"
                " WHERE c.content_id = %s",
                [content_id],
            )
            row = await cursor.fetchone()
            if row is None:
                return None
            key, source, texts, author_id, created_time, location, latitude, longitude = row[:8]
            explanations, graph_version, model_version, fingerprint, dimension, embedding = row[8:]
            await cursor.execute(
                "SELECT interest_id, interest_key, score FROM content_tag JOIN interest USING"
                " (interest_key)"
                ' WHERE content_key = %s ORDER BY score DESC, interest_id COLLATE "C"',
                [key],
            )
            tags = tuple(
                StoredTag(name, score, explanations.get(str(interest_key), {}))
                for name, interest_key, score in await cursor.fetchall()
            )
        return StoredContent(
            content_id=content_id,
            source=source,
            texts=texts,
            author_id=author_id,
            created_time=created_time,
            location=location,
            point=None if latitude is None else (latitude, longitude),
            tags=tags,
            graph_version=graph_version,
            model_version=model_version,
            fingerprint=fingerprint or "",
            embedding_D=None if embedding is None else to_matrix([embedding], dimension)[0],
        )

    async def delete(self, content_ids: Sequence[str]) -> int:
        """Deletes items with all that people did with them. The number of those that there were."""

        async def work(connection: Connection) -> int:
            cursor = await connection.execute(
                "SELECT content_key FROM content WHERE content_id = ANY(%s::text[])"
                " ORDER BY content_key FOR UPDATE",
                [list(content_ids)],
            )
            keys = [key for (key,) in await cursor.fetchall()]
            await forget_counts(connection, await delete_items(connection, keys))
            return len(keys)

        return await self._database.transact(work, timeout_s=LONG_TIMEOUT_S)

    async def keys(self, content_ids: Sequence[str]) -> dict[str, int]:
        """Keys of those items that are stored."""
        async with self._database.cursor() as cursor:
            await cursor.execute(
                "SELECT content_id, content_key FROM content WHERE content_id = ANY(%s::text[])",
                [list(content_ids)],
            )
            return dict(await cursor.fetchall())

    async def embeddings(
        self, content_ids: Sequence[str], fingerprint: str
    ) -> tuple[list[str], NDArray[np.float32]]:
        """Embeddings of those items that have one.

        Returns:
            Their ids in the order asked for, each once; and float32 [N, D], rows of length 1.
        """
        model = await self._models.find(fingerprint)
        if model is None:
            return [], np.empty((0, 0), np.float32)
        async with self._database.cursor() as cursor:
            await cursor.execute(
                "SELECT content_id, embedding FROM content JOIN content_embedding USING"
                " (content_key)"
                " WHERE content_id = ANY(%s::text[]) AND content_embedding.model_key = %s",
                [list(content_ids), model.key],
            )
            found: dict[str, bytes] = dict(await cursor.fetchall())
        names = [name for name in dict.fromkeys(content_ids) if name in found]
        return names, to_matrix([found[name] for name in names], model.dimension)

    async def interests(self, content_ids: Sequence[str]) -> dict[str, list[tuple[str, float]]]:
        """(interest_id, score) of each of those items that are stored, the best first."""
        async with self._database.cursor() as cursor:
            await cursor.execute(
                "SELECT content_id, interest_id, score FROM content LEFT JOIN content_tag USING"
                " (content_key)"
                " LEFT JOIN interest USING (interest_key) WHERE content_id = ANY(%s::text[])"
                ' ORDER BY score DESC, interest_id COLLATE "C"',
                [list(content_ids)],
            )
            found: dict[str, list[tuple[str, float]]] = {}
            async for content_id, interest_id, score in cursor:
                tags = found.setdefault(content_id, [])
                if interest_id is not None:
                    tags.append((interest_id, score))
        return found

    async def author_interests(
        self, author_id: str, *, limit: int, besides: str = ""
    ) -> list[AuthorInterest]:
        """What somebody posts about: interests of their newest 1,000 items, the most present first.

        Args:
            author_id: who.
            limit: interests at most.
            besides: an item that is left out: one that is just being replaced.
        """
        async with self._database.cursor() as cursor:
            await cursor.execute(
                "WITH item AS MATERIALIZED (SELECT content_key FROM content"
                "  WHERE author_key = (SELECT person_key FROM person WHERE user_id = %s)"
                "  AND content_id <> %s ORDER BY created_time DESC LIMIT %s)"
                " SELECT interest_id, avg(score), count(*), (SELECT count(*) FROM item)"
                " FROM item JOIN content_tag USING (content_key) JOIN interest USING (interest_key)"
                ' GROUP BY interest_id ORDER BY sum(score) DESC, interest_id COLLATE "C" LIMIT %s',
                [author_id, besides, _AUTHOR_ITEMS, limit],
            )
            return [AuthorInterest(*row) for row in await cursor.fetchall()]


async def delete_items(connection: Connection, keys: Sequence[int]) -> Counter[int]:
    """Deletes items that the transaction holds locked.

    Returns:
        Who had engaged with them, and how often.
    """
    if not keys:
        return Counter()
    cursor = await connection.execute(
        "DELETE FROM engagement WHERE content_key = ANY(%s::bigint[]) RETURNING person_key",
        [list(keys)],
    )
    people = Counter(person for (person,) in await cursor.fetchall())
    for statement in (
        "DELETE FROM content_neighbor WHERE content_key = ANY(%s::bigint[])",
        "DELETE FROM content_neighbor WHERE neighbor_key = ANY(%s::bigint[])",
        "DELETE FROM content_popularity WHERE content_key = ANY(%s::bigint[])",
        "DELETE FROM content WHERE content_key = ANY(%s::bigint[])",
    ):
        await connection.execute(statement, [list(keys)])
    return people


async def _put(
    connection: Connection,
    items: Sequence[StoredContent],
    interest_keys: Mapping[str, int],
    models: Mapping[str, ModelKey],
) -> set[str]:
    """Writes distinct items, sorted by id. Returns the ids of the new ones."""
    authors = {item.author_id for item in items if item.author_id is not None}
    author_keys = await make_people(connection, sorted(authors), lock="KEY SHARE")
    before = await _lock_existing(connection, [item.content_id for item in items])
    columns = [_row(item, author_keys, interest_keys, models) for item in items]
    cursor = await connection.execute(_PUT, [list(column) for column in zip(*columns, strict=True)])
    keys: dict[str, int] = dict(await cursor.fetchall())
    changed = set()
    if before:
        existing = sorted(before.values())
        old_tags = await _tags(connection, existing)
        for item in items:
            key = keys[item.content_id]
            new_tags = {interest_keys[tag.interest_id]: np.float32(tag.score) for tag in item.tags}
            if item.content_id in before and old_tags.get(key, {}) != new_tags:
                changed.add(key)
        await connection.execute(
            "DELETE FROM content_tag WHERE content_key = ANY(%s::bigint[])", [existing]
        )
    await _write_tags(connection, items, keys, interest_keys)
    changed |= await _write_embeddings(connection, items, keys, models)
    changed &= set(before.values())
    if changed:
        cursor = await connection.execute(
            "SELECT DISTINCT person_key FROM engagement WHERE content_key = ANY(%s::bigint[])",
            [sorted(changed)],
        )
        await raise_versions(connection, [person for (person,) in await cursor.fetchall()])
    return {item.content_id for item in items if item.content_id not in before}


async def _lock_existing(connection: Connection, content_ids: Sequence[str]) -> dict[str, int]:
    cursor = await connection.execute(
        "SELECT content_id, content_key FROM content WHERE content_id = ANY(%s::text[])"
        " ORDER BY content_key FOR NO KEY UPDATE",
        [list(content_ids)],
    )
    return dict(await cursor.fetchall())


async def _tags(connection: Connection, keys: Sequence[int]) -> dict[int, dict[int, np.float32]]:
    cursor = connection.cursor(binary=True)
    await cursor.execute(
        "SELECT content_key, interest_key, score FROM content_tag WHERE content_key ="
        " ANY(%s::bigint[])",
        [list(keys)],
    )
    found: dict[int, dict[int, np.float32]] = {}
    for content_key, interest_key, score in await cursor.fetchall():
        found.setdefault(content_key, {})[interest_key] = np.float32(score)
    return found


async def _write_tags(
    connection: Connection,
    items: Sequence[StoredContent],
    keys: Mapping[str, int],
    interest_keys: Mapping[str, int],
) -> None:
    rows = [
        (keys[item.content_id], interest_keys[tag.interest_id], float(tag.score), item.created_time)
        for item in items
        # Of an interest that is given twice, the last: as for items.
        for tag in {tag.interest_id: tag for tag in item.tags}.values()
    ]
    if rows:
        await connection.execute(
            "INSERT INTO content_tag (content_key, interest_key, score, created_time)"
            " SELECT * FROM unnest(%s::bigint[], %s::integer[], %s::real[], %s::timestamptz[])",
            [list(column) for column in zip(*rows, strict=True)],
        )


async def _write_embeddings(
    connection: Connection,
    items: Sequence[StoredContent],
    keys: Mapping[str, int],
    models: Mapping[str, ModelKey],
) -> set[int]:
    """Returns the keys of the items whose embedding was written or went."""
    without = [keys[item.content_id] for item in items if item.embedding_D is None]
    changed = set()
    if without:
        cursor = await connection.execute(
            "DELETE FROM content_embedding WHERE content_key = ANY(%s::bigint[]) RETURNING"
            " content_key",
            [without],
        )
        changed = {key for (key,) in await cursor.fetchall()}
    rows = [
        (keys[item.content_id], models[item.fingerprint].key, HalfVector(item.embedding_D))
        for item in items
        if item.embedding_D is not None
    ]
    if rows:
        cursor = await connection.execute(
            "INSERT INTO content_embedding AS old (content_key, model_key, embedding)"
            " SELECT * FROM unnest(%s::bigint[], %s::integer[], %b::halfvec[])"
            " ON CONFLICT (content_key, model_key) DO UPDATE SET embedding = excluded.embedding"
            # The same again would only make the index work.
            " WHERE old.embedding <> excluded.embedding RETURNING content_key",
            [list(column) for column in zip(*rows, strict=True)],
        )
        changed |= {key for (key,) in await cursor.fetchall()}
    return changed


def _row(
    item: StoredContent,
    author_keys: Mapping[str, int],
    interest_keys: Mapping[str, int],
    models: Mapping[str, ModelKey],
) -> tuple[object, ...]:
    """The columns of _PUT."""
    latitude, longitude = map(float, item.point) if item.point else (None, None)
    model = models.get(item.fingerprint)
    explanations = {
        str(interest_keys[tag.interest_id]): tag.explanation for tag in item.tags if tag.explanation
    }
    return (
        item.content_id,
        None if item.author_id is None else author_keys[item.author_id],
        model.key if model else None,
        item.created_time,
        latitude,
        longitude,
        without_nul(item.source),
        without_nul(item.location),
        item.graph_version,
        item.model_version,
        to_json(item.texts),
        to_json(explanations),
    )
