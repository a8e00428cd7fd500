"""The load generator's gRPC: bytes in, bytes out.

Requests and replies pass as they are (no serialisers). RESOURCE_EXHAUSTED is a refusal,
DEADLINE_EXCEEDED an answer out of time. It does not parse replies but for a stream's names.
"""

import asyncio
import contextlib
import itertools
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from typing import Any

import grpc

from benchmarks.speed.jobs import Job, Tally, parse_stream_reply
from benchmarks.speed.pacing import Fate, Send, note

_OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # Channels of one address share a connection otherwise.
    ("grpc.use_local_subchannel_pool", 1),
]
_CANCEL_AFTER_S = 0.005
_READY_TIMEOUT_S = 20.0


@contextlib.asynccontextmanager
async def unary_channels(job: Job) -> AsyncIterator[Send]:
    """Opens the connections; yields what sends over each in turn."""
    async with contextlib.AsyncExitStack() as stack:
        channels = [
            await stack.enter_async_context(grpc.aio.insecure_channel(job.address, _OPTIONS))
            for _ in range(job.connections)
        ]
        for channel in channels:
            await asyncio.wait_for(channel.channel_ready(), _READY_TIMEOUT_S)
        stubs: list[Any] = [channel.unary_unary(job.method) for channel in channels]
        calls = itertools.cycle(stubs)

        async def send(message: bytes, timeout_s: float, cancel: bool) -> Fate:
            call = next(calls)(message, timeout=timeout_s)
            if cancel:
                asyncio.get_running_loop().call_later(_CANCEL_AFTER_S, call.cancel)
            try:
                await call
            except grpc.aio.AioRpcError as error:
                if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
                    return "refused"
                return (
                    "late"
                    if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
                    else str(error.code().name)
                )
            except asyncio.CancelledError:
                if not cancel:
                    raise
                return "cancelled"
            return "ok"

        yield send


async def stream_load(job: Job, messages: Sequence[bytes], tally: Tally) -> None:
    """Closed loop over streams: each of the messages is sent again when it has been answered.

    The messages are shared out over `job.connections` streams; `job.concurrency` are under way in
    all, so there must be at least so many.

    Raises:
        ValueError: fewer messages than `job.concurrency`.
    """
    if len(messages) < job.concurrency:
        raise ValueError(f"{len(messages)} messages; allowed: at least {job.concurrency}")
    start = time.perf_counter()
    shares = [range(first, job.concurrency, job.connections) for first in range(job.connections)]
    await asyncio.gather(*(_one_stream(job, messages, share, start, tally) for share in shares))


async def _one_stream(
    job: Job, messages: Sequence[bytes], names: Sequence[int], start: float, tally: Tally
) -> None:
    end = start + job.seconds
    free: deque[int] = deque(names)
    wake = asyncio.Event()
    sent_at = [0.0] * job.concurrency
    async with grpc.aio.insecure_channel(job.address, _OPTIONS) as channel:
        await asyncio.wait_for(channel.channel_ready(), _READY_TIMEOUT_S)
        call: Any = channel.stream_stream(job.method)()

        async def write() -> None:
            turn = 0
            while time.perf_counter() < end and not (job.count and tally.sent >= job.count):
                if not free or (job.in_turn and names[turn % len(names)] not in free):
                    wake.clear()
                    await wake.wait()
                    continue
                if job.in_turn:
                    name = names[turn % len(names)]
                    free.remove(name)
                else:
                    name = free.popleft()
                turn += 1
                tally.sent += 1
                sent_at[name] = time.perf_counter()
                await call.write(messages[name])
            await call.done_writing()

        writing = asyncio.create_task(write())
        try:
            while (reply := await call.read()) is not grpc.aio.EOF:
                name, good = parse_stream_reply(reply)
                note(tally, "ok" if good else "error reply", sent_at[name], start, job.deadline_s)
                free.append(name)
                wake.set()
            status = await call.code()
            if status is not grpc.StatusCode.OK:
                tally.fail(f"stream: {status.name}")
        except grpc.aio.AioRpcError as error:
            tally.fail(f"stream: {error.code().name}")
        finally:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
