"""One refresh process, from its start to its end, as the gateway sees it.

    orders ─► process ─► progress ...
                 ├─────► phrases ─► encoder ─► embeddings back
                 └─────► a draft, or nothing new, or what went wrong

Whatever happens here, the process is gone afterwards. Nothing here knows operations, the index or
what becomes of the draft.
"""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from inkling_server.encoders import Embeddings
from inkling_server.errors import InklingError, RefreshFailed
from inkling_server.interests.stages import Stage
from inkling_server.refresh.orders import RefreshOrders, to_json
from inkling_server.refresh.pipe import MAX_LINE_BYTES, GatewayPipe, Message, PipeBroken

COMMAND = (sys.executable, "-m", "inkling_server.refresh.worker")

_NOT_UNDERSTOOD = "the refresh process says what nobody understands"

Encode = Callable[[Sequence[str]], Awaitable[Embeddings]]


@dataclass(frozen=True, slots=True)
class JobResult:
    """What the process left.

    Attributes:
        draft: folder of the new version; None: there was nothing new.
        counts: what became of the feed's lines, as in `RefreshSummary`.
        added_count: interests that the base does not have.
        retired_count: interests of the base that are gone.
    """

    draft: Path | None
    counts: dict[str, int]
    added_count: int = 0
    retired_count: int = 0


async def run_job(
    orders: RefreshOrders,
    *,
    encode: Encode,
    on_progress: Callable[[Stage, int, int], None],
    log: Path,
    command: Sequence[str] = COMMAND,
) -> JobResult:
    """Runs a refresh process to its end; cancelling the call ends the process.

    Args:
        orders: what to do.
        encode: embeds phrases; its InklingErrors fail the refresh.
        on_progress: told stage, done and total.
        log: what the process writes to standard error; replaced.
        command: the process.

    Raises:
        RefreshFailed: it ended otherwise than with a draft or with nothing new.
    """
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    # A socket and not two pipes: uvloop closes a pipe's descriptor twice, and the second time the
    # number may already be another thread's.
    ours, theirs = socket.socketpair()
    with ours, theirs, log.open("wb") as log_file:
        # Not asyncio's own: uvloop forks, which copies the gateway's page tables and wakes gRPC's
        # fork handlers; this one is a vfork. On the main thread, whose end the process watches.
        process = subprocess.Popen(  # noqa: ASYNC220, S603 - a millisecond; our own command
            command,
            stdin=theirs.fileno(),
            stdout=theirs.fileno(),
            stderr=log_file,
            env=environment,
            # Ctrl-C in a terminal is the gateway's to understand; and see `_make_nice`.
            start_new_session=True,
        )
        theirs.close()
        _make_nice(process.pid, orders.nice)
        try:
            async with _pipe_over(ours) as pipe:
                await pipe.send({"type": "orders", "orders": to_json(orders)})
                return await _serve(pipe, orders, encode, on_progress)
        except PipeBroken as error:
            raise RefreshFailed(f"{error}; its log says more") from error
        finally:
            process.kill()
            # Also while this task is being cancelled: a process that nobody waits for stays a
            # zombie.
            await asyncio.shield(asyncio.to_thread(process.wait))


def _make_nice(pid: int, nice: int) -> None:
    """Lets the process use what the gateway leaves over, from its first import on."""
    with suppress(OSError):  # it may have ended already
        os.setpriority(os.PRIO_PROCESS, pid, os.getpriority(os.PRIO_PROCESS, 0) + nice)
    # Where Linux shares the CPU out by session (autogroup), niceness counts within a session only:
    # without this it would take a session's whole share, whatever its own niceness.
    with suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text(f"{nice}\n", encoding="ascii")


@asynccontextmanager
async def _pipe_over(connection: socket.socket) -> AsyncIterator[GatewayPipe]:
    connection.setblocking(False)
    reader, writer = await asyncio.open_connection(sock=connection, limit=MAX_LINE_BYTES)
    try:
        yield GatewayPipe(reader, writer)
    finally:
        writer.transport.abort()


async def _serve(
    pipe: GatewayPipe,
    orders: RefreshOrders,
    encode: Encode,
    on_progress: Callable[[Stage, int, int], None],
) -> JobResult:
    while True:
        message = await pipe.receive()
        if message is None:
            raise RefreshFailed("the refresh process ended before it was done; its log says more")
        match message["type"]:
            case "progress":
                with _understood():
                    progress = Stage(message["stage"]), int(message["done"]), int(message["total"])
                on_progress(*progress)
            case "embed":
                await _embed(pipe, message, encode)
            case "built" | "unchanged":
                with _understood():
                    return _result(message, orders.root)
            case "failed":
                raise RefreshFailed(str(message.get("problem")))
            case _:
                raise PipeBroken(_NOT_UNDERSTOOD)


async def _embed(pipe: GatewayPipe, message: Message, encode: Encode) -> None:
    with _understood():
        phrases = list(message["phrases"])
    try:
        rows_PD = await encode(phrases)
    except InklingError as error:
        await pipe.send({"type": "refused", "problem": str(error)})
    else:
        await pipe.send({"type": "embedded"}, np.ascontiguousarray(rows_PD, np.float32).tobytes())


@contextmanager
def _understood() -> Iterator[None]:
    try:
        yield
    except (LookupError, TypeError, ValueError) as error:
        raise PipeBroken(_NOT_UNDERSTOOD) from error


def _result(message: Message, root: Path) -> JobResult:
    if message["type"] == "unchanged":
        return JobResult(None, message["counts"])
    return JobResult(
        root / message["draft"],
        message["counts"],
        message["added_count"],
        message["retired_count"],
    )
