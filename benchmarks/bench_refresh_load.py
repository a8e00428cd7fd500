"""What do pictures notice of refreshes that run while they are tagged?

    python -m benchmarks.bench_refresh_load                            a table, JSON as last line
    python -m benchmarks.bench_refresh_load --out benchmarks/results   and both as files

A real server (real Triton) on loopback, with a new data folder. First one full TagStream shows what
the machine can do; then a TagStream sends at half of that rate (or at `--rate`), open loop: a
picture is due when it is due, and its latency counts from then. After a while without refreshes
("before"), ten refreshes run one after the other ("during"), each with posts about something new,
with a pause after each ("between": tells what else was going on on the machine meanwhile). Server,
refresh process, Triton and client share the cores.

Failed: error replies, missing answers, a broken stream. Mixed: an answer with a tag that its
version does not have, or with another score than the same picture had by the same version. Memory
is the gateway's resident set after each refresh.
"""

import argparse
import asyncio
import json
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import uvloop

from benchmarks.report import hardware, write_report
from benchmarks.speed.pictures import make_pictures
from tests.refresh_client import NEW_SUBJECTS, RefreshClient
from tests.refresh_content import posts, write_posts
from tests.refresh_load import StreamLoad, capacity
from tests.server_process import ServerProcess

_POSTS = 30
_PAUSE_S = 6.0
# Of a pause: until what a refresh held up has been answered.
_SETTLE_S = 2.0
Window = tuple[float, float]


async def measure(
    refresh_count: int, before_s: float, rate: float, flags: list[str]
) -> dict[str, Any]:
    """Runs load and refreshes; returns the report."""
    pictures = make_pictures(16)
    with tempfile.TemporaryDirectory(prefix="inkling-load-") as folder:
        content = Path(folder) / "content"
        # All versions stay, so that what they hold can be asked for when the load is over.
        keep = f"--graph-keep-count={refresh_count + 2}"
        own = [f"--content-dir={content}", keep, *flags]
        with ServerProcess(Path(folder) / "data", *own) as server:
            await asyncio.to_thread(server.wait_serving)
            await capacity(server.address, pictures, 2.0)  # warm up
            limit = await capacity(server.address, pictures, 6.0)
            load = StreamLoad(server.address, pictures, rate or limit / 2)
            return {
                "question": "what do pictures notice of refreshes that run meanwhile?",
                "time": datetime.now(UTC).isoformat(timespec="seconds"),
                "hardware": hardware(),
                "flags": flags,
                "capacity_per_s": round(limit, 1),
                "rate_per_s": round(load.rate, 1),
                **await _load_and_refresh(server, content, load, refresh_count, before_s),
            }


async def _load_and_refresh(
    server: ServerProcess, content: Path, load: StreamLoad, refresh_count: int, before_s: float
) -> dict[str, Any]:
    client = RefreshClient(server.channel)
    gateway = psutil.Process(server.process.pid)
    stop = asyncio.Event()
    running = asyncio.create_task(load.run(stop))
    versions = [await asyncio.to_thread(client.version)]
    await asyncio.sleep(3)  # until the stream is steady
    before = (time.monotonic(), time.monotonic() + before_s)
    await asyncio.sleep(before_s)
    memory_mib = [gateway.memory_info().rss / 2**20]
    windows: list[Window] = []
    pauses: list[Window] = []
    for number, subject in enumerate(NEW_SUBJECTS[:refresh_count]):
        write_posts(content, "feed", posts(subject, _POSTS, seed=number))
        start = time.monotonic()
        response = await asyncio.to_thread(client.refresh)
        windows.append((start, time.monotonic()))
        versions.append(response.graph_version)
        await asyncio.sleep(_SETTLE_S)
        pauses.append((time.monotonic(), time.monotonic() + _PAUSE_S - _SETTLE_S))
        await asyncio.sleep(_PAUSE_S - _SETTLE_S)
        memory_mib.append(gateway.memory_info().rss / 2**20)
        print(
            f"refresh {number + 1}: {windows[-1][1] - start:.1f} s, +{response.added_count},"
            f" gateway {memory_mib[-1]:.0f} MiB",
            flush=True,
        )
    stop.set()
    await running
    interests = {version: client.interests(version) for version in versions}
    mixed = load.mixed(interests)
    calm, busy, between = (load.latencies_s(w) for w in ([before], windows, pauses))
    return {
        "interests": len(interests[versions[-1]]),
        "sent": load.sent,
        "failed": len(load.failures),
        "failures": sorted(set(load.failures))[:10],
        "mixed": len(mixed),
        "mixed_examples": mixed[:10],
        "versions_seen": len({answer.version for answer in load.answers}),
        "before": _quantiles(calm),
        "during": _quantiles(busy),
        "between": _quantiles(between),
        "p99_ratio": round(float(np.quantile(busy, 0.99) / np.quantile(calm, 0.99)), 2),
        "p99_ratio_to_between": round(
            float(np.quantile(busy, 0.99) / np.quantile(between, 0.99)), 2
        ),
        "refresh_s": [round(end - start, 2) for start, end in windows],
        "p99_ms_of_each": [_quantiles(load.latencies_s([w]))["p99_ms"] for w in windows],
        "memory_mib": [round(mib, 1) for mib in memory_mib],
        "max_ms_of_each_tenth": _worst_moments(load, windows),
    }


