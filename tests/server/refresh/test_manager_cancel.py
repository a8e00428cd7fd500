"""Cancelled at every stage: what serves, what is on disk, and that the next refresh works."""

import asyncio

import pytest

from inkling_server.errors import RefreshCancelled
from inkling_server.interests.stages import Stage
from tests.server.refresh.manager_kit import World, let_go, reach
from tests.serving import until


@pytest.mark.parametrize("stage", [Stage.READING, Stage.PROVING])
async def test_cancelled_before_publishing_leaves_the_old_version(
    world: World, stage: Stage
) -> None:
    name = await reach(world, stage)
    async with asyncio.timeout(5):
        await asyncio.gather(world.manager.cancel(name), world.manager.cancel(name))
    let_go(world)
    assert isinstance(world.manager.get(name).error, RefreshCancelled)
    assert (world.serves, world.store.current_version(), world.drafts) == ("g1", "g1", [])
    assert world.outcomes == ["cancelled"]
    assert (await world.refresh()).error is None
    assert world.serves == "g2"


async def test_cancelled_as_soon_as_it_has_begun(world: World) -> None:
    world.job_gate.clear()
    operation = await world.manager.start()
    await world.manager.cancel(operation.name)
    assert isinstance(world.manager.get(operation.name).error, RefreshCancelled)
    world.job_gate.set()
    assert (await world.refresh()).error is None


async def test_cancelled_while_publishing_is_too_late(world: World) -> None:
    name = await reach(world, Stage.PUBLISHING)
    await until(world.store.publishing.is_set)
    cancelling = asyncio.create_task(world.manager.cancel(name))
    asyncio.get_running_loop().call_later(0.05, let_go, world)
    await cancelling
    operation = world.manager.get(name)
    assert operation.error is None
    assert operation.summary is not None
    assert (world.serves, world.store.current_version(), world.outcomes) == ("g2", "g2", ["done"])


async def test_cancelling_what_has_ended_is_fine(world: World) -> None:
    operation = await world.refresh()
    await world.manager.cancel(operation.name)
    assert world.manager.get(operation.name) == operation
