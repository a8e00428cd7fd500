"""The batch job in its own process, over a real PostgreSQL."""

import asyncio
import os
import subprocess
import sys
from datetime import timedelta
from typing import Any

import pytest

from inkling_server.errors import PeopleRefreshFailed
from inkling_server.people import co_engaging
from inkling_server.people.co_engaging import CoEngagingOrder, refresh_co_engagement
from inkling_server.storage import Storage
from inkling_server.storage.records import EngagementKind
from tests.server.storage_kit import MODEL, NOW, engagement, item

ORDER = CoEngagingOrder(
    NOW.timestamp(),
    popularity_half_life_s=86_400.0,
    co_engagement={"ridge": 1.0, "min_people": 2},
)


async def film_club(storage: Storage) -> None:
    await storage.content.put([item(name) for name in "abcxy"])
    await storage.engagements.record(
        [engagement(f"p{n}", name) for n in range(4) for name in "ab"]
        + [engagement(f"q{n}", name, EngagementKind.VIEW) for n in range(4) for name in "xy"]
        + [engagement(f"p{n}", "c", EngagementKind.HIDE) for n in range(4)]
    )


async def keys(storage: Storage) -> dict[str, int]:
    return await storage.content.keys(list("abcxy"))


async def test_neighbours_and_popularity_are_stored(storage: Storage) -> None:
    await film_club(storage)
    done = await refresh_co_engagement(storage, order=ORDER)
    # a and b, x and y; what is hidden joins nothing. Two are kept, views keep nothing.
    assert (done.co_engaged_content_count, done.popular_content_count) == (4, 2)
    assert done.neighbor_count == 4
    key = await keys(storage)
    assert await storage.candidates.popular(k=10) == sorted([key["a"], key["b"]])


async def test_popularity_fades(storage: Storage) -> None:
    await film_club(storage)
    later = NOW + timedelta(days=1)
    order = CoEngagingOrder(later.timestamp(), 86_400.0, ORDER.co_engagement)
    await refresh_co_engagement(storage, order=order)
    key = await keys(storage)
    features = await storage.candidates.features([key["a"]], MODEL)
    assert features.popularity_N.tolist() == [2.0]  # four people, one half-life ago


async def test_a_refresh_replaces_what_there_was(storage: Storage) -> None:
    await film_club(storage)
    await refresh_co_engagement(storage, order=ORDER)
    await storage.content.delete(["b"])
    done = await refresh_co_engagement(storage, order=ORDER)
    assert (done.co_engaged_content_count, done.popular_content_count) == (2, 1)


async def test_no_engagement_at_all_is_fine(storage: Storage) -> None:
    done = await refresh_co_engagement(storage)
    assert (done.co_engaged_content_count, done.popular_content_count) == (0, 0)


async def test_a_process_that_fails_leaves_what_there_was(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await film_club(storage)
    await refresh_co_engagement(storage, order=ORDER)
    monkeypatch.setattr(co_engaging, "COMMAND", (sys.executable, "-c", "raise SystemExit(3)"))
    with pytest.raises(PeopleRefreshFailed):
        await refresh_co_engagement(storage, order=ORDER)
    assert len(await storage.candidates.popular(k=10)) == 2


async def test_cancelling_ends_the_process(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: asyncio.Future[subprocess.Popen[bytes]] = asyncio.get_running_loop().create_future()
    real = subprocess.Popen

    def starting(*arguments: Any, **options: Any) -> Any:
        started.set_result(real(*arguments, **options))
        return started.result()

    # It says that it has read everything, and then waits for ever.
    waits = "import sys, signal; sys.stdin.buffer.read(); signal.pause()"
    monkeypatch.setattr(co_engaging, "COMMAND", (sys.executable, "-c", waits))
    monkeypatch.setattr("inkling_server.people.aside.subprocess.Popen", starting)
    task = asyncio.create_task(refresh_co_engagement(storage))
    process = await started
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert process.returncode is not None
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)