def _quantiles(latencies_s: list[float]) -> dict[str, Any]:
    ms = np.array(latencies_s) * 1000
    values = {f"p{q}_ms": round(float(np.quantile(ms, q / 100)), 1) for q in (50, 90, 99)}
    return {"count": len(ms), **values, "max_ms": round(float(ms.max()), 1)}


def _worst_moments(load: StreamLoad, windows: list[Window]) -> list[float]:
    """Milliseconds of the slowest answer in each tenth of a refresh, over all refreshes."""
    worst = [0.0] * 10
    for start, end in windows:
        for answer in load.answers:
            if start <= answer.due_s < end:
                tenth = int(10 * (answer.due_s - start) / (end - start))
                worst[tenth] = max(worst[tenth], round(answer.latency_s * 1000, 1))
    return worst


def as_markdown(report: dict[str, Any]) -> list[str]:
    """The report for people."""
    memory = report["memory_mib"]
    lines = [
        f"# {report['question'].capitalize()}",
        "",
        f"{report['time'][:10]}, {report['hardware']}. One TagStream, {report['rate_per_s']} "
        f"pictures/s (a full one reaches {report['capacity_per_s']}); {report['interests']} "
        f"interests; {len(report['refresh_s'])} refreshes in a row.",
        "",
        "| | pictures | p50 ms | p90 ms | p99 ms | max ms |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name in ("before", "during", "between"):
        r = report[name]
        lines.append(
            f"| {name} | {r['count']} | {r['p50_ms']} | {r['p90_ms']} | {r['p99_ms']} |"
            f" {r['max_ms']} |"
        )
    return [
        *lines,
        "",
        f"p99 during / before: {report['p99_ratio']}; during / between: "
        f"{report['p99_ratio_to_between']}. Failed: {report['failed']} of "
        f"{report['sent']}. Answers that mix versions: {report['mixed']}. Versions seen: "
        f"{report['versions_seen']}.",
        "",
        f"Seconds of each refresh: {', '.join(map(str, report['refresh_s']))}.",
        "",
        "Gateway's memory in MiB, before and after each refresh: "
        f"{', '.join(f'{mib:.0f}' for mib in memory)}.",
    ]


def main() -> None:
    """Measures, prints, and writes the files where asked to."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--refreshes", type=int, default=10, help=f"at most {len(NEW_SUBJECTS)}")
    parser.add_argument("--before", type=float, default=40.0, help="seconds without a refresh")
    parser.add_argument("--rate", type=float, default=0.0, help="pictures/s; 0: half of the limit")
    parser.add_argument("--flag", action="append", default=[], help="of the server, repeatable")
    parser.add_argument("--out", type=Path, help="folder for the result files")
    arguments = parser.parse_args()
    report = uvloop.run(
        measure(arguments.refreshes, arguments.before, arguments.rate, arguments.flag)
    )
    lines = as_markdown(report)
    if arguments.out:
        write_report(arguments.out, "refresh-load", lines, report)
    print("\n".join(lines))
    print(json.dumps(report))


if __name__ == "__main__":
    main()
