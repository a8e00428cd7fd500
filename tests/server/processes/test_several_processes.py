"""A server of two processes: to a caller it is one."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest
from google.longrunning import operations_pb2, operations_pb2_grpc

from inkling.v1 import (
    graph_pb2,
    graph_pb2_grpc,
    model_pb2,
    model_pb2_grpc,
    tagging_pb2,
)
from inkling_server.fake_encoder import DEFAULT_MANIFEST
from inkling_server.interests.graph import make_snapshot
from inkling_server.interests.snapshot import save_snapshot
from tests.server.gateway_kit import colour_graph, write_model_repository
from tests.server.processes.several_kit import LeavingEncoder, Server, several
from tests.server.rpc.rpc_kit import item, refusal
from tests.serving import until


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with several(tmp_path) as made:
        yield made


async def test_a_graph_that_is_published_reaches_both(server: Server) -> None:
    some = list(colour_graph().interests)[1:]
    other = make_snapshot(some, datetime(2026, 11, 2, tzinfo=UTC))
    assert (await server.tag("1")).graph_version != other.version
    server.store.make_current(save_snapshot(other, server.store.root).name)
    for process in "01":

        async def swapped(process: str = process) -> bool:
            return (await server.tag(process)).graph_version == other.version

        assert await until(swapped) < 5


async def test_a_rollback_asked_of_the_second_reaches_both(server: Server) -> None:
    some = list(colour_graph().interests)[1:]
    other = make_snapshot(some, datetime(2026, 11, 2, tzinfo=UTC))
    save_snapshot(other, server.store.root)
    stub: Any = graph_pb2_grpc.GraphServiceStub(server.channels["1"])
    await stub.RollbackGraph(graph_pb2.RollbackGraphRequest(graph_version=other.version))
    assert (await server.tag("0")).graph_version == other.version

    async def swapped() -> bool:
        return (await server.tag("1")).graph_version == other.version

    await until(swapped)


async def test_a_rollout_asked_of_the_second_reaches_both_before_the_old_one_goes(
    server: Server, tmp_path: Path
) -> None:
    manifest = replace(DEFAULT_MANIFEST, version=2, fingerprint=f"{2:016x}")
    write_model_repository(tmp_path / "models", manifest)
    opened: list[LeavingEncoder] = []

    def more(version: int) -> LeavingEncoder:
        del version
        opened.append(LeavingEncoder(manifest))
        return opened[-1]

    server.backend._more = more
    first: Any = server.backend.encoder
    follower = psutil.Process(server.gateway.follower_pids[1])
    follower.suspend()  # it cannot move
    try:
        stub: Any = model_pb2_grpc.ModelServiceStub(server.channels["0"])
        operation = await stub.DeployModel(model_pb2.DeployModelRequest(version=2))

        async def swapped(process: str) -> bool:
            return (await server.tag(process)).model_version.startswith("fake:2:")

        await until(lambda: swapped("0"))
        assert not first.closed
    finally:
        follower.resume()
    await until(lambda: swapped("1"))
    await until(lambda: first.closed)
    # Asked of the second: whoever answers knows the same operations.
    stub = operations_pb2_grpc.OperationsStub(server.channels["1"])
    ended = await stub.WaitOperation(operations_pb2.WaitOperationRequest(name=operation.name))
    assert ended.done
    assert ended.HasField("response")


async def test_a_follower_that_dies_is_replaced_while_a_stream_on_the_other_goes_on(
    server: Server,
) -> None:
    stream = server.stub("0").TagStream()
    await stream.write(item("before"))
    assert (await stream.read()).request_id == "before"
    [before] = server.gateway.follower_pids.values()
    os.kill(before, signal.SIGKILL)
    await until(lambda: server.gateway.follower_pids.get(1, before) != before)
    async with asyncio.timeout(20):
        assert await server.gateway.wait_until_all_serve()
    await stream.write(item("after"))
    reply: tagging_pb2.TagStreamResponse = await stream.read()
    assert (reply.request_id, reply.HasField("response")) == ("after", True)
    await stream.done_writing()
    assert await stream.read() is grpc.aio.EOF


async def test_stopping_tells_the_callers_of_both(server: Server) -> None:
    streams = {process: server.stub(process).TagStream() for process in "01"}
    for process, stream in streams.items():
        await stream.write(item(process))
        assert (await stream.read()).request_id == process
    server.gateway.stop()
    for stream in streams.values():
        assert (await refusal(stream.read())).reason == "SHUTTING_DOWN"
    await until(lambda: not server.gateway.follower_pids)


async def test_no_file_stays_that_others_could_connect_to(tmp_path: Path) -> None:
    async with several(tmp_path) as made:
        socket = tmp_path / "data" / "processes" / "owner.sock"
        assert socket.is_socket()
        assert socket.parent.stat().st_mode & 0o077 == 0
        pids = dict(made.gateway.follower_pids)
    assert not socket.exists()
    assert not any(map(psutil.pid_exists, pids.values()))
