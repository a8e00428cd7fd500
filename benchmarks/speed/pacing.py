"""When messages are sent: closed loop (when the last is answered) or open (when it is due).

A `Send` sends one message and says what became of it. In the open loop the time of an answer counts
from when the message was *due*; were it counted from the sending, a generator that is held up would
hide the waiting. This module does not know transports.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Literal

from benchmarks.speed.estimates import poisson_schedule
from benchmarks.speed.jobs import Job, Tally

# ok, refused by the server, out of time, cancelled by us; any other word: a failure of that name.
Fate = Literal["ok", "refused", "late", "cancelled"] | str
Send = Callable[[bytes, float, bool], Awaitable[Fate]]


async def closed_loop(job: Job, messages: Sequence[bytes], send: Send, tally: Tally) -> None:
    """`job.concurrency` callers, each with one message under way."""
    start = time.perf_counter()
    end = start + job.seconds

    async def caller() -> None:
        while time.perf_counter() < end and not (job.count and tally.sent >= job.count):
            number = tally.sent
            tally.sent += 1
            before = time.perf_counter()
            cancel = bool(job.cancel_every) and number % job.cancel_every == job.cancel_every - 1
            fate = await send(messages[number % len(messages)], job.deadline_s, cancel)
            note(tally, fate, before, start, job.deadline_s)
            if fate == "refused" and job.pause_s:
                await asyncio.sleep(job.pause_s)

    await asyncio.gather(*(caller() for _ in range(job.concurrency)))


async def open_loop(job: Job, messages: Sequence[bytes], send: Send, tally: Tally) -> None:
    """Messages by a Poisson process, whatever became of the earlier ones."""
    schedule = poisson_schedule(job.rate, job.seconds, job.seed)
    under_way: set[asyncio.Task[None]] = set()
    start = time.perf_counter()

    async def one(number: int, due: float) -> None:
        # What is left of the time that the client has, who began to wait when it was due.
        left_s = max(0.001, due + job.deadline_s - time.perf_counter())
        fate = await send(messages[number % len(messages)], left_s, False)
        note(tally, fate, due, start, job.deadline_s)

    for number, due_s in enumerate(schedule):
        due = start + due_s
        wait_s = due - time.perf_counter()
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        tally.sent += 1
        tally.lags_s.append(max(0.0, time.perf_counter() - due))
        task = asyncio.create_task(one(number, due))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
        if number % 16 == 0:
            await asyncio.sleep(0)  # answers come in also while sending is behind
    while under_way:
        await asyncio.wait(under_way)


def note(tally: Tally, fate: Fate, since: float, start: float, deadline_s: float) -> None:
    """Counts what became of a message that was due (or sent) at `since`."""
    now = time.perf_counter()
    if fate == "ok" and now - since <= deadline_s:
        tally.answers.append((now - start, now - since))
    elif fate in ("ok", "late"):
        tally.late += 1
    elif fate == "refused":
        tally.refusals_s.append(now - since)
    elif fate == "cancelled":
        tally.cancelled += 1
    else:
        tally.fail(fate)
