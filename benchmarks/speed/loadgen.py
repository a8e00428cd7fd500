"""The load generator: a process of its own that sends prepared bytes and says what came of them.

    python -m benchmarks.speed.loadgen      reads Jobs from stdin and writes Outcomes, a line each

It shares the processors with the server that it loads, so it is lean: messages are serialised
beforehand, replies stay bytes, the event loop is uvloop; and it says how much processor time it
took. What the messages mean, and which server answers, it does not know.
"""

import asyncio
import gc
import resource
import sys
import time
from pathlib import Path

import uvloop

from benchmarks.speed.estimates import quantiles_ms
from benchmarks.speed.jobs import Job, Outcome, Tally, read_messages
from benchmarks.speed.loadgen_grpc import stream_load, unary_channels
from benchmarks.speed.loadgen_http import http_connections
from benchmarks.speed.loadgen_lean import lean_connections
from benchmarks.speed.pacing import closed_loop, open_loop

_UNARY = {"grpc-unary": unary_channels, "grpc-lean": lean_connections, "http": http_connections}


def main() -> None:
    """Serves jobs until stdin ends."""
    uvloop.run(_serve())


async def _serve() -> None:
    kept: dict[str, list[bytes]] = {}
    while line := await asyncio.to_thread(sys.stdin.readline):
        job = Job.from_line(line)
        if job.messages not in kept:
            kept = {job.messages: await asyncio.to_thread(read_messages, Path(job.messages))}
        outcome = await run_job(job, kept[job.messages])
        print(json_line(outcome), flush=True)


async def run_job(job: Job, messages: list[bytes]) -> Outcome:
    """Does one job.

    Raises:
        ConnectionError: the server cannot be reached.
    """
    gc.collect()
    gc.freeze()
    gc.disable()
    tally = Tally()
    used = _cpu_s()
    start = time.perf_counter()
    if job.transport == "grpc-stream":
        await stream_load(job, messages, tally)
    else:
        async with _UNARY[job.transport](job) as send:
            start = time.perf_counter()
            used = _cpu_s()
            await (open_loop if job.rate else closed_loop)(job, messages, send, tally)
    wall_s = time.perf_counter() - start
    return _outcome(job, tally, wall_s, _cpu_s() - used)


def _outcome(job: Job, tally: Tally, wall_s: float, cpu_s: float) -> Outcome:
    last_s = max((came for came, _ in tally.answers), default=wall_s)
    if job.rate:
        # Offered by the clock: answers between ramp and end, without the drain of the backlog.
        ramp_s = min(job.ramp_s, job.seconds / 2)
        counted = sum(ramp_s < came <= job.seconds for came, _ in tally.answers)
        rate = counted / (job.seconds - ramp_s)
    else:
        # All work over all the time that it took: fair to slow servers, too, whose first answers
        # come when a fast one has long been in its stride.
        rate = len(tally.answers) / max(last_s, 1e-9)
    return Outcome(
        rate=round(rate, 2),
        sent=tally.sent,
        ok=len(tally.answers),
        refused=len(tally.refusals_s),
        late=tally.late,
        cancelled=tally.cancelled,
        failed=tally.failed,
        wall_s=round(wall_s, 3),
        cpu_s=round(cpu_s, 3),
        latency_ms=quantiles_ms([latency for _, latency in tally.answers]),
        refusal_ms=quantiles_ms(tally.refusals_s),
        lag_ms=quantiles_ms(tally.lags_s),
    )


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def json_line(outcome: Outcome) -> str:
    """One line for the process that asked."""
    import json

    return json.dumps(outcome.to_dict())


if __name__ == "__main__":
    main()
