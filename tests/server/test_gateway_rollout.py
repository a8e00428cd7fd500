"""Rolling models out through the whole gateway: real gRPC, fake encoders in spaces of their own."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.longrunning import operations_pb2, operations_pb2_grpc

from inkling.v1 import (
    graph_pb2,
    graph_pb2_grpc,
    info_pb2,
    info_pb2_grpc,
    model_pb2,
    model_pb2_grpc,
    tagging_pb2,
    tagging_pb2_grpc,
)
from inkling_server.encoders import Encoder
from inkling_server.errors import EncoderDown
from inkling_server.fake_encoder import DEFAULT_MANIFEST, NAMED_COLOURS
from inkling_server.gateway import Gateway, running_gateway
from inkling_server.interests.snapshot import save_snapshot
from inkling_server.interests.store import GraphStore
from inkling_server.model_manifest import ModelManifest
from tests.refresh_content import posts, write_posts
from tests.server.gateway_kit import (
    FakeBackend,
    colour_graph,
    gateway_settings,
    write_model_repository,
)
from tests.server.rollout.rollout_kit import SpacedEncoder
from tests.server.rpc.rpc_kit import item, metric, refusal, request
from tests.serving import until

BIASES = {1: -4.0, 2: -3.0, 3: -4.0}


def manifest(version: int) -> ModelManifest:
    return replace(DEFAULT_MANIFEST, version=version, fingerprint=f"{version:016x}")


def make(version: int) -> Encoder:
    """Version 3 talks nonsense, and 4 does not load."""
    if version == 4:
        raise EncoderDown("Triton cannot load version 4: no memory")
    return SpacedEncoder(manifest(version), misfitted=version == 3)


@dataclass
class Rolling:
    """A serving gateway with several versions."""

    gateway: Gateway
    channel: grpc.aio.Channel
    backend: FakeBackend

    def __post_init__(self) -> None:
        self.model: Any = model_pb2_grpc.ModelServiceStub(self.channel)
        self.graph: Any = graph_pb2_grpc.GraphServiceStub(self.channel)
        self.info: Any = info_pb2_grpc.InfoServiceStub(self.channel)
        self.operations: Any = operations_pb2_grpc.OperationsStub(self.channel)
        self.tagging: Any = tagging_pb2_grpc.TaggingServiceStub(self.channel)

    async def start(self, version: int, **fields: Any) -> Any:
        return await self.model.DeployModel(
            model_pb2.DeployModelRequest(version=version, **fields), timeout=20
        )

    async def wait(self, name: str) -> Any:
        request = operations_pb2.WaitOperationRequest(name=name)
        return await self.operations.WaitOperation(request, timeout=150)

    async def deploy(self, version: int, **fields: Any) -> Any:
        return await self.wait((await self.start(version, **fields)).name)

    async def status(self) -> Any:
        return await self.model.GetModelStatus(model_pb2.GetModelStatusRequest())

    async def version(self) -> str:
        return str((await self.info.GetInfo(info_pb2.GetInfoRequest())).model_version)


@asynccontextmanager
async def rolling(tmp_path: Path, first: int = 1, **changes: Any) -> AsyncIterator[Rolling]:
    """A gateway that starts with a version, or with what its folder says."""
    settings = gateway_settings(
        tmp_path, rollout_pause_ratio=0.0, rollout_max_latency_ratio=1_000, **changes
    )
    for version, bias in BIASES.items():
        write_model_repository(settings.model_repository, manifest(version), bias=bias)
    write_model_repository(settings.model_repository, manifest(4))
    settings.data_dir.mkdir(exist_ok=True)
    pointer = settings.data_dir / "model.json"
    if not pointer.exists():
        pointer.write_text(json.dumps({"version": first, "fingerprint": ""}))
    store = GraphStore(settings.data_dir / "graph", tmp_path / "none")
    if not store.current_version():
        store.make_current(save_snapshot(colour_graph(), store.root).name)
    served = json.loads(pointer.read_text())["version"]
    backend = FakeBackend(make(served), make)
    async with running_gateway(settings, backend.open) as gateway:
        async with asyncio.timeout(20):
            assert await gateway.wait_until_serving()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{gateway.grpc_port}") as channel:
            yield Rolling(gateway, channel, backend)


class Stream:
    """A TagStream that asks for every tag of pictures of all colours while the block lasts."""

    def __init__(self, stub: Any) -> None:
        self._stub = stub
        self._room = asyncio.Semaphore(8)
        self._stop = False
        self._colours: dict[str, str] = {}
        self.failures: list[str] = []
        self.answers: list[tuple[str, str, tuple[tuple[str, float], ...]]] = []

    async def _requests(self) -> AsyncIterator[tagging_pb2.TagStreamRequest]:
        colours = sorted(NAMED_COLOURS)
        while not self._stop:
            await self._room.acquire()
            name = str(len(self._colours))
            self._colours[name] = colours[len(self._colours) % len(colours)]
            yield item(name, self._colours[name], top_n=100, min_score=0.0)

    async def _run(self) -> None:
        async for reply in self._stub.TagStream(self._requests()):
            self._room.release()
            if reply.WhichOneof("result") == "response":
                tags = tuple((tag.phrase, round(tag.score, 4)) for tag in reply.response.tags)
                colour = self._colours[reply.request_id]
                self.answers.append((reply.response.model_version, colour, tags))
            else:
                self.failures.append(reply.error.message)

    async def __aenter__(self) -> "Stream":
        self._task = asyncio.create_task(self._run())
        await until(lambda: len(self.answers) > 20)
        return self

    async def __aexit__(self, *_: object) -> None:
        count = len(self.answers)
        await until(lambda: len(self.answers) > count + 20 or self._task.done())
        self._stop = True
        await self._task


@pytest.mark.timeout(120)
async def test_stream_gets_answers_of_one_model_each_through_rollouts(tmp_path: Path) -> None:
    async with rolling(tmp_path) as world:
        first = await world.version()
        async with Stream(world.tagging) as stream:
            deployed = await world.deploy(2)
            refused = await world.deploy(3)
            failed = await world.deploy(4)
            rollback = model_pb2.RollbackModelRequest()
            back = await world.wait((await world.model.RollbackModel(rollback)).name)
        response, again = model_pb2.DeployModelResponse(), model_pb2.DeployModelResponse()
        assert deployed.response.Unpack(response)
        assert back.response.Unpack(again)
        assert (response.version, response.previous_model_version) == (2, first)
        assert (again.version, again.previous_version) == (1, 2)
        assert response.report.live_count > 0
        assert refused.error.code == grpc.StatusCode.FAILED_PRECONDITION.value[0]
        assert "tag overlap" in refused.error.message
        assert failed.error.code == grpc.StatusCode.INTERNAL.value[0]
        assert "no memory" in failed.error.message

        assert stream.failures == []
        models = [model for model, _, _ in stream.answers]
        assert set(models) == {first, response.model_version}
        # One model has one answer for each picture, and it is the right one: a picture of one model
        # held against the other's tags would get noise, or the other calibration's scores.
        assert len(set(stream.answers)) == 2 * len(NAMED_COLOURS)
        assert all(tags[0][0] == colour for _, colour, tags in stream.answers)
        assert await world.version() == first
        assert world.backend.opened == [1, 2, 3, 4, 1]


async def test_everything_names_the_model_that_serves_now(tmp_path: Path) -> None:
    async with rolling(tmp_path) as world:
        ended = await world.deploy(2)
        response = model_pb2.DeployModelResponse()
        ended.response.Unpack(response)
        assert (await world.tagging.Tag(request())).model_version == response.model_version
        info = await world.info.GetInfo(info_pb2.GetInfoRequest())
        assert info.model_version == response.model_version
        assert {encoder.version for encoder in info.encoders} == {2}
        named = f'model_version="{response.model_version}",server_version="0.1.0"'
        graph = info.graph_version
        assert await metric(world.gateway, f'inkling_info{{graph_version="{graph}",{named}}}') == 1
        assert await metric(world.gateway, "inkling_info") == 1
        assert await metric(world.gateway, 'inkling_rollouts_total{outcome="done"}') == 1
        assert await metric(world.gateway, "inkling_model_swapped_timestamp_seconds") > 1.7e9
        status = await world.status()
        assert (status.version, status.previous_version) == (2, 1)
        assert [v.version for v in status.versions if v.serving] == [2]
        assert [v.version for v in status.versions if v.loaded] == [2]
        assert status.last_rollout.name == ended.name


@pytest.mark.timeout(180)
async def test_refresh_after_a_rollout_uses_the_new_model(tmp_path: Path) -> None:
    content = tmp_path / "content"
    write_posts(content, "feed", posts("magenta kite", 25, seed=1))
    async with rolling(tmp_path, content_dir=content, refresh_nice=0) as world:
        await world.deploy(2)
        started = await world.graph.RefreshGraph(graph_pb2.RefreshGraphRequest(force=True))
        assert (await refusal(world.start(1))).reason == "REFRESH_RUNNING"
        ended = await world.wait(started.name)
        assert not ended.HasField("error"), ended.error.message
        assert (await world.tagging.Tag(request("blue"))).tags[0].phrase == "blue"
        assert "2" in (await world.version()).split(":")
        back = await world.deploy(1)
        assert not back.HasField("error"), back.error.message
        assert (await world.tagging.Tag(request("blue"))).tags[0].phrase == "blue"


async def test_refresh_and_rollback_of_the_graph_wait_for_a_rollout(tmp_path: Path) -> None:
    async with rolling(tmp_path) as world:
        gate = asyncio.Event()

        class Slow(SpacedEncoder):
            async def describe(self) -> Any:
                await gate.wait()
                return await super().describe()

        world.backend._more = lambda version: Slow(manifest(version))
        operation = await world.start(2)
        refused = await refusal(world.graph.RefreshGraph(graph_pb2.RefreshGraphRequest()))
        assert (refused.code, refused.reason) == ("ABORTED", "ROLLOUT_RUNNING")
        assert refused.metadata == {"operation": operation.name}
        version = (await world.graph.GetGraph(graph_pb2.GetGraphRequest())).graph.graph_version
        back = world.graph.RollbackGraph(graph_pb2.RollbackGraphRequest(graph_version=version))
        assert (await refusal(back)).reason == "ROLLOUT_RUNNING"
        gate.set()
        assert not (await world.wait(operation.name)).HasField("error")


async def test_restart_serves_what_was_deployed(tmp_path: Path) -> None:
    async with rolling(tmp_path) as world:
        await world.deploy(2)
        deployed = await world.version()
    async with rolling(tmp_path) as world:
        assert await world.version() == deployed
        assert world.backend.opened == [2]
        status = await world.status()
        assert status.previous_version == 1
        assert status.last_rollout.done
        listed = await world.operations.ListOperations(operations_pb2.ListOperationsRequest())
        assert [operation.name for operation in listed.operations] == [status.last_rollout.name]


async def test_requests_without_sense_are_refused(tmp_path: Path) -> None:
    async with rolling(tmp_path) as world:
        unknown = await refusal(world.start(9))
        assert (unknown.code, unknown.reason) == ("NOT_FOUND", "UNKNOWN_MODEL_VERSION")
        assert unknown.metadata == {"versions": "1,2,3,4"}
        for fields in (
            {"version": 0},
            {"version": 2, "min_overlap": 1.5},
            {"version": 2, "max_latency_ratio": 0.0},
            {"version": 2, "max_lost_coverage": float("nan")},
        ):
            bad = await refusal(world.model.DeployModel(model_pb2.DeployModelRequest(**fields)))
            assert bad.reason == "ARGUMENT_OUT_OF_RANGE"
        nothing = await refusal(world.model.RollbackModel(model_pb2.RollbackModelRequest()))
        assert nothing.reason == "UNKNOWN_MODEL_VERSION"
        assert (await world.status()).version == 1


async def test_pinned_server_says_how_to_unpin_it(tmp_path: Path) -> None:
    async with rolling(tmp_path, model_version=1) as world:
        refused = await refusal(world.start(2))
        assert (refused.code, refused.reason) == ("FAILED_PRECONDITION", "ROLLOUT_REFUSED")
        assert "INKLING_MODEL_VERSION" in refused.message
