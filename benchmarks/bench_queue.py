"""How long does the slowest hundredth wait if each core only does one batch after the other?

    python -m benchmarks.bench_queue                            a table; JSON as the last line
    python -m benchmarks.bench_queue --out benchmarks/results   and as files

A simulation. Pictures arrive by a Poisson process at a share of the saturating rate. A free core
takes at once what waits, first come first served, up to a number of pictures that is the best one
for the result; it needs a fixed time for the batch and a time for each picture, and nothing ever
interrupts it. It tells how much of a measured latency comes with the queue and with what a batch
costs, and what cheaper batches or more cores would give. It knows no server.
"""

import argparse
import heapq
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.report import write_report
from benchmarks.speed.estimates import poisson_schedule

# Of inkling-small on two cores of a Zen 4 (`bench_speed`): what a picture costs at saturation, and
# about what a batch of one costs beyond it (3.9), or might.
PICTURE_MS = 8.4
FIXED_MS = (0.0, 0.3, 1.0, 2.0, 3.9)
CORES = (2, 4, 8)
SHARE = 0.7
MOST_PICTURES = (1, 2, 3, 4, 8)
_ARRIVALS = 200_000
_SEED = 1


def latencies_ms(
    arrivals_ms: Sequence[float], *, cores: int, fixed_ms: float, picture_ms: float, most: int
) -> list[float]:
    """From each arrival (ascending) to the end of its batch.

    Args:
        arrivals_ms: when pictures come.
        cores: that work; each on a batch of its own.
        fixed_ms: of a batch.
        picture_ms: of each picture of a batch.
        most: pictures of a batch.
    """
    free = [0.0] * cores
    found: list[float] = []
    first = 0
    while first < len(arrivals_ms):
        start = max(heapq.heappop(free), arrivals_ms[first])
        end = first + 1
        while end < len(arrivals_ms) and end - first < most and arrivals_ms[end] <= start:
            end += 1
        done = start + fixed_ms + picture_ms * (end - first)
        found += [done - arrival for arrival in arrivals_ms[first:end]]
        heapq.heappush(free, done)
        first = end
    return found


def best(cores: int, fixed_ms: float) -> dict[str, Any]:
    """The least p99 over the sizes of batches, at `SHARE` of what the cores can do."""
    rate = SHARE * cores * 1000 / PICTURE_MS
    arrivals = [1000 * due_s for due_s in poisson_schedule(rate, _ARRIVALS / rate, _SEED)]
    rows = []
    for most in MOST_PICTURES:
        taken = latencies_ms(
            arrivals, cores=cores, fixed_ms=fixed_ms, picture_ms=PICTURE_MS, most=most
        )
        p50, p99 = np.percentile(taken, [50, 99])
        rows.append({"most": most, "p50_ms": round(p50, 1), "p99_ms": round(p99, 1)})
    found = min(rows, key=lambda row: row["p99_ms"])
    alone_ms = fixed_ms + PICTURE_MS
    over_alone = round(found["p99_ms"] / alone_ms, 1)
    return (
        {"cores": cores, "fixed_ms": fixed_ms, "alone_ms": alone_ms}
        | found
        | {"p99_over_alone": over_alone}
    )


def lines_of(results: Sequence[dict[str, Any]]) -> list[str]:
    """The report for people."""
    lines = [
        "# Latency of a simulated queue",
        "",
        f"Simulated: Poisson arrivals at {SHARE:.0%} of saturation, {PICTURE_MS} ms a picture and a"
        " fixed time a batch; batches of the best size, one after the other on each core.",
        "`python -m benchmarks.bench_queue`",
        "",
        "| cores | fixed ms | alone ms | best batch | p50 ms | p99 ms | p99 over alone |",
        "|---:|---:|---:|---:|---:|---:|---:|",
    ]
    return lines + [
        f"| {r['cores']} | {r['fixed_ms']} | {r['alone_ms']:.1f} | {r['most']} | {r['p50_ms']}"
        f" | {r['p99_ms']} | {r['p99_over_alone']} |"
        for r in results
    ]


def main(arguments: list[str] | None = None) -> None:
    """Simulates and reports."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, help="folder for the report's files")
    parsed = parser.parse_args(arguments)
    results = [best(cores, fixed_ms) for cores in CORES for fixed_ms in FIXED_MS]
    report = {"benchmark": "queue", "share": SHARE, "picture_ms": PICTURE_MS, "results": results}
    lines = lines_of(results)
    print("\n".join(lines))
    if parsed.out is not None:
        write_report(parsed.out, "queue", lines, report)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
