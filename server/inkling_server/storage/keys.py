"""The numbers that stand for interests and models in every other table.

Both only grow, so what this process has seen stays true: it is kept in memory, and one answer with
thousands of interests needs no join with their names. It knows neither items nor people.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from psycopg import sql

from inkling_server.storage.database import Connection, Database
from inkling_server.storage.vectors import MOST_DIMENSIONS

_LOCK_KEY = 0x6D6F64656C  # "model"


@dataclass(frozen=True, slots=True)
class ModelKey:
    """A model of which there are embeddings."""

    key: int
    dimension: int


class InterestKeys:
    """Interests and their numbers, both ways."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._keys: dict[str, int] = {}
        self._ids: dict[int, str] = {}

    async def make(self, interest_ids: Iterable[str]) -> dict[str, int]:
        """Numbers of interests, new ones for those that have none.

        Commits by itself: an interest without items is no harm, and one that were rolled back while
        it is remembered here would be.
        """
        wanted = set(interest_ids)
        missing = sorted(wanted - self._keys.keys())
        if missing:
            async with self._database.connection() as connection:
                # In one order everywhere, so that two gateways that add the same do not lock each
                # other out.
                await connection.execute(
                    "INSERT INTO interest (interest_id)"
                    " SELECT unnest(%s::text[]) EXCEPT SELECT interest_id FROM interest ORDER BY 1"
                    " ON CONFLICT DO NOTHING",
                    [missing],
                )
            await self._learn("interest_id = ANY(%s::text[])", missing)
        return {interest_id: self._keys[interest_id] for interest_id in wanted}

    async def find(self, interest_ids: Collection[str]) -> list[int]:
        """Numbers of those interests that have one."""
        missing = [name for name in interest_ids if name not in self._keys]
        if missing:
            await self._learn("interest_id = ANY(%s::text[])", missing)
        return [self._keys[name] for name in interest_ids if name in self._keys]

    async def names(self, keys_T: NDArray[np.int32]) -> tuple[NDArray[np.int32], list[str]]:
        """Names of numbers.

        Args:
            keys_T: any order, repeated.

        Returns:
            int32 [T] places in a list, and the list: each interest once.
        """
        distinct, places_T = np.unique(keys_T, return_inverse=True)
        keys = distinct.tolist()
        missing = [key for key in keys if key not in self._ids]
        if missing:
            await self._learn("interest_key = ANY(%s::integer[])", missing)
        return places_T.astype(np.int32), [self._ids[key] for key in keys]

    async def _learn(self, condition: str, values: list[str] | list[int]) -> None:
        async with self._database.cursor() as cursor:
            query = "SELECT interest_key, interest_id FROM interest WHERE " + condition  # noqa: S608 - ours
            await cursor.execute(query.encode(), [values])
            async for key, name in cursor:
                self._keys[name] = key
                self._ids[key] = name


class ModelKeys:
    """Models, their numbers, and the index of each."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[str, ModelKey] = {}

    async def find(self, fingerprint: str) -> ModelKey | None:
        """The model, where there are embeddings of it."""
        if fingerprint not in self._known:
            async with self._database.cursor() as cursor:
                await cursor.execute(
                    "SELECT model_key, dimension FROM model WHERE fingerprint = %s", [fingerprint]
                )
                row = await cursor.fetchone()
            if row is None:
                return None
            self._known[fingerprint] = ModelKey(*row)
        return self._known[fingerprint]

    async def make(self, fingerprint: str, dimension: int) -> ModelKey:
        """The model; a new one gets its number and an index of its own.

        Raises:
            ValueError: the model has another dimension, or more than an index can hold.
        """
        if not 1 <= dimension <= MOST_DIMENSIONS:
            raise ValueError(
                f"embeddings have {dimension} dimensions; allowed: 1 to {MOST_DIMENSIONS}"
            )
        model = await self.find(fingerprint) or await self._add(fingerprint, dimension)
        if model.dimension != dimension:
            raise ValueError(
                f"embeddings have {dimension} dimensions, and this model's have {model.dimension}"
            )
        return model

    async def _add(self, fingerprint: str, dimension: int) -> ModelKey:
        async def work(connection: Connection) -> None:
            await connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK_KEY])
            cursor = await connection.execute(
                "INSERT INTO model (fingerprint, dimension) VALUES (%s, %s)"
                " ON CONFLICT DO NOTHING RETURNING model_key",
                [fingerprint, dimension],
            )
            row = await cursor.fetchone()
            if row is not None:
                await _make_index(connection, row[0], dimension)

        # Making an index reads the whole table once, however few rows are the new model's.
        await self._database.transact(work, timeout_s=0)
        model = await self.find(fingerprint)
        assert model is not None
        return model


async def _make_index(connection: Connection, model_key: int, dimension: int) -> None:
    name = sql.Identifier(f"content_embedding_hnsw_{model_key}")
    await connection.execute(
        # Inner product: embeddings have length 1.
        sql.SQL(
            "CREATE INDEX {} ON content_embedding USING hnsw ((embedding::halfvec({}))"
            " halfvec_ip_ops)"
            " WHERE model_key = {}"
        ).format(name, sql.Literal(dimension), sql.Literal(model_key))
    )
    # ANALYZE would copy embeddings of people's pictures into pg_statistic.
    await connection.execute(sql.SQL("ALTER INDEX {} ALTER COLUMN 1 SET STATISTICS 0").format(name))
