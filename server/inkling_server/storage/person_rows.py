"""The rows of `person` inside other tables' transactions: made, locked, counted.

A person's row holds how many engagements are stored of them and when the latest was, and a version
that rises with everything that changes what is computed of them. Whoever writes engagements says so
here, in the same transaction.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal

from inkling_server.storage.database import Connection

# Everywhere in this order, so that two transactions never wait for each other.
_LOCK = (
    "SELECT FROM person WHERE person_key = ANY(%s::bigint[]) ORDER BY person_key FOR NO KEY UPDATE"
)


async def make_people(
    connection: Connection, user_ids: Sequence[str], *, lock: Literal["KEY SHARE", "NO KEY UPDATE"]
) -> dict[str, int]:
    """Keys of people, new ones for those who have none.

    Args:
        connection: in a transaction.
        user_ids: distinct.
        lock: row lock to hold on them.
    """
    wanted = sorted(user_ids)
    query = (
        "SELECT user_id, person_key FROM person WHERE user_id = ANY(%s::text[])"  # noqa: S608 - two constants
        f" ORDER BY person_key FOR {lock}"
    )
    while True:
        await connection.execute(
            "INSERT INTO person (user_id) SELECT name FROM unnest(%s::text[]) AS wanted (name)"
            " WHERE NOT EXISTS (SELECT FROM person WHERE user_id = name) ORDER BY name"
            " ON CONFLICT DO NOTHING",
            [wanted],
        )
        cursor = await connection.execute(query.encode(), [wanted])
        found: dict[str, int] = dict(await cursor.fetchall())
        if len(found) == len(wanted):
            return found
        # Somebody was erased between the two statements: makes them anew.


async def raise_versions(connection: Connection, person_keys: Sequence[int]) -> None:
    """What they engaged with has changed, not what they did."""
    if person_keys:
        keys = list(person_keys)
        await connection.execute(_LOCK, [keys])
        await connection.execute(
            "UPDATE person SET engagement_version = engagement_version + 1"
            " WHERE person_key = ANY(%s::bigint[])",
            [keys],
        )


async def add_counts(
    connection: Connection, counts: Mapping[int, int], latest: Mapping[int, datetime]
) -> None:
    """Engagements were recorded.

    Args:
        connection: holds the people locked.
        counts: new ones, by person.
        latest: time of the latest of them, by person.
    """
    if counts:
        await connection.execute(
            "UPDATE person SET engagement_version = engagement_version + 1,"
            " engagement_count = engagement_count + added.count,"
            " last_time = greatest(last_time, added.time)"
            " FROM unnest(%s::bigint[], %s::bigint[], %s::timestamptz[]) AS added (key, count,"
            " time)"
            " WHERE person_key = added.key",
            [list(counts), list(counts.values()), [latest[key] for key in counts]],
        )


async def forget_counts(connection: Connection, counts: Mapping[int, int]) -> None:
    """Engagements were deleted: so many of each person."""
    if counts:
        keys = sorted(counts)
        await connection.execute(_LOCK, [keys])
        await connection.execute(
            "UPDATE person SET engagement_version = engagement_version + 1,"
            " engagement_count = engagement_count - gone.count,"
            " last_time = (SELECT max(time) FROM engagement e WHERE e.person_key = gone.key)"
            " FROM unnest(%s::bigint[], %s::bigint[]) AS gone (key, count) WHERE person_key ="
            " gone.key",
            [keys, [counts[key] for key in keys]],
        )
