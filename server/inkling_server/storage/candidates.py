"""What could be shown to somebody, and what is known of it. It ranks nothing.

Everything here speaks of items by their keys, which is what indexes hold; `features` names them.

Shapes: M query vectors, D dimensions, N items, T (item, interest) entries.
"""

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray
from psycopg import sql

from inkling_server.storage.database import Database
from inkling_server.storage.keys import InterestKeys, ModelKey, ModelKeys
from inkling_server.storage.records import Features
from inkling_server.storage.vectors import HalfVector, to_matrix

# The model's number is a constant in the statement: only then does its partial index answer.
_NEAR = """
SELECT near.content_key FROM unnest(%b::halfvec[]) AS wanted (vector),
LATERAL (SELECT content_key, embedding::halfvec({dimension}) <#> wanted.vector AS distance
         FROM content_embedding WHERE model_key = {model}
         ORDER BY embedding::halfvec({dimension}) <#> wanted.vector LIMIT %s) AS near
GROUP BY near.content_key ORDER BY min(near.distance), near.content_key
"""
_BY_INTERESTS = """
SELECT content_key FROM (
    SELECT content_key, score, created_time FROM unnest(%(interests)s::integer[]) AS wanted (key),
    LATERAL ((SELECT content_key, score, created_time FROM content_tag
              WHERE interest_key = wanted.key
              ORDER BY score DESC, content_key LIMIT %(k)s)
             UNION
             (SELECT content_key, score, created_time FROM content_tag
              WHERE interest_key = wanted.key
              ORDER BY created_time DESC, content_key LIMIT %(k)s)) AS tagged) AS found
GROUP BY content_key ORDER BY max(score) DESC, max(created_time) DESC, content_key
"""
_RECENT = """
WITH recent AS MATERIALIZED (
    SELECT content_key, max((%(kind_weights)s::real[])[kind]) AS item_weight
    FROM (SELECT content_key, kind, time FROM engagement WHERE person_key = %(person)s
          ORDER BY time DESC LIMIT 10000) AS newest
    GROUP BY content_key HAVING NOT bool_or(kind = 5)
    ORDER BY item_weight DESC, max(time) DESC, content_key DESC LIMIT %(recent)s)
"""
# Packed: thousands of rows arrive as one value.
_LED_TO = """
SELECT string_agg(int8send(neighbor_key) || float4send(weight), ''
                  ORDER BY weight DESC, neighbor_key) FROM (
    SELECT neighbor_key, sum(item_weight * weight)::real AS weight
    FROM recent JOIN content_neighbor USING (content_key)
    GROUP BY neighbor_key
    HAVING NOT EXISTS (SELECT 1 FROM engagement e
                       WHERE e.person_key = %(person)s AND e.content_key = neighbor_key)
    ORDER BY weight DESC, neighbor_key LIMIT %(k)s) AS reached
"""
_LED = np.dtype([("key", ">i8"), ("weight", ">f4")])
_BECAUSE = """
SELECT neighbor_key, content_id FROM (
    SELECT neighbor_key, content_key, item_weight * weight AS part, row_number() OVER (
        PARTITION BY neighbor_key ORDER BY item_weight * weight DESC, content_key) AS place
    FROM recent JOIN content_neighbor USING (content_key)
    WHERE neighbor_key = ANY(%(keys)s::bigint[])) AS led
JOIN content USING (content_key) WHERE place <= %(sources)s
ORDER BY neighbor_key, place
"""
_SOURCES = 3


def near_query(model: ModelKey) -> sql.Composed:
    """The statement for one model; its parameters: halfvecs, and how many to find for each."""
    return sql.SQL(_NEAR).format(
        dimension=sql.Literal(model.dimension), model=sql.Literal(model.key)
    )


