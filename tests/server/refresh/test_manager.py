"""Refreshes from their start to whatever end: what serves, what is on disk, what is told."""

import asyncio
import gc
import logging
import subprocess
import sys
import weakref
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from inkling_server.errors import (
    EncoderDown,
    RefreshFailed,
    RefreshRefused,
    RefreshRunning,
    UnknownOperation,
)
from inkling_server.interests.graph import Interest
from inkling_server.interests.snapshot import SnapshotDamaged, name_draft, write_draft
from inkling_server.interests.stages import Stage
from inkling_server.refresh.operation_files import OperationFiles
from inkling_server.serving_state import ServingState
from inkling_server.tag_index import Selection
from tests.server.refresh.manager_kit import COUNTS, World, grown, let_go, reach
from tests.serving import CREATED, make_graph, until


async def test_new_version_serves_and_everything_is_told(world: World) -> None:
    operation = await world.refresh()
    summary = operation.summary
    assert summary is not None
    assert (summary.base_version, summary.graph_version) == ("g1", "g2")
    assert (summary.item_count, summary.interest_count, summary.added_count) == (9, 7, 1)
    assert operation.progress.stage is Stage.DONE
    assert operation.progress.remaining_s == 0
    assert Stage.PUBLISHING in operation.stage_s
    assert operation.feed == "content"
    assert (world.serves, world.store.current_version()) == ("g2", "g2")
    assert (world.outcomes, world.swaps, world.bases) == (["done"], ["g2"], ["g1"])
    assert world.drafts == []
    assert OperationFiles(world.folder / "operations").load() == [operation]


async def test_next_refresh_builds_on_the_last(world: World) -> None:
    await world.refresh()
    world.graph = grown("g3", more=2)
    await world.refresh(force=True)
    assert (world.serves, world.bases, world.forced) == ("g3", ["g1", "g2"], [False, True])


