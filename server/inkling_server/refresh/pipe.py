"""How the gateway and the refresh process talk: messages over a socket.

    {"type": "progress", "stage": "reading", "done": 5, "total": 9}\\n
    {"type": "embed", "phrases": ["latte art"]}\\n          process -> gateway, which answers
    {"type": "embedded", "rows": 1, "bytes": 1024}\\n...     and 1,024 raw bytes, float32

A message is one line of JSON, followed by as many raw bytes as it says. Nothing is ever pickled.
The socket is the process's standard input and output. This module knows neither what the messages
mean nor who runs the process.
"""

import asyncio
import json
from typing import Any, BinaryIO

MAX_LINE_BYTES = 8 * 1024 * 1024
MAX_BODY_BYTES = 256 * 1024 * 1024

Message = dict[str, Any]


class PipeBroken(Exception):
    """The other side is gone, or does not speak like this."""


class ProcessPipe:
    """The refresh process's end; blocking, one thread.

    Args:
        reader: from the gateway.
        writer: to the gateway.
    """

    def __init__(self, reader: BinaryIO, writer: BinaryIO) -> None:
        self._reader = reader
        self._writer = writer

    def send(self, message: Message) -> None:
        """Sends a message without a body. Raises PipeBroken."""
        try:
            self._writer.write(_line(message))
            self._writer.flush()
        except OSError as error:
            raise PipeBroken("the gateway is gone") from error

    def receive(self) -> tuple[Message, bytes]:
        """The next message and its body. Raises PipeBroken."""
        message = _parse(self._reader.readline(MAX_LINE_BYTES))
        count = _body_length(message)
        body = self._reader.read(count) if count else b""
        if len(body) != count:
            raise PipeBroken("the gateway is gone")
        return message, body


class GatewayPipe:
    """The gateway's end; asyncio.

    Args:
        reader: from the process, with a limit of at least `MAX_LINE_BYTES`.
        writer: to the process.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, message: Message, body: bytes = b"") -> None:
        """Sends a message. Raises PipeBroken."""
        try:
            self._writer.write(_line({**message, "bytes": len(body)}) + body)
            await self._writer.drain()
        except OSError as error:
            raise PipeBroken("the refresh process is gone") from error

    async def receive(self) -> Message | None:
        """The next message; None when the process has ended. Raises PipeBroken."""
        try:
            line = await self._reader.readline()
        except ValueError as error:  # longer than the limit
            raise PipeBroken("the refresh process sent a line without end") from error
        except OSError as error:  # it went without reading what was sent to it
            raise PipeBroken("the refresh process is gone") from error
        return _parse(line) if line else None


def _line(message: Message) -> bytes:
    return json.dumps(message).encode() + b"\n"


def _parse(line: bytes) -> Message:
    try:
        message = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise PipeBroken("the other side is gone, or does not speak JSON") from error
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise PipeBroken("the other side sent no message")
    return message


def _body_length(message: Message) -> int:
    count = message.get("bytes", 0)
    if not isinstance(count, int) or not 0 <= count <= MAX_BODY_BYTES:
        raise PipeBroken("the other side sent a body of no sensible length")
    return count