class CandidateTable:
    """See the module."""

    def __init__(self, database: Database, interests: InterestKeys, models: ModelKeys) -> None:
        self._database = database
        self._interests = interests
        self._models = models

    async def near(self, fingerprint: str, vectors_MD: NDArray[np.float32], *, k: int) -> list[int]:
        """Items whose pictures are nearest to any of some vectors, the nearest first.

        Approximate (HNSW). Of each vector its `k` nearest, so between k and M * k items in all.

        Args:
            fingerprint: of the model.
            vectors_MD: any length above 0; the angle counts.
            k: for each vector.
        """
        model = await self._models.find(fingerprint)
        if model is None or not len(vectors_MD):
            return []
        query = near_query(model)
        vectors = [HalfVector(vector_D / np.linalg.norm(vector_D)) for vector_D in vectors_MD]
        async with self._database.cursor() as cursor:
            await cursor.execute(query, [vectors, k])
            return [key for (key,) in await cursor.fetchall()]

    async def by_interests(self, interest_ids: Collection[str], *, k: int) -> list[int]:
        """Items with any of some interests, the best first.

        Args:
            interest_ids: those that no item has are passed over.
            k: of each interest, so many of the best and so many of the newest.
        """
        interests = await self._interests.find(interest_ids)
        return await self._list(_BY_INTERESTS, interests=interests, k=k)

    async def led_to(
        self, person_key: int, *, recent: int, k: int, kind_weights: Sequence[float]
    ) -> dict[int, float]:
        """Items of those who engaged with the same, and summed weights, the greatest first.

        None that the person knows.

        Args:
            person_key: who.
            recent: items that they engaged with and did not hide, this many at most: the
                heaviest kind first, of one kind the newest.
            k: items at most.
            kind_weights: of VIEW, LIKE, SAVE and SHARE; an item has that of its heaviest kind.
        """
        async with self._database.cursor() as cursor:
            await cursor.execute(
                _RECENT + _LED_TO,
                {
                    "person": person_key,
                    "recent": recent,
                    "k": k,
                    "kind_weights": [float(weight) for weight in kind_weights],
                },
            )
            row = await cursor.fetchone()
        entries = np.frombuffer((row and row[0]) or b"", _LED)
        return dict(zip(entries["key"].tolist(), entries["weight"].tolist(), strict=True))

    async def because(
        self, person_key: int, keys: Sequence[int], *, recent: int, kind_weights: Sequence[float]
    ) -> dict[int, tuple[str, ...]]:
        """Which of the person's items lead to each of some others: at most three, the weightiest.

        Arguments as those of `led_to`.
        """
        found: dict[int, list[str]] = {}
        async with self._database.cursor() as cursor:
            await cursor.execute(
                _RECENT + _BECAUSE,
                {
                    "person": person_key,
                    "recent": recent,
                    "keys": list(keys),
                    "kind_weights": [float(weight) for weight in kind_weights],
                    "sources": _SOURCES,
                },
            )
            async for key, content_id in cursor:
                found.setdefault(key, []).append(content_id)
        return {key: tuple(content_ids) for key, content_ids in found.items()}

    async def popular(self, *, k: int) -> list[int]:
        """The most popular items; none before popularity was computed."""
        return await self._list(
            "SELECT content_key FROM content_popularity"
            " ORDER BY popularity DESC, content_key LIMIT %(k)s",
            k=k,
        )

    async def newest(self, *, k: int) -> list[int]:
        """The items that were posted last."""
        return await self._list(
            "SELECT content_key FROM content ORDER BY created_time DESC, content_key DESC LIMIT"
            " %(k)s",
            k=k,
        )

    async def unwanted(self, person_key: int, keys: Collection[int]) -> set[int]:
        """Those of some items that the person has engaged with in any way, or posted."""
        query = (
            "SELECT DISTINCT content_key FROM engagement"
            " WHERE person_key = %(person)s AND content_key = ANY(%(keys)s::bigint[])"
            " UNION SELECT content_key FROM content"
            " WHERE author_key = %(person)s AND content_key = ANY(%(keys)s::bigint[])"
        )
        return set(await self._list(query, person=person_key, keys=list(keys)))

    async def features(self, keys: Sequence[int], fingerprint: str) -> Features:
        """See `Features`.

        Args:
            keys: distinct.
            fingerprint: of the model whose embeddings are wanted.
        """
        model = await self._models.find(fingerprint)
        async with self._database.cursor() as cursor:
            await cursor.execute(
                "SELECT content_key, content_id, extract(epoch FROM created_time)::float8,"
                " coalesce(popularity, 0)::real, embedding,"
                " (SELECT string_agg(int4send(interest_key) || float4send(score), ''"
                "   ORDER BY score DESC, interest_key) FROM content_tag t"
                "  WHERE t.content_key = c.content_key)"
                " FROM unnest(%s::bigint[]) WITH ORDINALITY AS wanted (content_key, place)"
                " JOIN content c USING (content_key) LEFT JOIN content_popularity USING"
                " (content_key)"
                " LEFT JOIN (SELECT content_key, embedding FROM content_embedding WHERE"
                " model_key = %s) e"
                " USING (content_key) ORDER BY place",
                [list(keys), model.key if model else 0],
            )
            rows = await cursor.fetchall()
        tags = [row[5] or b"" for row in rows]
        entries = np.frombuffer(b"".join(tags), [("key", ">i4"), ("score", ">f4")])
        interest_T, interest_ids = await self._interests.names(entries["key"].astype(np.int32))
        return Features(
            keys_N=np.array([row[0] for row in rows], np.int64),
            content_ids=[row[1] for row in rows],
            created_times_N=np.array([row[2] for row in rows], np.float64),
            popularity_N=np.array([row[3] for row in rows], np.float32),
            offsets_N1=np.cumsum([0, *(len(entry) // 8 for entry in tags)], dtype=np.int32),
            interest_T=interest_T,
            scores_T=entries["score"].astype(np.float32),
            interest_ids=interest_ids,
            embeddings_ND=to_matrix([row[4] for row in rows], model.dimension if model else 0),
            has_embedding_N=np.array([row[4] is not None for row in rows], np.bool_),
        )

    async def _list(self, query: str, **arguments: object) -> list[int]:
        async with self._database.cursor() as cursor:
            await cursor.execute(query.encode(), arguments)
            return [key for (key,) in await cursor.fetchall()]
