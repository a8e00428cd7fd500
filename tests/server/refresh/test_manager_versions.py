"""Versions that come from elsewhere: rollbacks, other gateways, the schedule, and the end."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from inkling_server.errors import (
    EncoderDown,
    GraphVersionNotServed,
    RefreshCancelled,
    RefreshFailed,
    RefreshRunning,
)
from inkling_server.fake_encoder import FakeEncoder
from inkling_server.interests.snapshot import save_snapshot
from inkling_server.interests.stages import Stage
from inkling_server.interests.store import GraphStore
from inkling_server.tag_index import SearchThread
from tests.server.refresh.manager_kit import World, grown
from tests.serving import make_graph, make_manifest, until


@asynccontextmanager
async def running(world: World) -> AsyncIterator[asyncio.Task[None]]:
    """The manager's own loop, until the block ends."""
    task = asyncio.create_task(world.manager.run())
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.fixture
async def follower(world: World, thread: SearchThread, tmp_path: Path) -> AsyncIterator[World]:
    """Another gateway of the same folder, with an encoder of its own."""
    other = World(tmp_path / "two", thread, FakeEncoder(make_manifest()), root=world.store.root)
    await other.open()
    async with running(other):
        yield other
    await other.states.close()


async def test_rollback_serves_and_keeps_the_older_version(world: World) -> None:
    await world.refresh()
    assert await world.manager.roll_back("g1") == "g2"
    assert (world.serves, world.store.current_version()) == ("g1", "g1")
    assert world.swaps == ["g2", "g1"]
    assert await world.manager.roll_back("g2") == "g1"
    world.graph = grown("g3")
    await world.refresh()
    assert world.bases == ["g1", "g2"]


async def test_rollback_to_a_much_smaller_version_is_allowed(world: World) -> None:
    save_snapshot(make_graph("tiny", {"red": 1}), world.store.root)
    await world.manager.roll_back("tiny")
    assert world.serves == "tiny"


@pytest.mark.parametrize("version", ["g7", "", "../one", ".draft-x"])
async def test_version_that_is_not_kept_is_not_served(world: World, version: str) -> None:
    with pytest.raises(GraphVersionNotServed):
        await world.manager.roll_back(version)
    assert (world.serves, world.store.current_version()) == ("g1", "g1")
    assert (await world.refresh()).error is None


async def test_damaged_version_is_not_rolled_back_to(world: World) -> None:
    await world.refresh()
    (world.store.root / "g1" / "interests.parquet").write_bytes(b"damaged")
    with pytest.raises(RefreshFailed, match="g1"):
        await world.manager.roll_back("g1")
    assert (world.serves, world.store.current_version()) == ("g2", "g2")


async def test_rollback_needs_the_encoder(world: World) -> None:
    await world.refresh()
    world.encoder.failure = EncoderDown("gone")
    with pytest.raises(EncoderDown):
        await world.manager.roll_back("g1")
    assert (world.serves, world.store.current_version()) == ("g2", "g2")


async def test_nothing_else_begins_while_a_version_is_rolled_back_to(world: World) -> None:
    await world.refresh()
    world.encoder.gate.clear()
    rolling = asyncio.create_task(world.manager.roll_back("g1"))
    await until(lambda: world.encoder.in_flight)
    for call in (world.manager.start(), world.manager.roll_back("g2")):
        with pytest.raises(RefreshRunning):
            await call
    world.encoder.gate.set()
    assert await rolling == "g2"


async def test_rollback_ends_although_its_caller_hangs_up(world: World) -> None:
    await world.refresh()
    world.encoder.gate.clear()
    rolling = asyncio.create_task(world.manager.roll_back("g1"))
    await until(lambda: world.encoder.in_flight)
    rolling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await rolling
    world.encoder.gate.set()
    await until(lambda: world.serves == "g1")
    assert world.store.current_version() == "g1"


async def test_other_gateway_serves_what_was_published(world: World, follower: World) -> None:
    await world.refresh()
    await until(lambda: follower.serves == "g2")
    assert follower.swaps == ["g2"]
    await world.manager.roll_back("g1")
    await until(lambda: follower.serves == "g1")
    assert follower.bases == []


async def test_both_gateways_refresh_in_turn(world: World, follower: World) -> None:
    await world.refresh()
    await until(lambda: follower.serves == "g2")
    follower.graph = grown("g3")
    assert (await follower.refresh()).error is None
    assert follower.bases == ["g2"]
    async with running(world):
        await until(lambda: world.serves == "g3")


