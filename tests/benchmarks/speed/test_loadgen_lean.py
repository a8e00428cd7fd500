"""The lean generator against a real gRPC server: what it reads out of a call's end, and windows."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest

from benchmarks.speed import loadgen_lean
from benchmarks.speed.jobs import TAG, Job
from benchmarks.speed.loadgen_lean import lean_connections
from tests.serving import until


@dataclass
class Seen:
    """What the server was sent."""

    messages: list[bytes] = field(default_factory=list)
    metadata: list[dict[str, Any]] = field(default_factory=list)
    seconds_left: list[float] = field(default_factory=list)


@asynccontextmanager
async def _serving() -> AsyncIterator[tuple[Seen, Job, grpc.aio.Server]]:
    """A server whose answer depends on the message's first byte."""
    seen = Seen()

    async def tag(message: bytes, context: Any) -> bytes:
        seen.messages.append(message)
        seen.metadata.append(dict(context.invocation_metadata()))
        seen.seconds_left.append(context.time_remaining())
        if message[:1] == b"r":
            # With details, as ours refuses: trailers hold more than the status.
            context.set_trailing_metadata((("grpc-status-details-bin", bytes(range(100))),))
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "full")
        if message[:1] == b"i":
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no picture")
        if message[:1] == b"s":
            await asyncio.sleep(10)
        return b"answer" * 10_000

    server = grpc.aio.server(options=[("grpc.max_receive_message_length", -1)])
    handlers: dict[str, Any] = {"Tag": grpc.unary_unary_rpc_method_handler(tag)}
    name = TAG.split("/")[1]
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield seen, Job("grpc-lean", f"127.0.0.1:{port}", TAG, "", 1.0, connections=2), server
    finally:
        await server.stop(0)


async def test_each_end_of_a_call_is_told_apart() -> None:
    async with _serving() as (_, job, _server), lean_connections(job) as send:
        calls = [send(message, 5.0, False) for message in (b"ok", b"r", b"i", b"ok", b"r")]
        assert await asyncio.gather(*calls) == [
            *("ok", "refused", "gRPC status 3", "ok", "refused"),
        ]


async def test_server_sees_what_a_grpc_client_would_send_in_every_call() -> None:
    async with _serving() as (seen, job, _), lean_connections(job) as send:
        for _ in range(6):  # three on each connection: the first, and with indexed headers
            assert await send(b"ok", 5.0, False) == "ok"
    assert seen.messages == [b"ok"] * 6
    assert all(one["user-agent"] == "inkling-loadgen" for one in seen.metadata)
    assert all(4.0 < left <= 5.0 for left in seen.seconds_left)


@pytest.mark.parametrize("size", [0, 1, 16_383, 65_530, 3_000_000])
async def test_message_of_any_size_comes_whole(size: int) -> None:
    message = b"k" * size
    async with _serving() as (seen, job, _), lean_connections(job) as send:
        assert await send(message, 10.0, False) == "ok"
    assert seen.messages == [message]


async def test_many_at_a_time_share_the_windows() -> None:
    # More than ten times what a fresh connection may have under way.
    messages = [bytes([ord("a") + turn % 8]) * 46_000 for turn in range(64)]
    async with _serving() as (seen, job, _), lean_connections(job) as send:
        fates = await asyncio.gather(*(send(message, 30.0, False) for message in messages))
    assert fates == ["ok"] * 64
    assert sorted(seen.messages) == sorted(messages)


async def test_answer_that_does_not_come_in_time_is_late() -> None:
    async with _serving() as (_, job, _server), lean_connections(job) as send:
        assert await send(b"s", 0.1, False) == "late"
        assert await send(b"ok", 5.0, False) == "ok"


async def test_server_that_goes_away_is_a_failure() -> None:
    async with _serving() as (seen, job, server), lean_connections(job) as send:
        call = asyncio.ensure_future(send(b"s", 30.0, False))
        await until(lambda: seen.messages)
        await server.stop(0)
        assert await call in ("connection lost", "reset", "gRPC status 14", "gRPC status 1")
        await asyncio.sleep(0.1)
        assert [await send(b"ok", 30.0, False) for _ in range(2)] == ["connection lost"] * 2
    with pytest.raises(ConnectionError):
        async with lean_connections(job):
            pass


async def test_server_that_never_answers_is_given_up_a_while_after_the_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loadgen_lean, "_GRACE_S", 0.05)

    ended = asyncio.Event()

    async def only_settings(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
        while await reader.read(65_536):
            pass
        writer.close()
        await writer.wait_closed()
        ended.set()

    async with await asyncio.start_server(only_settings, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        job = Job("grpc-lean", f"127.0.0.1:{port}", TAG, "", 1.0)
        async with lean_connections(job) as send:
            assert await send(b"ok", 0.05, False) == "late"
        await ended.wait()
