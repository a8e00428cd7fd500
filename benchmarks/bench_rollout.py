"""What do pictures notice of models that are rolled out while they are tagged?

    python -m benchmarks.bench_rollout                            a table, JSON as last line
    python -m benchmarks.bench_rollout --out benchmarks/results   and both as files

A real server (real Triton) on loopback, with a new data folder and two versions of the model that
ships: version 2 has version 1's embeddings in another space (turned by an orthogonal matrix) and
another calibration. First one full TagStream shows what the machine can do; then a TagStream sends
at half of that rate (or at `--rate`), open loop: a picture is due when it is due, and its latency
counts from then. After a while without rollouts ("before"), rollouts go back and forth ("during"),
with a pause after each ("between": tells what else was going on on the machine meanwhile). Server,
Triton, both models and the client share the cores.

Failed: error replies, missing answers, a broken stream. Mixed: an answer that the model that it
names does not give when it serves alone; an embedding of one model held against the other's tags is
noise here, so it could not hide. Memory is the resident set of the server and of all that it has
started.
"""

import argparse
import asyncio
import json
import shutil
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
from tests.model_versions import add_version, copy_repository
from tests.refresh_load import StreamLoad, capacity
from tests.rollout_client import RolloutClient, Scores
from tests.rollout_load import mixed
from tests.server_process import ServerProcess

_PAUSE_S = 6.0
# Of a pause: until what a rollout held up has been answered.
_SETTLE_S = 2.0
_MODELS = Path(__file__).resolve().parents[1] / "model_repository"
Window = tuple[float, float]


async def measure(
    rollout_count: int, before_s: float, rate: float, flags: list[str]
) -> dict[str, Any]:
    """Runs load and rollouts; returns the report."""
    pictures = make_pictures(16)
    with tempfile.TemporaryDirectory(prefix="inkling-rollout-") as folder:
        repository = copy_repository(_MODELS, Path(folder) / "models")
        own = [f"--model-repository={repository}", *flags]
        data_dir = Path(folder) / "data"
        with ServerProcess(data_dir, *own) as server:
            await asyncio.to_thread(server.wait_serving)
            # Only now: the first start takes the greatest version.
            await asyncio.to_thread(add_version, repository, 2, "rotated", bias_change=-1.0)
            await capacity(server.address, pictures, 2.0)  # warm up
            limit = await capacity(server.address, pictures, 6.0)
            load = StreamLoad(server.address, pictures, rate or limit / 2)
            measured = await _load_and_roll_out(server, load, rollout_count, before_s)
        shutil.rmtree(data_dir, ignore_errors=True)
        return {
            "question": "what do pictures notice of models that are rolled out meanwhile?",
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "hardware": hardware(),
            "flags": flags,
            "capacity_per_s": round(limit, 1),
            "rate_per_s": round(load.rate, 1),
            **measured,
        }


async def _load_and_roll_out(
    server: ServerProcess, load: StreamLoad, rollout_count: int, before_s: float
) -> dict[str, Any]:
    client = RolloutClient(server.channel)
    expected = {client.status().model_version: _alone(client, load.pictures)}
    stop = asyncio.Event()
    running = asyncio.create_task(load.run(stop))
    await asyncio.sleep(3)  # until the stream is steady
    before = (time.monotonic(), time.monotonic() + before_s)
    await asyncio.sleep(before_s)
    memory_mib = [_memory_mib(server)]
    peaks_mib: list[float] = []
    windows: list[Window] = []
    pauses: list[Window] = []
    report: Any = None
    for number in range(rollout_count):
        start = time.monotonic()
        deploying = asyncio.create_task(asyncio.to_thread(client.deploy, 2 - number % 2))
        peak = 0.0
        while not deploying.done():
            peak = max(peak, _memory_mib(server))
            await asyncio.wait({deploying}, timeout=0.5)
        response = await deploying
        windows.append((start, time.monotonic()))
        report = report or response.report
        await asyncio.sleep(_SETTLE_S)
        pauses.append((time.monotonic(), time.monotonic() + _PAUSE_S - _SETTLE_S))
        await asyncio.sleep(_PAUSE_S - _SETTLE_S)
        peaks_mib.append(peak)
        memory_mib.append(_memory_mib(server))
        print(
            f"rollout {number + 1}: {windows[-1][1] - start:.1f} s to {response.model_version},"
            f" {peak:.0f} MiB, then {memory_mib[-1]:.0f} MiB",
            flush=True,
        )
    stop.set()
    await running
    expected[client.status().model_version] = _alone(client, load.pictures)
    for version in (1, 2):
        if len(expected) < 2:
            client.deploy(version)
            expected[client.status().model_version] = _alone(client, load.pictures)
    problems = mixed(
        ((a.picture, a.model, {tag[0]: tag[2] for tag in a.tags}) for a in load.answers), expected
    )
    calm, busy, between = (load.latencies_s(w) for w in ([before], windows, pauses))
    return {
        "sent": load.sent,
        "failed": len(load.failures),
        "failures": sorted(set(load.failures))[:10],
        "mixed": len(problems),
        "mixed_examples": problems[:10],
        "models_seen": len({answer.model for answer in load.answers}),
        "before": _quantiles(calm),
        "during": _quantiles(busy),
        "between": _quantiles(between),
        "p99_ratio": round(float(np.quantile(busy, 0.99) / np.quantile(calm, 0.99)), 2),
        "p99_ratio_to_between": round(
            float(np.quantile(busy, 0.99) / np.quantile(between, 0.99)), 2
        ),
        "rollout_s": [round(end - start, 2) for start, end in windows],
        "p99_ms_of_each": [_quantiles(load.latencies_s([w]))["p99_ms"] for w in windows],
        "memory_mib": [round(mib, 1) for mib in memory_mib],
        "peak_memory_mib": [round(mib, 1) for mib in peaks_mib],
        "first_report": {
            "tag_overlap": round(report.tag_overlap, 3),
            "top1_kept": round(report.top1_kept, 3),
            "live_count": report.live_count,
            "old_p50_ms": round(report.old_p50_ms, 1),
            "new_p50_ms": round(report.new_p50_ms, 1),
        },
    }


