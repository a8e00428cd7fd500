"""The boundary alone: who is refused before the message is read, and what observers learn."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, TypeAlias

import grpc
import pytest

from inkling.v1 import graph_pb2, info_pb2, info_pb2_grpc, tagging_pb2, tagging_pb2_grpc
from inkling_server.errors import EncoderDown
from inkling_server.fake_encoder import FakeEncoder
from inkling_server.gateway import Gateway
from inkling_server.rpc.boundary import or_status
from tests.server.rpc.conftest import StartGateway
from tests.server.rpc.graph_kit import GraphServer
from tests.server.rpc.rpc_kit import item, metric, refusal, request
from tests.serving import until

Stub: TypeAlias = "tagging_pb2_grpc.TaggingServiceAsyncStub"


async def test_full_server_refuses_a_caller_before_its_message_is_sent(
    start_gateway: StartGateway, encoder: FakeEncoder
) -> None:
    async with (
        start_gateway(max_queue_count=2) as gateway,
        grpc.aio.insecure_channel(f"127.0.0.1:{gateway.grpc_port}") as channel,
    ):
        stub = tagging_pb2_grpc.TaggingServiceStub(channel)
        encoder.gate.clear()
        waiting = [asyncio.ensure_future(_tag(stub)) for _ in range(2)]

        async def full() -> bool:
            return await metric(gateway, "inkling_rpcs_under_way") == 2

        await until(full)

        async def never() -> AsyncIterator[bytes]:
            await asyncio.Event().wait()
            yield b""

        # A unary call whose message never comes: the refusal cannot have waited for it.
        tag: Any = channel.stream_unary("/inkling.v1.TaggingService/Tag")
        refused = await refusal(tag(never(), timeout=10))
        assert (refused.code, refused.reason) == ("RESOURCE_EXHAUSTED", "OVERLOADED")
        assert refused.retry_s is not None
        # Whoever wants to know what is going on still gets an answer.
        info = info_pb2_grpc.InfoServiceStub(channel)
        assert (await info.GetInfo(info_pb2.GetInfoRequest())).limits.max_queue_count == 2
        encoder.gate.set()
        await asyncio.gather(*waiting)


async def test_calls_are_counted_by_code_and_reason(
    gateway: Gateway, tagging: Stub, encoder: FakeEncoder
) -> None:
    await tagging.Tag(request())
    await refusal(tagging.Tag(request(top_n=0)))
    call = tagging.TagStream()
    await call.write(item("a"))
    await call.write(item("b", top_n=0))
    await call.done_writing()
    assert len([reply async for reply in call]) == 2

    async def counted() -> bool:
        return await metric(gateway, "inkling_rpcs_total") == 3

    await until(counted)
    assert await metric(gateway, "inkling_stream_answers_total") == 2
    assert await metric(gateway, "inkling_rpcs_under_way") == 0


async def test_or_status_turns_errors_into_values_and_lets_cancellation_through() -> None:
    async def fail(error: BaseException) -> None:
        raise error

    async def give() -> int:
        return 7

    assert await or_status(give()) == 7
    status = await or_status(fail(EncoderDown("gone")))
    assert status.code == grpc.StatusCode.UNAVAILABLE.value[0]
    with pytest.raises(asyncio.CancelledError):
        await or_status(fail(asyncio.CancelledError()))


async def test_replies_of_a_stream_stop_with_a_typed_error_and_are_counted(
    tmp_path: Path,
) -> None:
    server = GraphServer(tmp_path)
    async with server.running() as channel:
        export: Any = channel.unary_stream("/inkling.v1.GraphService/ExportGraph")
        refused = await refusal(export(b"\xff").read())
        assert (refused.code, refused.reason) == ("INVALID_ARGUMENT", "ARGUMENT_OUT_OF_RANGE")
        request = graph_pb2.ExportGraphRequest(format=graph_pb2.EXPORT_FORMAT_JSON)
        pieces = [piece async for piece in export(request.SerializeToString())]
        assert pieces
    assert server.finished == [
        ("ExportGraph", "INVALID_ARGUMENT", "ARGUMENT_OUT_OF_RANGE"),
        ("ExportGraph", "OK", ""),
    ]


async def test_operations_have_typed_errors_too(tmp_path: Path) -> None:
    server = GraphServer(tmp_path)
    async with server.running() as channel:
        get: Any = channel.unary_unary("/google.longrunning.Operations/GetOperation")
        assert (await refusal(get(b""))).reason == "UNKNOWN_OPERATION"
        assert (await refusal(get(b"\xff"))).reason == "ARGUMENT_OUT_OF_RANGE"
    assert [rpc for rpc, _, _ in server.finished] == ["GetOperation"] * 2


async def _tag(stub: Stub) -> tagging_pb2.TagResponse:
    return await stub.Tag(request())