async def test_nothing_new_leaves_everything_as_it_is(world: World) -> None:
    world.graph = None
    state = world.states.current
    operation = await world.refresh()
    assert operation.summary is not None
    assert operation.summary.graph_version == operation.summary.base_version == "g1"
    assert operation.summary.item_count == COUNTS["item_count"]
    assert world.states.current is state
    assert (world.outcomes, world.swaps) == (["unchanged"], [])


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (RefreshFailed("the disk is full"), "the disk is full"),
        (EncoderDown("no answer"), "no answer"),
        (SnapshotDamaged("g1: gone"), "g1: gone"),
        (OSError("a path"), "unexpected OSError"),
        (KeyError("a bug"), "unexpected KeyError"),
    ],
)
async def test_failed_job_leaves_everything_as_it_is(
    world: World, failure: Exception, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    world.failure = failure
    state = world.states.current
    operation = await world.refresh()
    assert str(operation.error) == said
    assert operation.summary is None
    assert world.states.current is state
    assert (world.outcomes, world.store.current_version()) == (["failed"], "g1")
    assert any(r.levelno == logging.ERROR for r in caplog.records)
    world.failure = None
    assert (await world.refresh()).error is None


async def test_graph_that_lost_its_interests_is_refused(world: World) -> None:
    world.graph = make_graph("g2", {"red": 1, "blue": 1})
    operation = await world.refresh()
    assert isinstance(operation.error, RefreshRefused)
    assert "2 of 6" in str(operation.error)
    assert (world.serves, world.store.current_version(), world.drafts) == ("g1", "g1", [])
    assert not (world.store.root / "g2").exists()


async def test_rows_of_other_interests_are_refused(world: World) -> None:
    world.shift = 1
    operation = await world.refresh()
    assert isinstance(operation.error, RefreshRefused)
    assert "do not belong" in str(operation.error)
    assert (world.serves, world.drafts) == ("g1", [])


async def test_encoder_that_is_down_while_proving_fails_the_refresh(world: World) -> None:
    world.job_gate.clear()
    operation = await world.manager.start()
    await until(lambda: world.stage(operation.name) is Stage.READING)
    original = world.encoder.encode_images

    async def down(*_: object, **__: object) -> None:
        raise EncoderDown("gone")

    world.encoder.encode_images = down  # type: ignore[assignment,method-assign]
    world.job_gate.set()
    ended = await world.manager.wait(operation.name, 20)
    assert isinstance(ended.error, EncoderDown)
    assert (world.serves, world.drafts) == ("g1", [])
    world.encoder.encode_images = original  # type: ignore[method-assign]
    assert (await world.refresh()).error is None


async def test_disk_that_cannot_publish_fails_the_refresh(world: World) -> None:
    world.store.failure = OSError(28, "No space left on device")
    operation = await world.refresh()
    assert isinstance(operation.error, RefreshFailed)
    assert (world.serves, world.store.current_version(), world.drafts) == ("g1", "g1", [])


async def test_version_that_went_missing_fails_the_refresh(world: World) -> None:
    (world.store.root / "g1").rename(world.store.root / "elsewhere")
    operation = await world.refresh()
    assert operation.error is not None
    assert world.serves == "g1"


async def test_start_that_cannot_be_noted_has_not_begun(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    with monkeypatch.context() as patch:
        patch.setattr(OperationFiles, "save", refuse)
        with pytest.raises(RefreshFailed, match="Read-only"):
            await world.manager.start()
    assert world.manager.list() == []
    assert (await world.refresh()).error is None


async def test_full_disk_at_the_end_does_not_make_it_look_as_if_it_ran(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.job_gate.clear()
    operation = await world.manager.start()

    def refuse(*_: object) -> None:
        raise OSError("full")

    monkeypatch.setattr(OperationFiles, "save", refuse)
    world.job_gate.set()
    ended = await world.manager.wait(operation.name, 20)
    assert ended.is_done
    assert world.serves == "g2"


async def test_second_start_is_told_which_refresh_runs(world: World) -> None:
    name = await reach(world, Stage.READING)
    with pytest.raises(RefreshRunning) as caught:
        await world.manager.start()
    assert caught.value.operation == name
    with pytest.raises(RefreshRunning):
        await world.manager.roll_back("g1")
    let_go(world)
    await world.manager.wait(name, 20)
    assert len(world.manager.list()) == 1


async def test_lock_of_another_process_is_respected(world: World) -> None:
    script = """
import fcntl, sys
lock = open(sys.argv[1], "a")
fcntl.flock(lock, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""
    path = world.store.root / ".refresh.lock"
    with subprocess.Popen(  # noqa: ASYNC220 - answers at once
        [sys.executable, "-S", "-c", script, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(RefreshRunning) as caught:
            await world.manager.start()
        assert caught.value.operation == ""
        with pytest.raises(RefreshRunning):
            await world.manager.roll_back("g1")
        assert world.manager.list() == []
        other.kill()
        other.wait()
        assert (await world.refresh()).error is None


async def test_waiting_ends_with_the_refresh_or_its_own_time(world: World) -> None:
    name = await reach(world, Stage.READING)
    assert not (await world.manager.wait(name, 0.01)).is_done
    assert not (await world.manager.wait(name, 0.0)).is_done
    waiting = [asyncio.create_task(world.manager.wait(name, None)) for _ in range(3)]
    gone = asyncio.create_task(world.manager.wait(name, None))
    await asyncio.sleep(0)
    gone.cancel()
    let_go(world)
    async with asyncio.timeout(20):
        assert all(operation.is_done for operation in await asyncio.gather(*waiting))
    assert (await world.manager.wait(name, None)).is_done


async def test_unknown_refreshes_are_said_to_be(world: World) -> None:
    for call in (world.manager.wait("x", 0), world.manager.cancel("x")):
        with pytest.raises(UnknownOperation):
            await call
    for ask in (world.manager.get, world.manager.delete):
        with pytest.raises(UnknownOperation):
            ask("operations/x")


async def test_ended_refresh_can_be_forgotten_and_a_running_one_cannot(world: World) -> None:
    name = await reach(world, Stage.READING)
    world.manager.delete(name)
    assert not world.manager.get(name).is_done
    let_go(world)
    await world.manager.wait(name, 20)
    world.manager.delete(name)
    with pytest.raises(UnknownOperation):
        world.manager.get(name)
    assert world.files.load() == []


async def test_newest_refresh_is_listed_first_and_the_oldest_are_forgotten(world: World) -> None:
    world.files.keep_count = 3
    world.graph = None
    names = [(await world.refresh()).name for _ in range(5)]
    assert [o.name for o in world.manager.list()] == names[:1:-1]
    assert len(world.files.load()) == 3


async def test_refresh_of_a_server_that_died_is_found_as_failed(world: World) -> None:
    name = await reach(world, Stage.READING)
    other = World(world.folder / "other", world.thread, world.encoder, root=world.store.root)
    other.files = OperationFiles(world.folder / "operations")
    manager = await other.open()
    found = manager.get(name)
    assert isinstance(found.error, RefreshFailed)
    assert await manager.wait(name, None) == found
    await manager.cancel(name)
    let_go(world)
    await world.manager.wait(name, 20)
    await other.states.close()


async def test_crash_between_naming_and_publishing_is_mended_by_the_next_refresh(
    world: World,
) -> None:
    assert world.graph is not None
    folder = name_draft(write_draft(world.graph, world.store.root), world.store.root)
    write_draft(grown("g7"), world.store.root)  # another one that a crash left
    (world.store.root / ".draft-current").write_text("g7")
    assert (world.store.current_version(), folder.name) == ("g1", "g2")
    assert world.store.load_current()[0].version == "g1"
    operation = await world.refresh()
    assert operation.error is None
    assert (world.serves, world.store.current_version(), world.drafts) == ("g2", "g2", [])


async def test_old_versions_leave_the_disk_but_not_those_in_use(
    tmp_path: Path, world: World
) -> None:
    manager_world = World(tmp_path / "two", world.thread, world.encoder)
    await manager_world.open(keep_count=2)
    for number in range(2, 7):
        manager_world.graph = grown(f"g{number}", created=CREATED + timedelta(days=number))
        assert (await manager_world.refresh()).error is None
    kept = {path.name for path in manager_world.store.root.iterdir() if path.is_dir()}
    assert kept == {"g5", "g6"}
    await manager_world.states.close()


async def test_trending_interests_are_told_surest_first(world: World) -> None:
    interests = [
        replace(Interest(f"t{n:02}", f"thing {n}", (), 3), trend_z=float(n % 7), is_trending=n > 2)
        for n in range(80)
    ]
    graph = make_graph("g2")
    ordered = sorted([*graph.interests, *interests], key=lambda i: i.id)
    world.graph = replace(graph, interests=tuple(ordered))
    summary = (await world.refresh()).summary
    assert summary is not None
    z_scores = [interest.trend_z for interest in summary.trending]
    assert len(z_scores) == 50
    assert z_scores == sorted(z_scores, reverse=True)
    assert all(interest.is_trending for interest in summary.trending)


async def test_last_stages_tell_how_long_the_next_refresh_takes(world: World) -> None:
    await world.refresh()
    world.graph = grown("g3")
    name = await reach(world, Stage.READING)
    remaining_s = world.manager.get(name).progress.remaining_s
    assert remaining_s is not None
    assert remaining_s > 0
    let_go(world)
    await world.manager.wait(name, 20)


async def test_old_states_are_freed(world: World) -> None:
    def living() -> int:
        gc.collect()
        # By type: to ask some libraries' objects for their class warns.
        return sum(type(thing) is ServingState for thing in gc.get_objects())

    before = living()
    index = weakref.ref(world.states.current.index)
    for number in range(2, 8):
        world.graph = grown(f"g{number}")
        await world.refresh()
    world.graph = make_graph("g9", {"red": 1})
    assert isinstance((await world.refresh()).error, RefreshRefused)
    await until(lambda: living() <= before)
    assert index() is None


async def test_state_in_use_is_freed_only_afterwards(world: World) -> None:
    with world.states.lease() as old:
        await world.refresh()
        assert world.serves == "g2"
        rows_BD = await world.encoder.encode_texts(["red"], timeout_s=1)
        assert (await old.index.search(rows_BD, [Selection(1, 0.0)]))[0]
