"""Rolling a model out: what serves at each moment, and what becomes of what does not."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inkling_server.encoders import Embeddings
from inkling_server.errors import (
    EncoderDown,
    RefreshRunning,
    RolloutCancelled,
    RolloutFailed,
    RolloutRefused,
    RolloutRunning,
    UnknownModelVersion,
    UnknownOperation,
)
from inkling_server.rollout.operation import CanaryLimits, DeployOrder, RolloutStage
from inkling_server.rollout.pointer import ModelPointer, PointerFile
from inkling_server.tag_index import SearchThread, Selection
from tests.server.rollout.rollout_kit import LIMITS, SpacedEncoder, World
from tests.serving import make_manifest, picture, until

ORDER = DeployOrder(2, LIMITS)


def misfitted(version: int) -> SpacedEncoder:
    return SpacedEncoder(make_manifest(version), misfitted=True)


async def test_new_version_serves_and_the_old_one_is_closed(world: World) -> None:
    ended = await world.deploy()
    assert ended.error is None
    assert ended.summary is not None
    assert (ended.summary.version, ended.summary.previous_version) == (2, 1)
    assert world.serves == 2
    assert world.swaps == [make_manifest(2).model_version]
    assert world.served == [2]
    assert world.outcomes == ["done"]
    assert [e.closed for e in world.encoders] == [True, False]
    assert world.manager.encoders[0].version == 2
    assert world.pointer.read() == ModelPointer(2, make_manifest(2).fingerprint, 1)
    assert ended.progress.stage is RolloutStage.DONE
    assert set(ended.stage_s) == set(RolloutStage) - {RolloutStage.DONE}


async def test_report_finds_the_same_tags_in_another_space(world: World) -> None:
    report = (await world.deploy()).report
    assert report is not None
    assert report.decision == "accepted"
    assert (report.folder_count, report.live_count, report.built_in_count) == (6, 0, 2)
    assert report.tag_overlap == 1.0
    assert report.top1_kept == 1.0
    assert report.old_coverage == report.new_coverage > 0
    assert report.new_p50_ms > 0


async def test_recent_pictures_are_compared_and_then_none_are_drawn(world: World) -> None:
    for colour in ("red", "green"):
        world.sample.offer(picture(colour))
    report = (await world.deploy()).report
    assert report is not None
    assert (report.folder_count, report.live_count, report.built_in_count) == (6, 2, 0)


async def test_nonsense_is_refused_with_its_numbers_and_leaves_the_old_one(world: World) -> None:
    world.make = misfitted
    ended = await world.deploy()
    assert isinstance(ended.error, RolloutRefused)
    assert "under min_overlap 0.5" in str(ended.error)
    assert ended.report is not None
    assert ended.report.decision == "refused"
    assert world.serves == 1
    assert [e.closed for e in world.encoders] == [False, True]
    assert world.pointer.read() == ModelPointer(1, make_manifest(1).fingerprint)
    assert world.outcomes == ["failed"]
    assert world.manager.encoders[0].version == 1


async def test_force_serves_what_is_beyond_a_limit(world: World) -> None:
    world.make = misfitted
    ended = await world.deploy(force=True)
    assert ended.report is not None
    assert ended.report.decision == "forced"
    assert ended.report.problems
    assert world.serves == 2


async def test_request_may_name_other_limits(world: World) -> None:
    world.make = misfitted
    ended = await world.deploy(limits=CanaryLimits(0.0, 1_000, 1.0))
    assert ended.error is None
    assert world.serves == 2


async def test_no_force_serves_a_model_that_does_not_work(world: World) -> None:
    class Collapsed(SpacedEncoder):
        async def encode_images(self, pixels_BHWC: Any, *, timeout_s: float) -> Embeddings:
            rows_BD = await super().encode_images(pixels_BHWC, timeout_s=timeout_s)
            return np.broadcast_to(rows_BD[:1], rows_BD.shape)

    world.make = lambda version: Collapsed(make_manifest(version))
    ended = await world.deploy(force=True)
    assert isinstance(ended.error, RolloutRefused)
    assert "the same embedding" in str(ended.error)
    assert world.serves == 1
    assert world.encoders[1].closed


async def test_old_embeddings_never_meet_new_tags(world: World) -> None:
    """A lease that began before the swap goes on with the old encoder, index and calibration."""
    with world.states.lease() as old:
        operation = await world.manager.deploy(ORDER)
        await until(lambda: world.stage(operation.name) is RolloutStage.UNLOADING)
        assert world.serves == 2
        assert not world.encoders[0].closed
        pixels = np.full((1, 32, 32, 3), (255, 0, 0), np.uint8)
        rows_BD = await old.encoder.encode_images(pixels, timeout_s=5)
        (hits,) = await old.index.search(rows_BD, [Selection(1, 0.0)])
        assert old.graph.interests[hits[0].row].id == "red"
        assert hits[0].cosine > 0.9
        (alien,) = await world.states.current.index.search(rows_BD, [Selection(6, 0.0)])
        assert max(hit.cosine for hit in alien) < 0.5
    await world.ended(operation)
    assert world.encoders[0].closed


async def test_rollback_serves_the_version_before_without_a_verdict(world: World) -> None:
    world.make = misfitted
    await world.deploy(force=True)
    world.make = lambda version: SpacedEncoder(make_manifest(version))
    ended = await world.ended(await world.manager.roll_back())
    assert ended.is_rollback
    assert ended.report is not None
    assert ended.report.decision == "informative"
    assert world.serves == 1
    assert world.pointer.read() == ModelPointer(1, make_manifest(1).fingerprint, 2)
    await world.ended(await world.manager.roll_back())
    assert world.serves == 2


async def test_rollback_does_not_need_the_model_that_it_leaves(world: World) -> None:
    await world.deploy()
    world.encoders[1].failure = EncoderDown("it hangs")
    ended = await world.ended(await world.manager.roll_back())
    assert ended.error is None
    assert ended.report is None
    assert world.serves == 1


async def test_nothing_to_roll_back_to(world: World) -> None:
    with pytest.raises(UnknownModelVersion, match="no version has served before"):
        await world.manager.roll_back()


async def test_version_that_serves_is_done_at_once(world: World) -> None:
    ended = await world.deploy(1)
    assert ended.summary is not None
    assert ended.summary.version == ended.summary.previous_version == 1
    assert world.outcomes == ["unchanged"]
    assert len(world.encoders) == 1


async def test_unknown_version_is_refused_with_those_that_there_are(world: World) -> None:
    with pytest.raises(UnknownModelVersion) as caught:
        await world.deploy(9)
    assert caught.value.metadata == {"versions": "1,2,3"}
    assert not world.turn.is_taken()


@pytest.mark.parametrize(
    ("changes", "problem"),
    [({"size": 64}, "64 pixels"), ({"dimension": 128}, "128 dimensions")],
)
async def test_version_of_another_shape_is_refused_at_once(
    world: World, changes: dict[str, int], problem: str
) -> None:
    manifest_file = world.repository / "vision_encoder" / "2" / "manifest.json"
    manifest = json.loads(manifest_file.read_text())
    manifest["image"]["size"] = changes.get("size", manifest["image"]["size"])
    manifest["dimension"] = changes.get("dimension", manifest["dimension"])
    manifest_file.write_text(json.dumps(manifest))
    with pytest.raises(RolloutRefused, match=problem):
        await world.deploy()
    assert world.manager.list() == []


async def test_version_without_calibration_is_refused_at_once(world: World) -> None:
    (world.repository / "vision_encoder" / "2" / "calibration.json").unlink()
    with pytest.raises(RolloutRefused, match="not calibrated"):
        await world.deploy()


async def test_served_version_with_other_weights_on_disk_is_refused(world: World) -> None:
    path = world.repository / "vision_encoder" / "1" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"fingerprint": "f" * 16}))
    with pytest.raises(RolloutRefused, match="under a new number"):
        await world.deploy(1)


async def test_pinned_server_refuses(tmp_path: Path, thread: SearchThread) -> None:
    world = World(tmp_path / "pinned", thread)
    await world.start(pinned=1)
    with pytest.raises(RolloutRefused, match="model_version"):
        await world.deploy()
    await world.states.close()


async def test_one_rollout_at_a_time(world: World) -> None:
    world.open_gate.clear()
    operation = await world.manager.deploy(ORDER)
    with pytest.raises(RolloutRunning) as caught:
        await world.manager.deploy(DeployOrder(3, LIMITS))
    assert caught.value.metadata == {"operation": operation.name}
    world.open_gate.set()
    await world.ended(operation)
    assert (await world.deploy(3)).error is None


async def test_no_rollout_while_the_graph_is_refreshed(world: World) -> None:
    await world.turn.take(lambda: RefreshRunning("operations/refresh-1"))
    with pytest.raises(RefreshRunning):
        await world.deploy()
    world.turn.release()
    assert (await world.deploy()).error is None


@pytest.mark.parametrize(
    "stage", [RolloutStage.LOADING, RolloutStage.EMBEDDING, RolloutStage.CANARY]
)
async def test_cancelled_rollout_leaves_the_old_one(world: World, stage: RolloutStage) -> None:
    operation = await reach(world, stage)
    await world.manager.cancel(operation)
    ended = world.manager.get(operation)
    assert isinstance(ended.error, RolloutCancelled)
    assert world.outcomes == ["cancelled"]
    assert world.serves == 1
    assert all(encoder.closed for encoder in world.encoders[1:])
    assert not world.turn.is_taken()
    await world.manager.cancel(operation)  # too late is fine


async def test_end_of_the_server_cancels(world: World) -> None:
    operation = await reach(world, RolloutStage.EMBEDDING)
    await world.manager.close()
    assert isinstance(world.manager.get(operation).error, RolloutCancelled)
    assert world.encoders[1].closed


async def test_encoder_that_fails_meanwhile_fails_the_rollout_and_not_the_server(
    world: World,
) -> None:
    operation = await reach(world, RolloutStage.EMBEDDING)
    world.encoders[1].failure = EncoderDown("out of memory")
    world.encoders[1].gate.set()
    await world.manager.wait(operation, 10)
    error = world.manager.get(operation).error
    assert type(error) is RolloutFailed
    assert "out of memory" in str(error)
    assert world.serves == 1
    assert world.encoders[1].closed


async def test_version_that_cannot_be_opened_fails(world: World) -> None:
    def refuse(version: int) -> SpacedEncoder:
        raise EncoderDown(f"Triton cannot load version {version}")

    world.make = refuse
    ended = await world.deploy()
    assert type(ended.error) is RolloutFailed
    assert not world.turn.is_taken()


async def test_bug_in_a_rollout_does_not_block_the_next(world: World) -> None:
    def refuse(version: int) -> SpacedEncoder:
        raise KeyError(version)

    world.make = refuse
    assert isinstance((await world.deploy()).error, RolloutFailed)
    world.make = lambda version: SpacedEncoder(make_manifest(version))
    assert (await world.deploy()).error is None


async def test_pointer_that_cannot_be_written_leaves_the_old_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.pointer.write(ModelPointer(1, "x"))

    def refuse(self: PointerFile, pointer: ModelPointer) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(PointerFile, "write", refuse)
    ended = await world.deploy()
    assert isinstance(ended.error, RolloutFailed)
    assert "No space left" in str(ended.error)
    assert world.serves == 1
    assert world.encoders[1].closed


async def test_progress_counts_phrases_and_pictures(world: World) -> None:
    seen = []
    original = world.manager._reach

    def note(name: str, stage: RolloutStage, done: int = 0, total: int = 0) -> None:
        seen.append((stage, done, total))
        original(name, stage, done, total)

    world.manager._reach = note  # type: ignore[method-assign]
    await world.deploy()
    assert (RolloutStage.EMBEDDING, 2, 6) in seen
    assert (RolloutStage.EMBEDDING, 6, 6) in seen
    assert (RolloutStage.CANARY, 8, 8) in seen


async def test_status_tells_versions_and_the_last_rollout(world: World) -> None:
    (world.repository / "vision_encoder" / "3" / "calibration.json").unlink()
    await world.deploy()
    status = await world.manager.status()
    assert (status.version, status.previous_version) == (2, 1)
    assert [entry.version for entry in status.versions] == [1, 2, 3]
    assert [entry.is_deployable for entry in status.versions] == [True, True, False]
    assert status.loaded == {2}
    assert status.last_rollout is not None
    assert status.last_rollout.version == 2


async def test_rollouts_are_remembered_and_deleted(world: World) -> None:
    done = await world.deploy()
    again = rollouts_of(world)
    assert again == [done.name]
    world.manager.delete(done.name)
    assert rollouts_of(world) == []
    with pytest.raises(UnknownOperation):
        world.manager.get(done.name)


def rollouts_of(world: World) -> list[str]:
    return [
        json.loads(path.read_text())["name"]
        for path in (world.folder / "operations").glob("rollout-*.json")
    ]


async def reach(world: World, stage: RolloutStage) -> str:
    """Starts a rollout and holds it in a stage."""
    if stage is RolloutStage.LOADING:
        world.open_gate.clear()
        return (await world.manager.deploy(ORDER)).name
    held = asyncio.Event()

    class Held(SpacedEncoder):
        async def encode_texts(self, texts: Sequence[str], *, timeout_s: float) -> Embeddings:
            if stage is RolloutStage.EMBEDDING and len(self.text_batches) == 1:
                self.gate.clear()
                held.set()
            return await super().encode_texts(texts, timeout_s=timeout_s)

        async def encode_images(self, pixels_BHWC: Any, *, timeout_s: float) -> Embeddings:
            if stage is RolloutStage.CANARY:
                self.gate.clear()
                held.set()
            return await super().encode_images(pixels_BHWC, timeout_s=timeout_s)

    world.make = lambda version: Held(make_manifest(version))
    operation = await world.manager.deploy(ORDER)
    async with asyncio.timeout(10):
        await held.wait()
    assert world.stage(operation.name) is stage
    return operation.name
