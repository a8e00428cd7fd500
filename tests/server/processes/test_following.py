"""What a follower serves while its owner's target changes."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from inkling_server.errors import EncoderDown
from inkling_server.fake_encoder import FakeEncoder
from inkling_server.processes.following import Following
from inkling_server.processes.orders import Target
from inkling_server.serving_state import ServingState, StateHolder
from inkling_server.tag_index import SearchThread
from tests.serving import make_graph, make_manifest, make_state, turns, until


@dataclass
class Scene:
    """A follower's states, and a gate before each building."""

    thread: SearchThread
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    failures: int = 0
    built: list[Target] = field(default_factory=list)
    swapped: list[str] = field(default_factory=list)

    async def build(self, target: Target, current: ServingState | None) -> ServingState:
        self.built.append(target)
        await self.gate.wait()
        if self.failures:
            self.failures -= 1
            raise EncoderDown("not yet")
        if current is not None and current.manifest.version == target.model:
            encoder = current.encoder
            assert isinstance(encoder, FakeEncoder)
        else:
            encoder = FakeEncoder(make_manifest(target.model))
        return await make_state(self.thread, graph=make_graph(target.graph), encoder=encoder)

    async def following(self) -> Following:
        first = Target(1, "g1")
        self.gate.set()
        states = StateHolder(await self.build(first, None))
        self.gate.clear()
        return Following(
            states, self.build, first, lambda state: self.swapped.append(state.graph_version)
        )


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    thread = SearchThread()
    yield Scene(thread)
    thread.close()


@pytest.fixture
async def followed(scene: Scene) -> AsyncIterator[Following]:
    made = await scene.following()
    task = asyncio.create_task(made.run())
    yield made
    task.cancel()
    await asyncio.wait({task})
    await made.states.close()


async def test_another_graph_keeps_the_encoder(scene: Scene, followed: Following) -> None:
    encoder = followed.states.current.encoder
    followed.follow(Target(1, "g2"))
    scene.gate.set()
    await until(lambda: followed.target == Target(1, "g2"))
    assert followed.states.current.encoder is encoder
    assert scene.swapped == ["g2"]
    assert followed.models == (1,)


async def test_a_model_is_in_use_until_the_last_batch_with_it_is_done(
    scene: Scene, followed: Following
) -> None:
    with followed.states.lease() as old:
        followed.follow(Target(2, "g1"))
        assert followed.models == (1, 2)
        scene.gate.set()
        await until(lambda: followed.target.model == 2)
        await turns()
        assert followed.models == (1, 2)
    await until(lambda: followed.models == (2,))
    assert isinstance(old.encoder, FakeEncoder)
    assert old.encoder.closed


async def test_what_is_being_opened_is_in_use_also_when_the_owner_has_gone_on(
    scene: Scene, followed: Following
) -> None:
    followed.follow(Target(2, "g1"))
    await until(lambda: len(scene.built) == 2)
    followed.follow(Target(1, "g3"))
    assert followed.models == (1, 2)
    scene.gate.set()
    await until(lambda: followed.target == Target(1, "g3"))
    await until(lambda: followed.models == (1,))


async def test_a_target_that_cannot_be_opened_yet_is_tried_again(
    scene: Scene, followed: Following
) -> None:
    scene.failures = 1
    scene.gate.set()
    followed.follow(Target(2, "g1"))
    await until(lambda: followed.target == Target(2, "g1"))
    assert scene.built.count(Target(2, "g1")) == 2


async def test_what_could_not_be_opened_is_not_in_use_when_the_owner_has_gone_back(
    scene: Scene, followed: Following
) -> None:
    scene.failures = 1
    followed.follow(Target(2, "g1"))
    await until(lambda: len(scene.built) == 2)
    followed.follow(Target(1, "g1"))
    scene.gate.set()
    await until(lambda: followed.models == (1,))


async def test_the_same_target_again_changes_nothing(scene: Scene, followed: Following) -> None:
    followed.follow(Target(1, "g1"))
    await turns()
    assert len(scene.built) == 1
    assert scene.swapped == []
