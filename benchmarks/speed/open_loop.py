"""Section "open": how long do pictures wait that come by themselves, and what if too many do?

    saturating rate (closed loop) ─► Poisson arrivals at 10 to 90 % of it: p50, p99
                                  └► at 1 to 3 times of it: goodput, refusals, late ones

Arrivals are fixed beforehand, and a picture's time counts from when it was due. Nobody retries. The
generator shares the processors, so it is the lean one (`loadgen_lean`), and what it took is stated
with every rate.
"""

from dataclasses import replace
from statistics import median
from typing import Any

from benchmarks.speed.bench import Bench
from benchmarks.speed.systems import Endpoint, Gateway

SHARES = (0.1, 0.3, 0.5, 0.7, 0.9)
MULTIPLES = (1.0, 1.5, 2.0, 3.0)
DEADLINE_S = 1.0
# Clients have connections of their own; one would be a bottleneck that none of them has.
CONNECTIONS = 4
# So many arrivals at least, for a p99 that is more than the slowest answer.
_LEAST_ARRIVALS = 400
_LONGEST_S = 20.0


def run(bench: Bench) -> dict[str, Any]:
    """Measures; returns both curves and what they are relative to."""
    plan = bench.plan
    with bench.gateway() as gateway:
        tag = replace(gateway.endpoints[1], transport="grpc-lean")
        alone = [bench.measure(gateway, bench.job(tag, concurrency=1)) for _ in range(plan.rounds)]
        full = [
            bench.measure(gateway, bench.job(tag, concurrency=c, connections=CONNECTIONS))["rate"]
            for _ in range(plan.rounds)
            for c in ((32,) if plan.quick else (32, 64))
        ]
        half = len(full) // plan.rounds
        saturating = max(median(full[kind::half]) for kind in range(half))
        shares = (0.7,) if plan.quick else SHARES
        multiples = (3.0,) if plan.quick else MULTIPLES
        load = [_at(bench, gateway, tag, saturating, share) for share in shares]
        overload = [_at(bench, gateway, tag, saturating, multiple) for multiple in multiples]
    return {
        "saturating_rate": round(saturating, 1),
        "unloaded_p50_ms": median(one["latency_ms"]["p50"] for one in alone),
        "unloaded": alone,
        "deadline_s": DEADLINE_S,
        "load": load,
        "overload": overload,
    }


def _at(
    bench: Bench, gateway: Gateway, tag: Endpoint, saturating: float, share: float
) -> dict[str, Any]:
    """One rate, in rounds with other arrivals each; the medians."""
    plan, rate = bench.plan, saturating * share
    seconds = plan.seconds if plan.quick else min(_LONGEST_S, max(8.0, _LEAST_ARRIVALS / rate))
    rounds = []
    for number in range(1 if plan.quick else max(1, plan.rounds - 1)):
        job = bench.job(
            tag,
            rate=rate,
            seconds=seconds,
            seed=1000 + number,
            deadline_s=DEADLINE_S,
            connections=CONNECTIONS,
        )
        rounds.append(bench.measure(gateway, job))
    return {
        "share": share,
        "offered_rate": round(rate, 1),
        "goodput": median(one["rate"] for one in rounds),
        "latency_ms": _medians(rounds, "latency_ms"),
        "refusal_ms": _medians(rounds, "refusal_ms"),
        "lag_ms": _medians(rounds, "lag_ms"),
        "ok_share": _share(rounds, "ok"),
        "refused_share": _share(rounds, "refused"),
        "late_share": _share(rounds, "late"),
        "failed": [one["failed"] for one in rounds if one["failed"]],
        "client_share_of_machine": median(one["client_share_of_machine"] for one in rounds),
        "rounds": rounds,
    }


def _medians(rounds: list[dict[str, Any]], name: str) -> dict[str, float]:
    keys = set.intersection(*(set(one[name]) for one in rounds))
    return {key: median(one[name][key] for one in rounds) for key in sorted(keys)}


def _share(rounds: list[dict[str, Any]], what: str) -> float:
    sent: int = sum(one["sent"] for one in rounds)
    came: int = sum(one[what] for one in rounds)
    return round(came / max(sent, 1), 4)
