"""Visual clusters, the items that show what each is about, and a sample of pictures to fit them to.

It does not know what a cluster is: its numbers are bytes here. The items' ids are rows, so that
they go when the items do.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from inkling_server.storage.database import Connection, Database
from inkling_server.storage.keys import ModelKeys
from inkling_server.storage.records import ClusterRecord, Exemplar
from inkling_server.storage.vectors import to_matrix

# Versions of one model that are kept: the one that serves, and those that a gateway may still hold.
_KEPT_VERSIONS = 3


class ClusterTable:
    """See the module."""

    def __init__(self, database: Database, models: ModelKeys) -> None:
        self._database = database
        self._models = models

    async def save(self, record: ClusterRecord, exemplars: Sequence[Exemplar] = ()) -> None:
        """Keeps clusters, from now on the current ones of their model; the oldest versions go.

        Exemplars whose item is not stored (any more) are left out. A version that is there is
        replaced.

        Raises:
            LookupError: nothing is stored of the model.
        """
        model = await self._models.find(record.fingerprint)
        if model is None:
            raise LookupError("there are no embeddings of the model of these clusters")

        async def work(connection: Connection) -> None:
            await connection.execute(
                "DELETE FROM visual_clusters WHERE version = %s", [record.version]
            )
            await connection.execute(
                "INSERT INTO visual_clusters (version, model_key, data, created_time,"
                " background_count)"
                " VALUES (%s, %s, %s, %s, %s)",
                [
                    *(record.version, model.key, record.data),
                    *(record.created_time, record.background_count),
                ],
            )
            await connection.execute(
                "INSERT INTO cluster_exemplar (version, cluster, place, content_key)"
                " SELECT %s, cluster, place, content_key"
                " FROM unnest(%s::integer[], %s::integer[], %s::text[]) AS e (cluster, place,"
                " content_id)"
                " JOIN content USING (content_id) ORDER BY content_key",
                [
                    record.version,
                    [exemplar.cluster for exemplar in exemplars],
                    [exemplar.place for exemplar in exemplars],
                    [exemplar.content_id for exemplar in exemplars],
                ],
            )
            await connection.execute(
                "DELETE FROM visual_clusters WHERE model_key = %s AND version NOT IN"
                " (SELECT version FROM visual_clusters WHERE model_key = %s"
                "  ORDER BY created_time DESC, version DESC LIMIT %s)",
                [model.key, model.key, _KEPT_VERSIONS],
            )

        await self._database.transact(work)

    async def load(self, fingerprint: str) -> ClusterRecord | None:
        """The current clusters of a model."""
        async with self._database.cursor() as cursor:
            await cursor.execute(
                "SELECT version, fingerprint, data, created_time, background_count"
                " FROM visual_clusters JOIN model USING (model_key) WHERE fingerprint = %s"
                " ORDER BY created_time DESC, version DESC LIMIT 1",
                [fingerprint],
            )
            row = await cursor.fetchone()
        return None if row is None else ClusterRecord(*row)

    async def current_version(self, fingerprint: str) -> str | None:
        """The version that `load` would give, without its bytes."""
        async with self._database.cursor() as cursor:
            await cursor.execute(
                "SELECT version FROM visual_clusters JOIN model USING (model_key)"
                " WHERE fingerprint = %s ORDER BY created_time DESC, version DESC LIMIT 1",
                [fingerprint],
            )
            row = await cursor.fetchone()
        return None if row is None else str(row[0])

    async def exemplars(
        self, version: str, *, count: int, only: Sequence[int] | None = None
    ) -> dict[int, list[str]]:
        """Content ids for each cluster that has any, the most typical first.

        Args:
            version: of the clusters.
            count: of each cluster, at most.
            only: these clusters; None: all.
        """
        found: dict[int, list[str]] = {}
        async with self._database.cursor() as cursor:
            await cursor.execute(
                "SELECT cluster, content_id FROM cluster_exemplar JOIN content USING (content_key)"
                " WHERE version = %(version)s"
                " AND (%(only)s::integer[] IS NULL OR cluster = ANY(%(only)s::integer[]))"
                " ORDER BY cluster, place",
                {"version": version, "only": None if only is None else list(only)},
            )
            async for cluster, content_id in cursor:
                members = found.setdefault(cluster, [])
                if len(members) < count:
                    members.append(content_id)
        return found

    async def background(
        self, fingerprint: str, *, limit: int, seed: int
    ) -> tuple[list[str], NDArray[np.float32]]:
        """A random sample of pictures; the same for the same seed and the same stored items.

        Args:
            fingerprint: of the model whose embeddings are wanted.
            limit: pictures at most.
            seed: any integer of 64 bits.

        Returns:
            content ids, and embeddings: float32 [N, D], rows of length 1.
        """
        model = await self._models.find(fingerprint)
        if model is None:
            return [], np.empty((0, 0), np.float32)

        async def work(connection: Connection) -> list[tuple[str, bytes]]:
            cursor = connection.cursor(binary=True)
            await cursor.execute(
                "SELECT content_id, embedding FROM"
                " (SELECT content_key FROM content_embedding WHERE model_key = %s"
                "  ORDER BY hashint8extended(content_key, %s), content_key LIMIT %s) AS sample"
                " JOIN content USING (content_key)"
                " JOIN content_embedding e USING (content_key)"
                " WHERE e.model_key = %s ORDER BY hashint8extended(content_key, %s), content_key",
                [model.key, seed, limit, model.key, seed],
            )
            return await cursor.fetchall()

        rows = await self._database.transact(work, timeout_s=600)
        return [name for name, _ in rows], to_matrix([row for _, row in rows], model.dimension)
