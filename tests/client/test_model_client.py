"""Both clients of the model's versions against a scripted server on a real socket."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Protocol

import grpc
import pytest

from inkling.v1 import model_pb2
from inkling_client import (
    AsyncInklingClient,
    DeadlineExceeded,
    InklingClient,
    RefreshRunning,
    RolloutCancelled,
    RolloutFailed,
    RolloutProgress,
    RolloutRefused,
    RolloutResult,
    RolloutRunning,
    UnknownModelVersion,
)
from tests.client.conftest import QUICK
from tests.client.fake_model import NEW, OLD, OPERATION, TIME, FakeModel, report
from tests.client.fake_server import DOWN, RunningServer, status

REFUSED = status(grpc.StatusCode.FAILED_PRECONDITION, "ROLLOUT_REFUSED", "tag overlap 0.03")
RUNNING = status(grpc.StatusCode.ABORTED, "ROLLOUT_RUNNING", metadata={"operation": OPERATION})


class ModelFace(Protocol):
    """One face for both clients: `name` is a method of the client or of a rollout."""

    async def call(self, name: str, *args: Any, **options: Any) -> Any: ...
    async def on_rollout(self, handle: Any, name: str, *args: Any, **options: Any) -> Any: ...
    async def close(self) -> None: ...


class SyncModelFace:
    """The blocking client, called from a thread."""

    def __init__(self, target: str) -> None:
        self.client = InklingClient(target, timeout_s=5.0, retry=QUICK)

    async def call(self, name: str, *args: Any, **options: Any) -> Any:
        return await self.on_rollout(self.client.model, name, *args, **options)

    async def on_rollout(self, handle: Any, name: str, *args: Any, **options: Any) -> Any:
        return await asyncio.to_thread(getattr(handle, name), *args, **options)

    async def close(self) -> None:
        self.client.close()


class AsyncModelFace:
    """The asyncio client."""

    def __init__(self, target: str) -> None:
        self.client = AsyncInklingClient(target, timeout_s=5.0, retry=QUICK)

    async def call(self, name: str, *args: Any, **options: Any) -> Any:
        return await self.on_rollout(self.client.model, name, *args, **options)

    async def on_rollout(self, handle: Any, name: str, *args: Any, **options: Any) -> Any:
        return await getattr(handle, name)(*args, **options)

    async def close(self) -> None:
        await self.client.close()


@pytest.fixture
def fake() -> FakeModel:
    return FakeModel()


@pytest.fixture
def server(fake: FakeModel) -> Iterator[RunningServer]:
    running = RunningServer(add_more=fake.add_to)
    yield running
    running.stop()


@pytest.fixture(params=[SyncModelFace, AsyncModelFace], ids=["sync", "async"])
async def model(request: pytest.FixtureRequest, server: RunningServer) -> AsyncIterator[ModelFace]:
    face: ModelFace = request.param(server.target)
    yield face
    await face.close()


async def test_status_has_versions_and_what_serves(model: ModelFace) -> None:
    found = await model.call("status")
    assert (found.version, found.model_version, found.previous_version) == (1, OLD, 2)
    assert [v.version for v in found.versions] == [1, 2, 3]
    assert [v.serving for v in found.versions] == [True, False, False]
    assert found.versions[0].created_time == TIME
    assert found.versions[2].calibrated_time is None
    assert "not calibrated" in found.versions[2].problem
    assert found.last_rollout is None
    assert found.last_error is None


async def test_deploy_sends_what_was_asked_for(model: ModelFace, fake: FakeModel) -> None:
    handle = await model.call("deploy", 2)
    assert handle.name == OPERATION
    (plain,) = fake.seen(model_pb2.DeployModelRequest)
    assert plain == model_pb2.DeployModelRequest(version=2)
    assert not plain.HasField("min_overlap")
    await model.call("deploy", 2, min_overlap=0.0, max_latency_ratio=2.0, force=True)
    request = fake.seen(model_pb2.DeployModelRequest)[1]
    assert request.HasField("min_overlap")
    assert (request.min_overlap, request.max_latency_ratio, request.force) == (0.0, 2.0, True)
    assert not request.HasField("max_lost_coverage")


async def test_wait_tells_of_stages_and_returns_the_report(
    model: ModelFace, fake: FakeModel
) -> None:
    handle = await model.call("deploy", 2)
    seen: list[RolloutProgress] = []

    def on_progress(progress: RolloutProgress) -> None:
        seen.append(progress)
        script[min(len(seen), len(script)) - 1]()

    script: list[Callable[[], None]] = [
        lambda: fake.move("embedding", 64, 300),
        lambda: fake.move("canary", 3, 40, report()),
        fake.succeed,
        lambda: None,
    ]
    result: RolloutResult = await model.on_rollout(handle, "wait", on_progress)
    assert (result.version, result.model_version) == (2, NEW)
    assert (result.previous_version, result.previous_model_version) == (1, OLD)
    assert result.report is not None
    assert result.report.decision == "accepted"
    assert result.report.tag_overlap == 0.62
    assert [p.stage for p in seen] == ["loading", "embedding", "canary", "done"]
    assert (seen[1].done_count, seen[1].total_count) == (64, 300)
    assert seen[0].report is None
    assert seen[2].report is not None
    assert seen[-1].stage_s == {"loading": 1.5}


async def test_refused_rollout_has_its_numbers(model: ModelFace, fake: FakeModel) -> None:
    handle = await model.call("deploy", 2)
    refused = report(decision=model_pb2.CANARY_DECISION_REFUSED, problems=["tag overlap 0.03"])
    fake.fail(REFUSED, refused)
    with pytest.raises(RolloutRefused, match=r"0\.03") as caught:
        await model.on_rollout(handle, "wait")
    assert isinstance(caught.value, RolloutFailed)
    progress = await model.on_rollout(handle, "progress")
    assert progress.done
    assert progress.report.decision == "refused"
    assert progress.report.problems == ("tag overlap 0.03",)
    found = await model.call("status")
    assert isinstance(found.last_error, RolloutRefused)


async def test_cancel_ends_it(model: ModelFace) -> None:
    handle = await model.call("rollback")
    await model.on_rollout(handle, "cancel")
    with pytest.raises(RolloutCancelled):
        await model.on_rollout(handle, "wait")


async def test_waiting_has_an_end_and_the_rollout_goes_on(model: ModelFace) -> None:
    handle = await model.call("deploy", 2)
    with pytest.raises(DeadlineExceeded, match="the rollout was not done within 0"):
        await model.on_rollout(handle, "wait", timeout_s=0.05)
    assert not (await model.on_rollout(handle, "progress")).done


@pytest.mark.parametrize(
    ("reason", "code", "kind"),
    [
        ("UNKNOWN_MODEL_VERSION", grpc.StatusCode.NOT_FOUND, UnknownModelVersion),
        ("ROLLOUT_RUNNING", grpc.StatusCode.ABORTED, RolloutRunning),
        ("REFRESH_RUNNING", grpc.StatusCode.ABORTED, RefreshRunning),
        ("ROLLOUT_REFUSED", grpc.StatusCode.FAILED_PRECONDITION, RolloutRefused),
    ],
)
async def test_refusals_are_typed(
    model: ModelFace, fake: FakeModel, reason: str, code: grpc.StatusCode, kind: type[Exception]
) -> None:
    fake.refuse["DeployModel"] = [status(code, reason)]
    with pytest.raises(kind):
        await model.call("deploy", 2)


async def test_starting_is_never_tried_twice(model: ModelFace, fake: FakeModel) -> None:
    fake.refuse["DeployModel"] = [DOWN]
    with pytest.raises(Exception, match="because"):
        await model.call("deploy", 2)
    assert len(fake.seen(model_pb2.DeployModelRequest)) == 1


async def test_waiting_survives_a_server_that_is_away_for_a_moment(
    model: ModelFace, fake: FakeModel
) -> None:
    handle = await model.call("deploy", 2)
    fake.succeed()
    fake.refuse["WaitOperation"] = [DOWN, DOWN]
    assert (await model.on_rollout(handle, "wait")).version == 2