def _alone(client: RolloutClient, pictures: Any) -> dict[int, Scores]:
    """What the model that serves now says of each picture."""
    return {number: client.tag(picture)[1] for number, picture in enumerate(pictures)}


def _memory_mib(server: ServerProcess) -> float:
    """Of the server and of everything that it has started."""
    total = 0
    for process in [psutil.Process(server.process.pid), *server.family()]:
        try:
            total += process.memory_info().rss
        except psutil.Error:  # it has ended
            continue
    return total / 2**20


def _quantiles(latencies_s: list[float]) -> dict[str, Any]:
    ms = np.array(latencies_s) * 1000
    values = {f"p{q}_ms": round(float(np.quantile(ms, q / 100)), 1) for q in (50, 90, 99)}
    return {"count": len(ms), **values, "max_ms": round(float(ms.max()), 1)}


def as_markdown(report: dict[str, Any]) -> list[str]:
    """The report for people."""
    lines = [
        f"# {report['question'].capitalize()}",
        "",
        f"{report['time'][:10]}, {report['hardware']}. One TagStream, {report['rate_per_s']} "
        f"pictures/s (a full one reaches {report['capacity_per_s']}); "
        f"{len(report['rollout_s'])} rollouts, back and forth between two versions.",
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
    first = report["first_report"]
    return [
        *lines,
        "",
        f"p99 during / before: {report['p99_ratio']}; during / between: "
        f"{report['p99_ratio_to_between']}. Failed: {report['failed']} of {report['sent']}. "
        f"Answers that mix models: {report['mixed']}. Models seen: {report['models_seen']}.",
        "",
        f"Seconds of each rollout: {', '.join(map(str, report['rollout_s']))}.",
        "",
        "Memory in MiB of the server and all that it has started, before and after each rollout: "
        f"{', '.join(f'{mib:.0f}' for mib in report['memory_mib'])}; the most during each: "
        f"{', '.join(f'{mib:.0f}' for mib in report['peak_memory_mib'])}.",
        "",
        f"Canary of the first one: tag overlap {first['tag_overlap']}, old best tag among the new "
        f"best 5 {first['top1_kept']:.0%}, {first['live_count']} recent pictures, encoding p50 "
        f"{first['old_p50_ms']} and {first['new_p50_ms']} ms.",
    ]


def main() -> None:
    """Measures, prints, and writes the files where asked to."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rollouts", type=int, default=6)
    parser.add_argument("--before", type=float, default=30.0, help="seconds without a rollout")
    parser.add_argument("--rate", type=float, default=0.0, help="pictures/s; 0: half of the limit")
    parser.add_argument("--flag", action="append", default=[], help="of the server, repeatable")
    parser.add_argument("--out", type=Path, help="folder for the result files")
    arguments = parser.parse_args()
    report = uvloop.run(
        measure(arguments.rollouts, arguments.before, arguments.rate, arguments.flag)
    )
    lines = as_markdown(report)
    if arguments.out:
        write_report(arguments.out, "rollout", lines, report)
    print("\n".join(lines))
    print(json.dumps(report))


if __name__ == "__main__":
    main()
