"""People: what they keep, what they engaged with, what was computed of it, and how to forget them.

This module does not know how a profile is computed, nor who may ask for it.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from inkling_server.storage.content import delete_items
from inkling_server.storage.database import LONG_TIMEOUT_S, Connection, Database
from inkling_server.storage.json_values import to_json
from inkling_server.storage.keys import InterestKeys, ModelKeys
from inkling_server.storage.person_rows import forget_counts
from inkling_server.storage.records import Engaged, Erased, Kept, Person, StoredProfile
from inkling_server.storage.vectors import to_matrix

# Somebody with more engagements than this is judged by the newest of them: nobody waits for a
# machine.
_MOST_ENGAGEMENTS = 10_000
# LATERAL (... OFFSET 0) holds the planner to one look into an index for each row: it would now and
# then rather read all embeddings, or all tags, there are.
_KEPT = """
WITH kept AS MATERIALIZED (
    SELECT content_key, max(time) FILTER (WHERE kind IN (2, 3, 4)) AS time
    FROM (SELECT content_key, kind, time FROM engagement WHERE person_key = %(person)s
          ORDER BY time DESC LIMIT %(most)s) AS newest
    GROUP BY content_key
    HAVING bool_or(kind IN (2, 3, 4)) AND NOT bool_or(kind = 5)
    ORDER BY time DESC, content_key DESC)
"""
_KEPT_PICTURES = """
SELECT content_id, embedding
FROM (SELECT * FROM kept ORDER BY time DESC, content_key DESC) AS k,
LATERAL (SELECT embedding FROM content_embedding e
         WHERE e.content_key = k.content_key AND e.model_key = %(model)s OFFSET 0) AS picture,
LATERAL (SELECT content_id FROM content c WHERE c.content_key = k.content_key OFFSET 0) AS named
ORDER BY k.time DESC, k.content_key DESC LIMIT %(limit)s
"""
_OUTDATED = """
SELECT count(*) FROM kept,
LATERAL (SELECT bool_or(model_key = %(model)s) AS current FROM content_embedding e
         WHERE e.content_key = kept.content_key OFFSET 0) AS pictures
WHERE NOT current
"""
# Numbers as bytes in network order: thousands of rows arrive as one value.
_ENGAGED = """
WITH newest AS MATERIALIZED (
    SELECT (dense_rank() OVER (ORDER BY content_key) - 1)::integer AS item,
           content_key, kind, time
    FROM (SELECT content_key, kind, time FROM engagement WHERE person_key = %(person)s
          ORDER BY time DESC, request_key LIMIT %(limit)s) AS latest)
SELECT (SELECT count(*) FROM newest), string_agg(
    int4send(item) || int2send(kind) || float8send(extract(epoch FROM time)::float8)
    || int4send(interest_key) || float4send(score), '')
FROM newest, LATERAL (SELECT interest_key, score FROM content_tag t
                      WHERE t.content_key = newest.content_key OFFSET 0) AS tags
