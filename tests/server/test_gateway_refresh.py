"""Refreshing through the whole gateway: real process, real gRPC, a fake encoder."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.longrunning import operations_pb2, operations_pb2_grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from inkling.v1 import graph_pb2, graph_pb2_grpc, tagging_pb2, tagging_pb2_grpc
from inkling_server.fake_encoder import FakeEncoder
from inkling_server.gateway import Gateway, running_gateway
from inkling_server.interests.snapshot import save_snapshot
from inkling_server.interests.store import GraphStore
from inkling_server.rpc.health import GRAPH, TAGGING
from tests.own_processes import OwnChildren
from tests.refresh_content import posts, write_posts
from tests.server.gateway_kit import FakeBackend, colour_graph, gateway_settings, gateway_with
from tests.server.rpc.rpc_kit import item, metric, refusal
from tests.serving import until

SUBJECT = "magenta kite"
Answer = tuple[tuple[str, float], ...]


@dataclass
class Refreshing:
    """A serving gateway whose content folder has posts about something new."""

    gateway: Gateway
    channel: grpc.aio.Channel
    content: Path

    def __post_init__(self) -> None:
        self.graph: Any = graph_pb2_grpc.GraphServiceStub(self.channel)
        self.operations: Any = operations_pb2_grpc.OperationsStub(self.channel)
        self.tagging: Any = tagging_pb2_grpc.TaggingServiceStub(self.channel)

    async def start(self, **fields: Any) -> Any:
        return await self.graph.RefreshGraph(graph_pb2.RefreshGraphRequest(**fields), timeout=20)

    async def wait(self, name: str) -> Any:
        request = operations_pb2.WaitOperationRequest(name=name)
        return await self.operations.WaitOperation(request, timeout=100)

    async def interests(self, version: str = "") -> dict[str, str]:
        request = graph_pb2.ListInterestsRequest(graph_version=version, page_size=1000)
        found = (await self.graph.ListInterests(request)).interests
        return {interest.interest_id: interest.phrase for interest in found}

    async def health(self, service: str) -> str:
        stub: Any = health_pb2_grpc.HealthStub(self.channel)
        reply = await stub.Check(health_pb2.HealthCheckRequest(service=service))
        return str(health_pb2.HealthCheckResponse.ServingStatus.Name(reply.status))


@asynccontextmanager
async def refreshing(tmp_path: Path, **changes: Any) -> AsyncIterator[Refreshing]:
    """A gateway that serves the colours, or what its folder has from a run before."""
    content = tmp_path / "content"
    if not content.exists():
        write_posts(content, "feed", posts(SUBJECT, 25, seed=1))
    settings = gateway_settings(tmp_path, content_dir=content, refresh_nice=0, **changes)
    store = GraphStore(settings.graph_dir or settings.data_dir / "graph", tmp_path / "none")
    if not store.current_version():
        store.make_current(save_snapshot(colour_graph(), store.root).name)
    async with running_gateway(settings, FakeBackend(FakeEncoder()).open) as gateway:
        async with asyncio.timeout(20):
            assert await gateway.wait_until_serving()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{gateway.grpc_port}") as channel:
            yield Refreshing(gateway, channel, content)


class Stream:
    """One TagStream that asks for every tag of one picture, as long as the block lasts."""

    def __init__(self, stub: Any) -> None:
        self._stub = stub
        self._room = asyncio.Semaphore(8)
        self._stop = False
        self.sent = 0
        self.failures: list[str] = []
        self.answers: list[tuple[str, Answer]] = []

    async def _requests(self) -> AsyncIterator[tagging_pb2.TagStreamRequest]:
        while not self._stop:
            await self._room.acquire()
            self.sent += 1
            yield item(str(self.sent), "magenta", top_n=100, min_score=0.0)

    async def _run(self) -> None:
        async for reply in self._stub.TagStream(self._requests()):
            self._room.release()
            if reply.WhichOneof("result") == "response":
                tags = tuple((tag.interest_id, tag.score) for tag in reply.response.tags)
                self.answers.append((reply.response.graph_version, tags))
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


@pytest.mark.timeout(180)
async def test_new_interest_becomes_a_tag_while_a_stream_gets_answers_of_one_version_each(
    tmp_path: Path,
) -> None:
    async with refreshing(tmp_path) as world:
        before = await world.interests()
        async with Stream(world.tagging) as stream:
            operation = await world.start()
            assert await world.health(GRAPH) == "SERVING"
            running = (await refusal(world.start())).reason
            ended = await world.wait(operation.name)
            new_version = graph_pb2.RefreshGraphResponse()
            assert ended.response.Unpack(new_version), ended.error
        assert running == "REFRESH_RUNNING"
        assert stream.failures == []
        assert len(stream.answers) == stream.sent
        after = await world.interests()
        assert SUBJECT in after.values()
        assert SUBJECT not in before.values()
        # Every interest is a tag of every picture here: an answer tells which graph it is from.
        expected = {
            new_version.base_version: set(before),
            new_version.graph_version: set(after),
        }
        for version, tags in stream.answers:
            assert {interest_id for interest_id, _ in tags} == expected[version]
        versions = [version for version, _ in stream.answers]
        assert set(versions) == set(expected)
        # One version after the other; and within one, equal pictures get equal scores.
        assert len(set(stream.answers)) == 2
        assert sorted(versions, key=list(expected).index) == versions
        assert [await world.health(service) for service in (GRAPH, TAGGING)] == ["SERVING"] * 2

        named = f'graph_version="{new_version.graph_version}"'
        key = f'inkling_info{{{named},model_version="fake:1:{"0" * 16}",server_version="0.1.0"}}'
        assert await metric(world.gateway, key) == 1
        assert await metric(world.gateway, "inkling_info") == 1
        assert await metric(world.gateway, 'inkling_refreshes_total{outcome="done"}') == 1
        assert await metric(world.gateway, "inkling_refresh_seconds") > 0
        assert await metric(world.gateway, "inkling_graph_swapped_timestamp_seconds") > 1.7e9


@pytest.mark.timeout(180)
async def test_refresh_outlives_the_server_and_so_does_what_is_known_of_it(tmp_path: Path) -> None:
    async with refreshing(tmp_path) as world:
        operation = await world.start()
        done = await world.wait(operation.name)
        version = graph_pb2.RefreshGraphResponse()
        assert done.response.Unpack(version)
        cancelled = await world.start(force=True)
        await world.operations.CancelOperation(
            operations_pb2.CancelOperationRequest(name=cancelled.name)
        )
        unfinished = await world.start(force=True)
    async with refreshing(tmp_path) as world:
        assert SUBJECT in (await world.interests()).values()
        request = operations_pb2.ListOperationsRequest(name="operations", page_size=10)
        found = (await world.operations.ListOperations(request)).operations
        assert [o.name for o in found] == [unfinished.name, cancelled.name, operation.name]
        assert all(o.done for o in found)
        assert found[2].response == done.response
        assert found[1].error.code == found[0].error.code == grpc.StatusCode.CANCELLED.value[0]
        again = await world.wait((await world.start()).name)
        nothing = graph_pb2.RefreshGraphResponse()
        assert again.response.Unpack(nothing)
        assert nothing.item_count == 0
        assert nothing.graph_version == nothing.base_version == version.graph_version


async def test_end_of_the_server_ends_a_refresh_and_its_process(
    tmp_path: Path, own_children: OwnChildren
) -> None:
    async with refreshing(tmp_path) as world:
        await world.start()
        await until(lambda: own_children())
        (process,) = own_children()
    assert not process.is_running()


@pytest.mark.timeout(180)
async def test_two_gateways_of_one_folder_serve_what_either_publishes(tmp_path: Path) -> None:
    shared = {"graph_dir": tmp_path / "shared", "graph_poll_s": 0.05}
    async with (
        refreshing(tmp_path / "one", **shared) as one,
        refreshing(tmp_path / "two", **shared) as two,
    ):
        operation = await one.start()
        assert (await refusal(two.start())).reason == "REFRESH_RUNNING"
        ended = await one.wait(operation.name)
        assert not ended.HasField("error")

        async def has_it() -> bool:
            return SUBJECT in (await two.interests()).values()

        await until(has_it)


async def test_without_content_the_demo_feed_is_read(tmp_path: Path) -> None:
    settings = gateway_settings(tmp_path)
    async with gateway_with(FakeEncoder(), settings) as gateway:
        async with asyncio.timeout(20):
            assert await gateway.wait_until_serving()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{gateway.grpc_port}") as channel:
            world = Refreshing(gateway, channel, tmp_path)
            feeds = []
            for _ in range(2):
                operation = await world.start()
                metadata = graph_pb2.RefreshGraphMetadata()
                operation.metadata.Unpack(metadata)
                feeds.append(metadata.feed)
                await world.operations.CancelOperation(
                    operations_pb2.CancelOperationRequest(name=operation.name)
                )
                (settings.data_dir / "content").mkdir(exist_ok=True)
    assert feeds == ["demo", "content"]
