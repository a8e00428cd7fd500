"""Calls that are handed on: nothing of them may be lost on the way, in either direction."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from inkling_server.errors import UnknownUser
from inkling_server.near_channels import CHANNEL_OPTIONS
from inkling_server.rpc.forwarding import Forwarder
from inkling_server.rpc.listening import PrivateSocket
from inkling_server.rpc.status import reason_of, to_status
from tests.serving import until

HERE = "/inkling.v1.TaggingService/Tag"
THERE = "/inkling.v1.GraphService/Anything"


@dataclass
class Back:
    """The process that answers; `handler` is the method's."""

    handler: Callable[[Any], Awaitable[None]] | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    remaining_s: float | None = None
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, _requests: object, context: Any) -> None:
        self.metadata = dict(context.invocation_metadata())
        self.remaining_s = context.time_remaining()
        assert self.handler is not None
        try:
            await self.handler(context)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise


class OneMethod(grpc.GenericRpcHandler):
    """Answers one method and no other."""

    def __init__(self, method: str, behaviour: Any) -> None:
        self._method = method
        self._handler: Any = grpc.stream_stream_rpc_method_handler(behaviour)

    def service(self, handler_call_details: Any) -> Any:
        return self._handler if handler_call_details.method == self._method else None


@dataclass
class Scene:
    """Front and back, and a connection to the front."""

    back: Back
    channel: grpc.aio.Channel
    forwarder: Forwarder

    def call(self, method: str = THERE, **options: Any) -> Any:
        start: Any = self.channel.stream_stream(method)
        return start(**options)


@asynccontextmanager
async def running(tmp_path: Path) -> AsyncIterator[Scene]:
    # Longer than the path of a socket may be.
    folder = tmp_path / ("d" * 120)
    folder.mkdir()
    async with AsyncExitStack() as stack:
        back = Back()
        there, theirs = PrivateSocket(folder, "s"), PrivateSocket(folder, "s")
        stack.callback(there.close)
        stack.callback(theirs.close)
        back_server = grpc.aio.server(
            handlers=[OneMethod(THERE, back.answer)], options=CHANNEL_OPTIONS
        )
        there.bind(back_server)
        await back_server.start()
        stack.push_async_callback(back_server.stop, 0)
        onward = await stack.enter_async_context(
            grpc.aio.insecure_channel(theirs.address, CHANNEL_OPTIONS)
        )
        forwarder = Forwarder(onward, [HERE], max_calls=2)

        async def here(_requests: object, context: Any) -> None:
            await context.write(b"answered here")

        front = grpc.aio.server(
            interceptors=[forwarder], handlers=[OneMethod(HERE, here)], options=CHANNEL_OPTIONS
        )
        port = front.add_insecure_port("127.0.0.1:0")
        await front.start()
        stack.push_async_callback(front.stop, 0)
        channel = await stack.enter_async_context(
            grpc.aio.insecure_channel(f"127.0.0.1:{port}", CHANNEL_OPTIONS)
        )
        yield Scene(back, channel, forwarder)


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with running(tmp_path) as made:
        yield made


async def test_own_methods_are_answered_here_and_others_there(scene: Scene) -> None:
    async def handler(context: Any) -> None:
        await context.write(b"there: " + await context.read())

    scene.back.handler = handler
    assert await scene.call(HERE).read() == b"answered here"
    call = scene.call()
    await call.write(b"x" * 5_000_000)  # above gRPC's own limit
    assert len(await call.read()) == 5_000_007
    assert await call.read() is grpc.aio.EOF


async def test_metadata_goes_both_ways_and_the_deadline_goes_along(scene: Scene) -> None:
    async def handler(context: Any) -> None:
        await context.send_initial_metadata((("x-first", "1"), ("x-first-bin", b"\x00\xff")))
        context.set_trailing_metadata((("x-last", "2"),))

    scene.back.handler = handler
    call = scene.call(metadata=(("x-mine", "3"), ("x-mine-bin", b"\x01\xfe")), timeout=30)
    await call.done_writing()
    assert await call.read() is grpc.aio.EOF
    assert dict(await call.initial_metadata()) == {"x-first": "1", "x-first-bin": b"\x00\xff"}
    assert dict(await call.trailing_metadata()) == {"x-last": "2"}
    assert await call.code() is grpc.StatusCode.OK
    assert scene.back.metadata["x-mine"] == "3"
    assert scene.back.metadata["x-mine-bin"] == b"\x01\xfe"
    assert scene.back.remaining_s is not None
    assert 25 < scene.back.remaining_s < 31  # gRPC rounds up


