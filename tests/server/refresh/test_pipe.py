"""Both ends of the pipe: messages and bodies arrive whole, and nonsense is found out."""

import asyncio
import io
import json
import os
from typing import Any

import numpy as np
import pytest

from inkling_server.refresh.pipe import (
    MAX_BODY_BYTES,
    MAX_LINE_BYTES,
    GatewayPipe,
    PipeBroken,
    ProcessPipe,
)


class Wire:
    """Takes what the gateway sends, as its StreamWriter."""

    def __init__(self) -> None:
        self.sent = b""
        self.broken = False

    def write(self, data: bytes) -> None:
        self.sent += data

    async def drain(self) -> None:
        if self.broken:
            raise ConnectionResetError("gone")


def gateway_end(received: bytes = b"") -> tuple[GatewayPipe, Any]:
    """The gateway's end, after the process has sent something and gone."""
    reader = asyncio.StreamReader(limit=MAX_LINE_BYTES)
    reader.feed_data(received)
    reader.feed_eof()
    wire: Any = Wire()
    return GatewayPipe(reader, wire), wire


def process_end(received: bytes) -> ProcessPipe:
    return ProcessPipe(io.BytesIO(received), io.BytesIO())


async def test_message_of_the_process_arrives_as_it_was() -> None:
    out = io.BytesIO()
    message = {"type": "embed", "phrases": ["latte art", "café\nnoir", "\u2028", "猫"]}
    ProcessPipe(io.BytesIO(), out).send(message)
    ProcessPipe(io.BytesIO(), out).send({"type": "progress"})
    pipe, _ = gateway_end(out.getvalue())
    assert await pipe.receive() == message
    assert await pipe.receive() == {"type": "progress"}
    assert await pipe.receive() is None


async def test_bodies_arrive_as_they_were_with_any_bytes() -> None:
    rows = np.random.default_rng(1).standard_normal((3, 7)).astype(np.float32)
    body = b"\n{}\n\x00" + rows.tobytes()
    pipe, wire = gateway_end()
    await pipe.send({"type": "embedded"}, body)
    await pipe.send({"type": "refused", "problem": "x"})
    process = process_end(wire.sent)
    message, received = process.receive()
    assert (message["type"], received) == ("embedded", body)
    assert process.receive() == ({"type": "refused", "problem": "x", "bytes": 0}, b"")


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"hello\n",
        b'{"type": "progress"',
        b"[]\n",
        b"{}\n",
        b'{"type": 7}\n',
        b'"embed"\n',
        b"\xff\xfe\n",
    ],
)
async def test_nonsense_is_found_out_at_both_ends(line: bytes) -> None:
    with pytest.raises(PipeBroken):
        process_end(line).receive()
    if line:
        pipe, _ = gateway_end(line)
        with pytest.raises(PipeBroken):
            await pipe.receive()


async def test_deeply_nested_line_is_found_out_at_both_ends() -> None:
    line = b"[" * 200_000 + b"\n"
    with pytest.raises(PipeBroken):
        process_end(line).receive()
    pipe, _ = gateway_end(line)
    with pytest.raises(PipeBroken):
        await pipe.receive()


@pytest.mark.parametrize("count", [-1, MAX_BODY_BYTES + 1, 1.5, "9", None, [4]])
def test_body_of_no_sensible_length_is_found_out(count: object) -> None:
    line = json.dumps({"type": "embedded", "bytes": count}).encode() + b"\n" + b"abcd"
    with pytest.raises(PipeBroken, match="no sensible length"):
        process_end(line).receive()


def test_body_that_is_cut_short_is_found_out() -> None:
    with pytest.raises(PipeBroken, match="gone"):
        process_end(b'{"type": "embedded", "bytes": 5}\nabcd').receive()


async def test_line_over_the_limit_breaks_the_pipe_at_both_ends() -> None:
    line = b'{"type": "' + b"x" * (2 * MAX_LINE_BYTES + 10) + b'"}\n'
    with pytest.raises(PipeBroken):
        process_end(line).receive()
    pipe, _ = gateway_end(line)
    with pytest.raises(PipeBroken, match="without end"):
        await pipe.receive()


async def test_line_of_nearly_the_limit_is_no_problem() -> None:
    line = b'{"type": "' + b"x" * (MAX_LINE_BYTES - 20) + b'"}\n'
    message, _ = process_end(line).receive()
    pipe, _ = gateway_end(line)
    assert await pipe.receive() == message


async def test_sending_to_a_side_that_is_gone_says_so() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    with (
        os.fdopen(write_end, "wb", buffering=0) as writer,
        pytest.raises(PipeBroken, match="the gateway is gone"),
    ):
        ProcessPipe(io.BytesIO(), writer).send({"type": "progress"})
    pipe, wire = gateway_end()
    wire.broken = True
    with pytest.raises(PipeBroken, match="the refresh process is gone"):
        await pipe.send({"type": "embedded"}, b"1")
