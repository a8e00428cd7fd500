"""Computes which items go together, and which are popular, aside: the server goes on serving.

    storage ─► engagements, block by block ─► process of low priority ─┐
    storage ◄─ neighbours, popularity ◄────────────────────────────────┘

    python -m inkling_server.people.co_engaging ORDER < rows > result

The server starts the process (`refresh_co_engagement`); nobody types it. What it reads and writes
are rows of numbers: storage's keys, no ids. It holds all engagements at once, 25 bytes each and
some 100 more while it works. The maths is `profiles.co_engagement`; SQL is storage's.

Shapes: M engagements, E neighbours, N items.
"""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inkling_server.child_process import be_nice, end_with_parent
from inkling_server.errors import PeopleRefreshFailed
from inkling_server.people.aside import run_aside
from inkling_server.storage import Storage
from inkling_server.storage.records import EngagementKind

COMMAND = (sys.executable, "-m", "inkling_server.people.co_engaging")

_ENGAGEMENT = np.dtype([("person", "<i8"), ("content", "<i8"), ("time", "<f8"), ("kind", "i1")])
_NEIGHBOUR = np.dtype([("content", "<i8"), ("neighbor", "<i8"), ("weight", "<f4")])
_POPULAR = np.dtype([("content", "<i8"), ("popularity", "<f4")])


@dataclass(frozen=True, slots=True)
class CoEngagingOrder:
    """What the process is to do.

    Attributes:
        now_s: Unix seconds; popularity fades from it.
        popularity_half_life_s: see `profiles.co_engagement.popularity`.
        co_engagement: fields of `profiles.co_engagement.CoEngagementSettings`; none: as it is.
    """

    now_s: float
    popularity_half_life_s: float = 30 * 86_400.0
    co_engagement: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CoEngagementRefreshed:
    """Items that have neighbours, items that anybody keeps, and neighbours in all."""

    co_engaged_content_count: int
    popular_content_count: int
    neighbor_count: int


@dataclass(frozen=True, slots=True, eq=False)
class _Result:
    neighbors_E: NDArray[np.void]
    popular_N: NDArray[np.void]


async def refresh_co_engagement(
    storage: Storage,
    *,
    nice: int = 19,
    order: CoEngagingOrder | None = None,
) -> CoEngagementRefreshed:
    """Computes both anew and puts them in the place of the old; cancelling ends the process.

    Args:
        storage: read block by block, written when all is known.
        nice: niceness of the process, from the gateway's.
        order: what to do; None: as it is by itself, now.

    Raises:
        StorageDown: storage does not answer; what there was stays.
        PeopleRefreshFailed: the process ended badly.
    """
    result = await _compute_aside(storage, order or CoEngagingOrder(time.time()), nice)
    neighbors_E, popular_N = result.neighbors_E, result.popular_N
    count = await storage.batch.replace_co_engagement(
        neighbors_E["content"].astype(np.int64),
        neighbors_E["neighbor"].astype(np.int64),
        neighbors_E["weight"].astype(np.float32),
    )
    popular_count = await storage.batch.replace_popularity(
        popular_N["content"].astype(np.int64), popular_N["popularity"].astype(np.float32)
    )
    # Sorted by item.
    item_count = int((np.diff(neighbors_E["content"]) != 0).sum()) + bool(len(neighbors_E))
    return CoEngagementRefreshed(item_count, popular_count, count)


async def _compute_aside(storage: Storage, order: CoEngagingOrder, nice: int) -> _Result:
    command = [*COMMAND, json.dumps({**asdict(order), "nice": nice})]
    try:
        status, data = await run_aside(command, _engagements(storage))
    except BrokenPipeError as error:
        raise PeopleRefreshFailed("co-engagement ended before it was done") from error
    if status != 0 or not data:
        raise PeopleRefreshFailed("co-engagement ended without a result")
    return await asyncio.to_thread(_unpack, data)


async def _engagements(storage: Storage) -> AsyncIterator[memoryview]:
    async for block in storage.batch.interactions():
        rows = np.empty(len(block.person_R), _ENGAGEMENT)
        rows["person"], rows["content"] = block.person_R, block.content_R
        rows["time"], rows["kind"] = block.time_R, block.kind_R
        yield rows.data


def _unpack(data: bytes) -> _Result:
    count = int.from_bytes(data[:8], "little")
    neighbors_E = np.frombuffer(data, _NEIGHBOUR, count, 8)
    return _Result(neighbors_E, np.frombuffer(data, _POPULAR, -1, 8 + neighbors_E.nbytes))


def _pack(result: _Result) -> bytes:
    count = len(result.neighbors_E).to_bytes(8, "little")
    return count + result.neighbors_E.tobytes() + result.popular_N.tobytes()


def _compute(rows_M: NDArray[np.void], order: CoEngagingOrder) -> _Result:
    """Both of some engagements."""
    # Here: this process alone needs scipy.
    from inkling_server.profiles.co_engagement import (
        CoEngagementSettings,
        co_engagement,
        popularity,
    )
    from inkling_server.profiles.recommend import KIND_WEIGHTS

    people, people_M = np.unique(rows_M["person"], return_inverse=True)
    items_N, items_M = np.unique(rows_M["content"], return_inverse=True)
    kinds_M = rows_M["kind"]
    by_kind = np.zeros(int(EngagementKind.HIDE) + 1)
    by_kind[EngagementKind.VIEW : EngagementKind.SHARE + 1] = KIND_WEIGHTS
    neighbours = co_engagement(
        people_M,
        items_M,
        by_kind[kinds_M],
        person_count=len(people),
        item_count=len(items_N),
        settings=CoEngagementSettings(**order.co_engagement),
    )
    keeps_M = (kinds_M >= EngagementKind.LIKE) & (kinds_M <= EngagementKind.SHARE)
    popularity_N = popularity(
        people_M[keeps_M],
        items_M[keeps_M],
        rows_M["time"][keeps_M],
        item_count=len(items_N),
        now_s=order.now_s,
        half_life_s=order.popularity_half_life_s,
    )
    neighbors_E = np.empty(len(neighbours.items_E), _NEIGHBOUR)
    neighbors_E["content"] = np.repeat(items_N, np.diff(neighbours.offsets))
    neighbors_E["neighbor"] = items_N[neighbours.items_E]
    neighbors_E["weight"] = neighbours.weights_E
    kept = popularity_N > 0
    popular_N = np.empty(int(kept.sum()), _POPULAR)
    popular_N["content"], popular_N["popularity"] = items_N[kept], popularity_N[kept]
    return _Result(neighbors_E, popular_N)


def main(arguments: list[str] | None = None) -> int:
    """What runs in the process."""
    end_with_parent()
    fields = json.loads((sys.argv[1:] if arguments is None else arguments)[0])
    be_nice(fields.pop("nice"))
    rows_M = np.frombuffer(sys.stdin.buffer.read(), _ENGAGEMENT)
    sys.stdout.buffer.write(_pack(_compute(rows_M, CoEngagingOrder(**fields))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
