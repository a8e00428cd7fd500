"""Section "gateway": how fast is the gateway, and how near to the limit of the machine?

TagStream, and Tag with 1 to 64 calls at a time, on 640 x 480 JPEGs; then both over files of 10 KB
to 4 MB. Rounds are interleaved with the bare loops, so that a slow minute of the machine hits all.
"""

from collections import defaultdict
from typing import Any

from benchmarks.speed.bare import BareLoops, machine_limit
from benchmarks.speed.bench import Bench
from benchmarks.speed.pictures import SIZES
from benchmarks.speed.rounds import medians, summary

CONCURRENCIES = (1, 2, 4, 8, 16, 32, 64)
# More at a time than this holds hundreds of megabytes, and does not make big files faster.
_SIZED_CONCURRENCY = 16


def run(bench: Bench) -> dict[str, Any]:
    """Measures; returns limits, results by name, and by size."""
    plan = bench.plan
    concurrencies = (1, 8) if plan.quick else CONCURRENCIES
    rounds: dict[str, list[dict[str, Any]]] = defaultdict(list)
    bare_rounds: list[dict[str, float]] = []
    with bench.gateway() as gateway:
        stream, tag = gateway.endpoints
        bare = BareLoops(bench.pictures(), plan.model_repository, bench.model)
        for _ in range(plan.rounds):
            bare_rounds.append(bare.rates(plan.seconds))
            rounds["TagStream"].append(bench.measure(gateway, bench.job(stream)))
            for concurrency in concurrencies:
                job = bench.job(tag, concurrency=concurrency)
                rounds[f"Tag x{concurrency}"].append(bench.measure(gateway, job))
        sizes = {}
        for size in SIZES[1:3] if plan.quick else SIZES:
            sizes[size.name] = _of_size(bench, gateway, bare, size.name)
    stages = medians(bare_rounds)
    limit = machine_limit(stages)
    return {
        "bare": {name: round(rate, 1) for name, rate in stages.items()},
        "bare_rounds": bare_rounds,
        "encoder": bare.runtime,
        "machine_limit": round(limit, 1),
        "results": {
            name: summary(many) | {"of_machine": round(summary(many)["rate"] / limit, 3)}
            for name, many in rounds.items()
        },
        "sizes": {name: _sized(one, stages) for name, one in sizes.items()},
    }


def _of_size(bench: Bench, gateway: Any, bare: BareLoops, size: str) -> dict[str, Any]:
    stream, tag = gateway.endpoints
    pictures = bench.pictures(size)
    found: dict[str, Any] = {
        "bytes": sum(map(len, pictures)) // len(pictures),
        "bare_decode": bare.decode_rate(pictures, bench.plan.seconds / 4),
    }
    for name, endpoint in (("TagStream", stream), ("Tag", tag)):
        job = bench.job(endpoint, size=size, concurrency=_SIZED_CONCURRENCY)
        found[name] = summary([bench.measure(gateway, job)])
    return found


def _sized(found: dict[str, Any], stages: dict[str, float]) -> dict[str, Any]:
    limit = machine_limit(stages | {"decode": found["bare_decode"]})
    return found | {"machine_limit": round(limit, 1), "bare_decode": round(found["bare_decode"], 1)}
