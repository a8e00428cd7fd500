"""grpc.health.v1 over a real connection, and the board behind it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from inkling_server.errors import EncoderDown
from inkling_server.fake_encoder import FakeEncoder
from inkling_server.gateway import Gateway
from inkling_server.rpc.health import GRAPH, INFO, OVERALL, TAGGING, HealthBoard
from tests.server.rpc.conftest import StartGateway
from tests.serving import until

Response = health_pb2.HealthCheckResponse


@pytest.fixture
async def health(channel: grpc.aio.Channel) -> Any:
    return health_pb2_grpc.HealthStub(channel)


async def check(health: Any, service: str) -> str:
    reply = await health.Check(health_pb2.HealthCheckRequest(service=service))
    return str(Response.ServingStatus.Name(reply.status))


async def statuses(health: Any, service: str) -> AsyncIterator[str]:
    async for reply in health.Watch(health_pb2.HealthCheckRequest(service=service)):
        yield str(Response.ServingStatus.Name(reply.status))


@pytest.mark.parametrize("service", [OVERALL, TAGGING, INFO, GRAPH, "grpc.health.v1.Health"])
async def test_healthy_server_serves_each_service(health: Any, service: str) -> None:
    assert await check(health, service) == "SERVING"


async def test_unknown_service_is_not_found(health: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await check(health, "inkling.v1.Nonsense")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_watch_follows_the_encoder_down_and_up_again(
    health: Any, encoder: FakeEncoder
) -> None:
    watched = statuses(health, TAGGING)
    async with asyncio.timeout(10):
        assert await anext(watched) == "SERVING"
        encoder.failure = EncoderDown("gone")
        assert await anext(watched) == "NOT_SERVING"
        encoder.failure = None
        assert await anext(watched) == "SERVING"


async def test_info_and_graph_serve_while_encoders_are_down(
    health: Any, encoder: FakeEncoder
) -> None:
    encoder.failure = EncoderDown("gone")

    async def down() -> bool:
        return await check(health, OVERALL) == "NOT_SERVING"

    await until(down)
    assert await check(health, TAGGING) == "NOT_SERVING"
    assert await check(health, INFO) == "SERVING"
    assert await check(health, GRAPH) == "SERVING"


async def test_watch_of_an_unknown_service_says_so_and_stays(health: Any) -> None:
    watched = statuses(health, "inkling.v1.Nonsense")
    async with asyncio.timeout(10):
        assert await anext(watched) == "SERVICE_UNKNOWN"


async def test_watch_ends_when_the_server_drains(start_gateway: StartGateway) -> None:
    # Leaving the blocks would take the 60 s of grace if the watch held the server.
    async with (
        asyncio.timeout(4),
        start_gateway(drain_s=60) as gateway,
        grpc.aio.insecure_channel(f"127.0.0.1:{gateway.grpc_port}") as channel,
    ):
        watched = statuses(health_pb2_grpc.HealthStub(channel), TAGGING)
        assert await anext(watched) == "SERVING"
        gateway.stop()
        assert [status async for status in watched] == ["NOT_SERVING"]


async def test_cancelled_watches_leave_no_task(gateway: Gateway, channel: grpc.aio.Channel) -> None:
    stub: Any = health_pb2_grpc.HealthStub(channel)
    await check(stub, OVERALL)
    before = len(asyncio.all_tasks())
    calls = [stub.Watch(health_pb2.HealthCheckRequest(service=TAGGING)) for _ in range(10)]
    for call in calls:
        await call.read()
        call.cancel()
    del calls, call
    await until(lambda: len(asyncio.all_tasks()) <= before + 2)


async def test_board_wakes_watchers_on_changes_only() -> None:
    board = HealthBoard()
    waiting = asyncio.create_task(board.wait_for_change())
    await asyncio.sleep(0)
    board.set([TAGGING], serving=False)
    await asyncio.sleep(0)
    assert not waiting.done()
    board.set([TAGGING], serving=True)
    await waiting
    assert board.serving[TAGGING]


async def test_board_never_serves_again_after_its_end() -> None:
    board = HealthBoard()
    board.set([TAGGING, INFO], serving=True)
    board.end()
    board.set([TAGGING], serving=True)
    assert not any(board.serving.values())
