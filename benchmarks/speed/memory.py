"""Section "memory": how much memory do gateway and Triton take, and does it grow with requests?

Sampled when idle, and after every 5,000 requests of mixed kinds: TagStream in which every sixteenth
picture is broken, and unary calls of which every tenth is cancelled under way. What the first fifth
adds is warming up (pools, arenas, caches); the slope is fitted to the rest.
"""

from collections.abc import Sequence
from dataclasses import asdict
from itertools import cycle, islice
from typing import Any

from benchmarks.speed import process_tree
from benchmarks.speed.bench import Bench
from benchmarks.speed.estimates import fit_slope
from benchmarks.speed.systems import Gateway

STEP = 5_000
_EARLY = 10_000
_WARM_UP_SHARE = 0.2
_STREAM_SHARE = 0.8
_BROKEN_EVERY = 16
_CANCEL_EVERY = 10
_LONGEST_S = 3_600.0
_MIXED = "mixed"
# Helpers come and go.
_LASTING = ("gateway", "triton", "stub", "database")


def run(bench: Bench) -> dict[str, Any]:
    """Measures; returns samples, and the growth of each role."""
    step = 200 if bench.plan.quick else STEP
    bench.add_pictures(_MIXED, with_broken(bench.pictures()))
    samples: list[dict[str, Any]] = []
    counts: dict[str, int] = {}
    with bench.gateway() as gateway:
        samples.append(_sample(gateway, 0))
        done = 0
        while done < bench.plan.requests:
            for outcome in _mixed_load(bench, gateway, step):
                done += outcome["sent"]
                for what in ("ok", "refused", "late", "cancelled"):
                    counts[what] = counts.get(what, 0) + outcome[what]
                for what, count in outcome["failed"].items():
                    counts[what] = counts.get(what, 0) + count
            samples.append(_sample(gateway, done))
    return {
        "requests": done,
        "counts": counts,
        "samples": samples,
        "idle": samples[0]["memory"],
        "early": next((s for s in samples if s["requests"] >= _EARLY), samples[-1]),
        "last": samples[-1]["memory"],
        "growth": {
            role: growth(samples, role) for role in _LASTING if role in samples[0]["memory"]
        },
    }


def with_broken(pictures: Sequence[bytes]) -> list[bytes]:
    """The pictures in turn, every sixteenth cut off after a third."""
    return [
        picture[: len(picture) // 3] if place % _BROKEN_EVERY == _BROKEN_EVERY - 1 else picture
        for place, picture in enumerate(islice(cycle(pictures), max(len(pictures), _BROKEN_EVERY)))
    ]


def growth(samples: Sequence[dict[str, Any]], role: str) -> dict[str, Any] | None:
    """Slope of a role's resident set after warming up, in MiB per 100,000 requests; None: too few.

    `half_width` is that of its 95 % interval.
    """
    warm = samples[int(len(samples) * _WARM_UP_SHARE) :]
    if len(warm) < 3 or any(role not in sample["memory"] for sample in warm):
        return None
    line = fit_slope(
        [sample["requests"] / 100_000 for sample in warm],
        [sample["memory"][role]["rss_mib"] for sample in warm],
    )
    return {
        "mib_per_100k": round(line.slope, 3),
        "half_width": round(line.half_width, 3),
        "from_mib": warm[0]["memory"][role]["rss_mib"],
        "to_mib": warm[-1]["memory"][role]["rss_mib"],
    }


def _mixed_load(bench: Bench, gateway: Gateway, step: int) -> list[dict[str, Any]]:
    stream, tag = gateway.endpoints
    streamed = int(step * _STREAM_SHARE)
    jobs = (
        bench.job(stream, size=_MIXED, seconds=_LONGEST_S, count=streamed, in_turn=True),
        bench.job(
            tag,
            seconds=_LONGEST_S,
            count=step - streamed,
            cancel_every=_CANCEL_EVERY,
            connections=4,
        ),
    )
    return [bench.measure(gateway, job) for job in jobs]


def _sample(gateway: Gateway, requests: int) -> dict[str, Any]:
    used = process_tree.memory(gateway.pid)
    return {"requests": requests, "memory": {role: asdict(m) for role, m in used.items()}}
