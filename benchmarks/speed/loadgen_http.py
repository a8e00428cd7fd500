"""The load generator's HTTP/1.1: prepared requests over kept connections, and as little parsing as
tells where a reply ends.

503 and 429 are refusals. Only replies with Content-Length are understood. It does not know what
the bodies mean.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from benchmarks.speed.jobs import Job
from benchmarks.speed.pacing import Fate, Send

_HEAD_END = b"\r\n\r\n"
_REFUSALS = (b"503", b"429")


@contextlib.asynccontextmanager
async def http_connections(job: Job) -> AsyncIterator[Send]:
    """Yields what sends over a free connection, or a new one where all are in use."""
    host, port = job.address.rsplit(":", 1)
    idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    every: list[asyncio.StreamWriter] = []

    async def exchange(message: bytes) -> Fate:
        if idle:
            reader, writer = idle.pop()
        else:
            reader, writer = await asyncio.open_connection(host, int(port))
            every.append(writer)
        writer.write(message)
        head = await reader.readuntil(_HEAD_END)
        status = head[9:12]
        await reader.readexactly(content_length(head))
        idle.append((reader, writer))
        if status == b"200":
            return "ok"
        return "refused" if status in _REFUSALS else f"HTTP {status.decode()}"

    async def send(message: bytes, timeout_s: float, cancel: bool) -> Fate:
        assert not cancel, "HTTP calls are not cancelled here"
        try:
            return await asyncio.wait_for(exchange(message), timeout_s)
        except TimeoutError:
            return "late"
        except (ConnectionError, asyncio.IncompleteReadError) as error:
            return type(error).__name__

    try:
        yield send
    finally:
        for writer in every:
            writer.close()


def content_length(head: bytes) -> int:
    """Length of the body behind these headers. Raises ValueError where they do not say."""
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            return int(value)
    raise ValueError("the reply has no Content-Length")
