"""How the gateway and a decoding process talk: messages over a socket.

    {"type": "decode", ...}\\n                                       gateway -> process
    {"type": "frame", "time_s": 1.5, ..., "bytes": [150528, 81234]}\\n...        process -> gateway
    {"type": "done", "facts": {...}, "bytes": []}\\n

A message is one line of JSON, followed by as many raw bodies as it lists lengths. Nothing is ever
pickled, and the gateway believes no length: the process may have been taken over by a video. This
module does not know what the messages mean.
"""

import asyncio
import json
from collections.abc import Sequence
from typing import Any, BinaryIO

MAX_LINE_BYTES = 64 * 1024
MAX_BODY_BYTES = 64 * 1024 * 1024
_MAX_BODIES = 4

Message = dict[str, Any]


class PipeBroken(Exception):
    """The other side is gone, or does not speak like this."""


def pack(message: Message, bodies: Sequence[bytes] = ()) -> bytes:
    """A message as it goes over the pipe."""
    lengths = [len(body) for body in bodies]
    line = json.dumps({**message, "bytes": lengths}).encode() + b"\n"
    return b"".join((line, *bodies))


def receive(reader: BinaryIO) -> Message | None:
    """The process's next order; None when the gateway is gone."""
    line = reader.readline(MAX_LINE_BYTES)
    return _parse(line) if line.endswith(b"\n") else None


async def receive_async(reader: asyncio.StreamReader) -> tuple[Message, list[bytes]]:
    """The gateway's next message with its bodies.

    Raises:
        PipeBroken: the process is gone, or says what nobody understands.
    """
    try:
        line = await reader.readline()
        if not line.endswith(b"\n"):
            raise PipeBroken("the decoding process is gone")
        message = _parse(line)
        lengths = message.get("bytes")
        if not isinstance(lengths, list) or len(lengths) > _MAX_BODIES:
            raise PipeBroken("the decoding process sent no lengths")
        if not all(isinstance(n, int) and 0 <= n <= MAX_BODY_BYTES for n in lengths):
            raise PipeBroken("the decoding process sent lengths that make no sense")
        return message, [await reader.readexactly(length) for length in lengths]
    except (ValueError, OSError, asyncio.IncompleteReadError) as error:
        raise PipeBroken("the decoding process is gone") from error


def _parse(line: bytes) -> Message:
    try:
        message = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise PipeBroken("the other side does not speak JSON") from error
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise PipeBroken("the other side sent no message")
    return message