async def test_version_that_cannot_be_served_is_tried_once(
    world: World, follower: World, caplog: pytest.LogCaptureFixture
) -> None:
    opened: list[str] = []
    original = follower.store.folder

    def folder(version: str) -> Path:
        opened.append(version)
        return original(version)

    follower.store.folder = folder  # type: ignore[method-assign]
    broken = save_snapshot(grown("g5"), world.store.root)
    (broken / "interests.parquet").write_bytes(b"damaged")
    world.store.make_current("g5")
    await until(lambda: opened)
    polls = follower.store.current_version
    count = 0

    def counted() -> str:
        nonlocal count
        count += 1
        return polls()

    follower.store.current_version = counted  # type: ignore[method-assign]
    await until(lambda: count > 5)
    assert (opened, follower.serves) == (["g5"], "g1")
    assert sum("cannot be served" in record.message for record in caplog.records) == 1
    await world.refresh()
    await until(lambda: follower.serves == "g2")


async def test_version_is_tried_again_once_the_encoder_is_back(
    world: World, follower: World, caplog: pytest.LogCaptureFixture
) -> None:
    follower.encoder.failure = EncoderDown("restarting")
    await world.refresh()
    await until(lambda: any("must wait" in record.message for record in caplog.records))
    assert follower.serves == "g1"
    follower.encoder.failure = None
    await until(lambda: follower.serves == "g2")


async def test_disk_that_is_away_for_a_while_does_not_end_the_following(
    world: World, follower: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away(_: object) -> str:
        raise OSError(116, "Stale file handle")

    with monkeypatch.context() as patch:
        patch.setattr(GraphStore, "current_version", away)
        await until(lambda: any("cannot see" in record.message for record in caplog.records))
    await world.refresh()
    await until(lambda: follower.serves == "g2")


async def test_nothing_is_taken_over_while_a_refresh_runs(world: World, follower: World) -> None:
    follower.job_gate.clear()
    operation = await follower.manager.start()
    save_snapshot(grown("g8"), world.store.root)
    world.store.make_current("g8")
    await asyncio.sleep(0.05)
    assert follower.serves == "g1"
    await follower.manager.cancel(operation.name)
    await until(lambda: follower.serves == "g8")


async def test_schedule_refreshes_again_and_again_whatever_happens(
    thread: SearchThread, encoder: FakeEncoder, tmp_path: Path
) -> None:
    world = World(tmp_path, thread, encoder)
    await world.open(period_s=0.01)
    world.failure = RefreshFailed("not today")
    async with running(world) as task:
        await until(lambda: len(world.outcomes) >= 2)
        world.failure = None
        await until(lambda: world.serves == "g2")
        world.graph = grown("g3")
        await until(lambda: world.serves == "g3")
        assert not task.done()
    await world.states.close()


async def test_schedule_goes_on_after_another_gateway_has_refreshed(
    thread: SearchThread, encoder: FakeEncoder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    world = World(tmp_path, thread, encoder)
    await world.open(period_s=0.01)
    with world.store.refresh_lock():
        running_world = running(world)
        await running_world.__aenter__()
        await until(lambda: sum("no refresh" in record.message for record in caplog.records) > 2)
    await until(lambda: world.serves == "g2")
    await running_world.__aexit__(None, None, None)
    await world.states.close()


async def test_without_a_schedule_nothing_is_refreshed(follower: World) -> None:
    await asyncio.sleep(0.05)
    assert follower.manager.list() == []


async def test_refresh_that_runs_at_the_end_is_cancelled(world: World) -> None:
    async with running(world):
        world.job_gate.clear()
        operation = await world.manager.start()
    assert isinstance(world.manager.get(operation.name).error, RefreshCancelled)
    assert (world.serves, world.outcomes) == ("g1", ["cancelled"])


async def test_version_that_is_published_at_the_end_is_published(world: World) -> None:
    world.store.may_publish.clear()
    async with running(world) as task:
        operation = await world.manager.start()
        await until(lambda: world.stage(operation.name) is Stage.PUBLISHING)
        await until(world.store.publishing.is_set)
        asyncio.get_running_loop().call_later(0.05, world.store.may_publish.set)
        task.cancel()
    assert world.manager.get(operation.name).error is None
    assert (world.serves, world.store.current_version()) == ("g2", "g2")
    assert world.store.load_current()[0].version == "g2"