"""
_ENTRY = np.dtype(
    [("item", ">i4"), ("kind", ">i2"), ("time", ">f8"), ("interest", ">i4"), ("score", ">f4")]
)


class PeopleTable:
    """See the module."""

    def __init__(self, database: Database, interests: InterestKeys, models: ModelKeys) -> None:
        self._database = database
        self._interests = interests
        self._models = models

    async def find(self, user_id: str) -> Person | None:
        """Somebody, where anything of them is stored."""
        async with self._database.cursor() as cursor:
            await cursor.execute(
                "SELECT person_key, engagement_version, engagement_count, last_time FROM person"
                " WHERE user_id = %s",
                [user_id],
            )
            row = await cursor.fetchone()
        return None if row is None else Person(*row)

    async def kept(self, person_key: int, fingerprint: str, *, limit: int) -> Kept:
        """See `Kept`; of the newest 10,000 engagements.

        Args:
            person_key: who.
            fingerprint: of the model whose embeddings are wanted.
            limit: pictures at most, the newest.
        """
        model = await self._models.find(fingerprint)
        arguments = {
            "person": person_key,
            "most": _MOST_ENGAGEMENTS,
            "model": model.key if model else 0,
            "limit": limit,
        }
        rows: list[tuple[str, bytes]] = []
        async with self._database.cursor() as cursor:
            if model is not None:
                await cursor.execute(_KEPT + _KEPT_PICTURES, arguments)
                rows = await cursor.fetchall()
            await cursor.execute(_KEPT + _OUTDATED, arguments)
            outdated = await cursor.fetchone()
        return Kept(
            content_ids=[content_id for content_id, _ in rows],
            embeddings_ND=to_matrix(
                [embedding for _, embedding in rows], model.dimension if model else 0
            ),
            outdated_count=outdated[0] if outdated else 0,
        )

    async def engaged(self, person_key: int, *, limit: int) -> Engaged:
        """See `Engaged`.

        Args:
            person_key: who.
            limit: engagements at most, the newest.
        """
        async with self._database.cursor() as cursor:
            await cursor.execute(_ENGAGED, {"person": person_key, "limit": limit})
            row = await cursor.fetchone()
        assert row is not None
        entries = np.frombuffer(row[1] or b"", _ENTRY)
        interest_M, interest_ids = await self._interests.names(entries["interest"].astype(np.int32))
        return Engaged(
            engagement_count=row[0],
            item_M=entries["item"].astype(np.int32),
            kinds_M=entries["kind"].astype(np.int8),
            times_M=entries["time"].astype(np.float64),
            interest_M=interest_M,
            scores_M=entries["score"].astype(np.float32),
            interest_ids=interest_ids,
        )

    async def load_profile(self, person_key: int) -> StoredProfile | None:
        """What was computed of somebody last; the caller compares version and stamp."""
        async with self._database.cursor() as cursor:
            await cursor.execute(
                "SELECT engagement_version, stamp, visual, picture_count, outdated_count,"
                " interests, computed_time FROM profile WHERE person_key = %s",
                [person_key],
            )
            row = await cursor.fetchone()
        return None if row is None else StoredProfile(*row)

    async def save_profile(self, person_key: int, profile: StoredProfile) -> None:
        """Keeps what was computed.

        It is dropped where something newer of the same stamp is kept, or the person is gone. It
        can be computed again, so nobody waits until it is on disk.
        """
        async with self._database.connection() as connection:
            await connection.execute(
                "INSERT INTO profile AS old (person_key, engagement_version, stamp, visual,"
                " picture_count, outdated_count, interests, computed_time)"
                " SELECT person_key, %s, %s, %s, %s, %s, %s::jsonb, %s FROM person,"
                " (SELECT set_config('synchronous_commit', 'off', true)) AS of_this_statement"
                " WHERE person_key = %s FOR KEY SHARE OF person"
                " ON CONFLICT (person_key) DO UPDATE SET"
                " engagement_version = excluded.engagement_version, stamp = excluded.stamp,"
                " visual = excluded.visual, picture_count = excluded.picture_count,"
                " outdated_count = excluded.outdated_count, interests = excluded.interests,"
                " computed_time = excluded.computed_time"
                " WHERE old.stamp <> excluded.stamp"
                " OR old.engagement_version <= excluded.engagement_version",
                [
                    *(profile.engagement_version, profile.stamp, profile.visual),
                    *(profile.picture_count, profile.outdated_count, to_json(profile.interests)),
                    *(profile.computed_time, person_key),
                ],
            )

    async def visual_profiles(
        self, stamp: str, cluster_count: int, *, user_ids: Sequence[str] | None = None
    ) -> tuple[list[str], NDArray[np.float32]]:
        """Everybody's visual profile of one stamp, by user id.

        Args:
            stamp: see StoredProfile.
            cluster_count: K; what a profile holds behind its first K numbers is not read.
            user_ids: of whom; None: of everybody.

        Returns:
            user ids, and their sums: float32 [U, K].
        """
        async with self._database.cursor() as cursor:
            await cursor.execute(
                "SELECT user_id, substr(visual, 1, %s) FROM profile JOIN person USING (person_key)"
                " WHERE stamp = %s AND visual IS NOT NULL AND (%s OR user_id = ANY(%s::text[]))"
                ' ORDER BY user_id COLLATE "C"',
                [4 * cluster_count, stamp, user_ids is None, list(user_ids or ())],
            )
            rows = await cursor.fetchall()
        if not rows:
            return [], np.empty((0, 0), np.float32)
        profiles = np.frombuffer(b"".join(visual for _, visual in rows), "<f4")
        return [user for user, _ in rows], profiles.reshape(len(rows), -1).astype(np.float32)

    async def keeps(self, user_ids: Sequence[str], content_ids: Sequence[str]) -> NDArray[np.bool_]:
        """Who keeps which items: liked, saved or shared, and not hidden; bool [U, M]."""
        keeps_UM = np.zeros((len(user_ids), len(content_ids)), np.bool_)
        async with self._database.cursor() as cursor:
            await cursor.execute(
                "SELECT u.place, c.place FROM unnest(%s::text[]) WITH ORDINALITY AS c (id, place)"
                " JOIN content ON content_id = c.id JOIN engagement USING (content_key)"
                " JOIN person USING (person_key)"
                " JOIN unnest(%s::text[]) WITH ORDINALITY AS u (id, place) ON user_id = u.id"
                " GROUP BY u.place, c.place"
                " HAVING bool_or(kind IN (2, 3, 4)) AND NOT bool_or(kind = 5)",
                [list(content_ids), list(user_ids)],
            )
            async for person, item in cursor:
                keeps_UM[person - 1, item - 1] = True
        return keeps_UM

    async def stale(self, stamp: str, *, limit: int) -> list[str]:
        """User ids of people with engagements whose profile is missing or says nothing of now.

        Args:
            stamp: of a profile of now.
            limit: people at most.
        """
        async with self._database.cursor() as cursor:
            await cursor.execute(
                "SELECT user_id FROM person p LEFT JOIN profile f USING (person_key)"
                " WHERE (f.stamp IS NULL OR f.stamp <> %s"
                "        OR f.engagement_version < p.engagement_version)"
                " AND p.engagement_count > 0"
                " ORDER BY person_key LIMIT %s",
                [stamp, limit],
            )
            return [user for (user,) in await cursor.fetchall()]

    async def erase(self, user_id: str) -> Erased:
        """Deletes everything of somebody, in one transaction.

        That is: engagements, profile, the items that they posted with what others did with those,
        and the user id. What remains in files that are not used any more: `Storage.scrub`.
        """
        return await self._database.transact(partial(_erase, user_id), timeout_s=LONG_TIMEOUT_S)


async def _erase(user_id: str, connection: Connection) -> Erased:
    cursor = await connection.execute(
        "SELECT content_key FROM content"
        " WHERE author_key = (SELECT person_key FROM person WHERE user_id = %s)"
        " ORDER BY content_key FOR UPDATE",
        [user_id],
    )
    posted = [key for (key,) in await cursor.fetchall()]
    cursor = await connection.execute(
        "SELECT person_key FROM person WHERE user_id = %s OR person_key IN"
        " (SELECT person_key FROM engagement WHERE content_key = ANY(%s::bigint[]))"
        " ORDER BY person_key FOR UPDATE",
        [user_id, posted],
    )
    await cursor.fetchall()
    cursor = await connection.execute(
        "DELETE FROM engagement"
        " WHERE person_key = (SELECT person_key FROM person WHERE user_id = %s)",
        [user_id],
    )
    engagement_count = cursor.rowcount
    others = await delete_items(connection, posted)
    # Items that were posted since they were locked above still name the person: that fails, and all
    # of it runs again.
    await connection.execute("DELETE FROM person WHERE user_id = %s", [user_id])
    await forget_counts(connection, others)
    return Erased(engagement_count, len(posted))