async def test_headers_do_not_wait_for_the_first_message(scene: Scene) -> None:
    async def handler(context: Any) -> None:
        await context.send_initial_metadata((("x-first", "1"),))
        await context.read()

    scene.back.handler = handler
    call = scene.call()
    async with asyncio.timeout(5):
        assert dict(await call.initial_metadata()) == {"x-first": "1"}
    await call.done_writing()
    assert await call.read() is grpc.aio.EOF


async def test_without_a_deadline_there_is_none(scene: Scene) -> None:
    async def handler(context: Any) -> None:
        await context.read()

    scene.back.handler = handler
    call = scene.call()
    await call.done_writing()
    await call.read()
    assert scene.back.remaining_s is None


async def test_messages_stream_both_ways_at_once(scene: Scene) -> None:
    async def handler(context: Any) -> None:
        while (message := await context.read()) is not grpc.aio.EOF:
            await context.write(message + b"!")
        await context.write(b"end")

    scene.back.handler = handler
    call = scene.call()
    for number in range(20):
        await call.write(b"%d" % number)
        assert await call.read() == b"%d!" % number
    await call.done_writing()
    assert await call.read() == b"end"
    assert await call.read() is grpc.aio.EOF


async def test_status_keeps_code_text_and_details(scene: Scene) -> None:
    status = to_status(UnknownUser())

    async def handler(context: Any) -> None:
        await context.write(b"one answer")
        await context.abort_with_status(rpc_status.to_status(status))

    scene.back.handler = handler
    call = scene.call()
    assert await call.read() == b"one answer"
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call.read()
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert caught.value.details() == status.message
    kept: Any = await rpc_status.aio.from_call(call)
    assert kept == status
    info = error_details_pb2.ErrorInfo()
    assert kept.details[0].Unpack(info)
    assert info.reason == reason_of(status)


async def test_error_before_the_callers_stream_has_ended_arrives_at_once(scene: Scene) -> None:
    async def handler(context: Any) -> None:
        await context.read()
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "enough")

    scene.back.handler = handler
    call = scene.call()
    await call.write(b"first of many")
    async with asyncio.timeout(5):
        assert await call.code() is grpc.StatusCode.INVALID_ARGUMENT
    await asyncio.wait_for(scene.forwarder.idle(), 5)


async def test_cancelling_reaches_the_other_process(scene: Scene) -> None:
    begun = asyncio.Event()

    async def handler(_context: Any) -> None:
        begun.set()
        await asyncio.Event().wait()

    scene.back.handler = handler
    call = scene.call()
    await asyncio.wait_for(begun.wait(), 5)
    call.cancel()
    await asyncio.wait_for(scene.back.cancelled.wait(), 5)
    await asyncio.wait_for(scene.forwarder.idle(), 5)


async def test_a_deadline_that_passes_ends_the_call_on_both_sides(scene: Scene) -> None:
    async def handler(_context: Any) -> None:
        await asyncio.Event().wait()

    scene.back.handler = handler
    assert await scene.call(timeout=0.3).code() is grpc.StatusCode.DEADLINE_EXCEEDED
    await asyncio.wait_for(scene.back.cancelled.wait(), 5)


async def test_too_many_calls_of_one_method_are_refused_as_overload(scene: Scene) -> None:
    begun: list[object] = []
    go_on = asyncio.Event()

    async def handler(context: Any) -> None:
        begun.append(context)
        await go_on.wait()

    scene.back.handler = handler
    calls = [scene.call(), scene.call()]
    await until(lambda: len(begun) == 2)
    refused = scene.call()
    with pytest.raises(grpc.aio.AioRpcError):
        await refused.read()
    status: Any = await rpc_status.aio.from_call(refused)
    assert reason_of(status) == "OVERLOADED"
    go_on.set()
    for call in calls:
        assert await call.read() is grpc.aio.EOF
    await asyncio.wait_for(scene.forwarder.idle(), 5)


async def test_unknown_methods_are_unknown_there_and_foreign_ones_here(scene: Scene) -> None:
    assert await scene.call("/inkling.v1.No/Such").code() is grpc.StatusCode.UNIMPLEMENTED
    assert await scene.call("/other.Service/Do").code() is grpc.StatusCode.UNIMPLEMENTED
    assert not scene.back.metadata


async def test_a_process_that_is_gone_is_unavailable_without_naming_paths(tmp_path: Path) -> None:
    async with running(tmp_path) as scene:
        (tmp_path / ("d" * 120) / "s").unlink()
        call = scene.call()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.read()
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert caught.value.details() == "the server's main process does not answer"
