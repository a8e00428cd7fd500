"""How an owner keeps its followers: with processes that only talk."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import psutil

from inkling_server.processes.followers import Followers, OwnerNow, Patience
from inkling_server.processes.joined_metrics import families_from_json
from inkling_server.processes.orders import Shared, Target
from tests.server.gateway_kit import gateway_settings
from tests.serving import until

STUB = Path(__file__).with_name("stub_follower.py")
QUICK = Patience(poll_s=0.05, answer_s=1.0, unwell_s=0.3, move_s=5.0, drain_s=5.0)


@dataclass
class Scene:
    """An owner with followers."""

    followers: Followers
    notes: Path
    now: OwnerNow = field(
        default_factory=lambda: OwnerNow(Target(1, "g1"), is_well=True, services={})
    )

    @property
    def lines(self) -> list[str]:
        return self.notes.read_text().splitlines() if self.notes.exists() else []

    async def all_serve(self) -> None:
        await asyncio.wait_for(self.followers.wait_until_serving(), 10)


@asynccontextmanager
async def running(
    tmp_path: Path, *, count: int = 2, manner: str = "well", patience: Patience = QUICK
) -> AsyncIterator[Scene]:
    notes = tmp_path / "notes"
    command = (sys.executable, "-S", str(STUB), str(notes), manner)
    shared = Shared(gateway_settings(tmp_path), 1, "fake", True, tmp_path, tmp_path)
    scene = Scene(Followers(count, patience, command=command), notes)
    async with scene.followers.running(shared, lambda: scene.now):
        yield scene


async def test_all_are_started_and_all_end_with_the_block(tmp_path: Path) -> None:
    async with running(tmp_path, count=3) as scene:
        await scene.all_serve()
        pids = scene.followers.pids
        assert set(pids) == {1, 2, 3}
        assert scene.followers.serving_count == 3
    assert not any(map(psutil.pid_exists, pids.values()))
    assert sorted(line for line in scene.lines if "drained" in line) == [
        "1 drained",
        "2 drained",
        "3 drained",
    ]


async def test_none_are_no_work(tmp_path: Path) -> None:
    async with running(tmp_path, count=0) as scene:
        await scene.all_serve()
        await scene.followers.left(1)
        assert await scene.followers.families() == {}


async def test_one_that_is_killed_is_replaced_and_the_other_is_not(tmp_path: Path) -> None:
    async with running(tmp_path) as scene:
        await scene.all_serve()
        before = scene.followers.pids
        os.kill(before[1], signal.SIGKILL)
        await until(lambda: scene.followers.serving_count < 2)
        await scene.all_serve()
        assert scene.followers.pids[1] != before[1]
        assert scene.followers.pids[2] == before[2]
        assert scene.followers.restart_count == 1


async def test_one_that_cannot_start_is_tried_again(tmp_path: Path) -> None:
    async with running(tmp_path, count=1, manner="fails at first") as scene:
        await scene.all_serve()
        assert len(scene.lines) == 3


async def test_one_that_does_not_answer_is_replaced(tmp_path: Path) -> None:
    async with running(
        tmp_path, count=1, manner="hangs", patience=replace(QUICK, answer_s=0.5)
    ) as scene:
        await scene.all_serve()
        assert len(scene.lines) == 2


async def test_one_that_does_not_serve_is_replaced_if_its_owner_does(tmp_path: Path) -> None:
    async with running(tmp_path, count=1, manner="is unwell") as scene:
        scene.now = replace(scene.now, is_well=False)
        await until(lambda: scene.lines)
        await until(lambda: not scene.followers.serving_count)
        await asyncio.sleep(QUICK.unwell_s * 2)  # a time in which nothing may happen
        assert len(scene.lines) == 1
        scene.now = replace(scene.now, is_well=True)
        await until(lambda: len(scene.lines) == 2)
        await scene.all_serve()


async def test_a_version_is_left_when_all_have_moved(tmp_path: Path) -> None:
    async with running(tmp_path) as scene:
        await scene.all_serve()
        leaving = asyncio.create_task(scene.followers.left(1))
        await asyncio.sleep(QUICK.poll_s * 3)
        assert not leaving.done()
        scene.now = replace(scene.now, target=Target(2, "g1"))
        await asyncio.wait_for(leaving, 5)
        await asyncio.wait_for(scene.followers.left(7), 5)


async def test_one_that_does_not_move_is_replaced_and_the_version_is_left(tmp_path: Path) -> None:
    patience = replace(QUICK, move_s=0.5)
    async with running(tmp_path, count=1, manner="clings", patience=patience) as scene:
        await scene.all_serve()
        scene.now = replace(scene.now, target=Target(2, "g1"))
        await asyncio.wait_for(scene.followers.left(1), 10)
        await scene.all_serve()
        assert len(scene.lines) == 2


async def test_one_that_dies_has_left_every_version(tmp_path: Path) -> None:
    async with running(tmp_path, count=1, manner="clings") as scene:
        await scene.all_serve()
        scene.now = replace(scene.now, target=Target(2, "g1"))
        leaving = asyncio.create_task(scene.followers.left(1))
        os.kill(scene.followers.pids[1], signal.SIGKILL)
        await asyncio.wait_for(leaving, 5)


async def test_what_they_count_comes_back_by_number(tmp_path: Path) -> None:
    async with running(tmp_path) as scene:
        await scene.all_serve()
        families = await scene.followers.families()
        values = {number: families_from_json(said) for number, said in families.items()}
        assert {n: family.samples[0].value for n, [family] in values.items()} == {1: 1.0, 2: 2.0}


async def test_one_that_does_not_drain_is_killed_in_the_end(tmp_path: Path) -> None:
    patience = replace(QUICK, drain_s=0.2)
    async with running(tmp_path, count=1, manner="stays", patience=patience) as scene:
        await scene.all_serve()
        [pid] = scene.followers.pids.values()
    assert not psutil.pid_exists(pid)


async def test_hurrying_waits_for_nobody(tmp_path: Path) -> None:
    async with running(tmp_path, count=1, manner="stays") as scene:
        await scene.all_serve()
        scene.followers.drain()
        await until(lambda: "1 drained" in scene.lines)
        scene.followers.hurry()
        await until(lambda: not scene.followers.pids)
