"""Section "peers": who else does the same work on this machine, and how fast?

JPEG bytes in, tags out; the same pictures, the same ONNX file, the same tags. All servers run from
the beginning and are idle while another is measured; rounds are interleaved. A peer that is not
installed or does not start is listed with the reason, never left out in silence.
"""

import contextlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.speed.agreement import agreement
from benchmarks.speed.bare import BareLoops, machine_limit
from benchmarks.speed.bench import Bench
from benchmarks.speed.rounds import medians, summary
from benchmarks.speed.systems import PeerMissing, System, open_litserve, open_plain

CONCURRENCIES = (32, 64)


def run(bench: Bench) -> dict[str, Any]:
    """Measures; returns rates by server and way of asking."""
    plan = bench.plan
    rounds: dict[str, list[dict[str, Any]]] = defaultdict(list)
    bare_rounds: list[dict[str, float]] = []
    missing: dict[str, str] = {}
    with contextlib.ExitStack() as stack:
        gateway = stack.enter_context(bench.gateway())
        systems: list[System] = [gateway]
        for name, opener in openers(bench).items():
            try:
                systems.append(stack.enter_context(opener()))
            except PeerMissing as reason:
                missing[name] = str(reason)
        bare = BareLoops(bench.pictures(), plan.model_repository, bench.model)
        for system in systems:
            bench.warm_up(system)
        same = {s.name: agreement(bench.pictures()[:16], gateway, s) for s in systems[1:]}
        for _ in range(plan.rounds):
            bare_rounds.append(bare.rates(plan.seconds))
            measure_systems(bench, systems, rounds)
    stages = medians(bare_rounds)
    return {
        "bare": {name: round(rate, 1) for name, rate in stages.items()},
        "machine_limit": round(machine_limit(stages), 1),
        "results": {name: summary(many) for name, many in rounds.items()},
        "same_tags": same,
        "missing": missing,
    }


def openers(bench: Bench) -> dict[str, Callable[[], contextlib.AbstractContextManager[System]]]:
    """The peers by name, and how each is started. The model is known: a gateway has run."""
    log = bench.folder / "peers.log"
    return {
        "plain gRPC": lambda: open_plain(bench.model, log),
        "plain gRPC, tuned": lambda: open_plain(bench.model, log, tuned=True),
        "LitServe": lambda: open_litserve(bench.model, log),
    }


def measure_systems(
    bench: Bench,
    systems: Sequence[System],
    rounds: dict[str, list[dict[str, Any]]],
    concurrencies: Sequence[int] = CONCURRENCIES,
) -> None:
    """One round: each endpoint of each system, unary ones by the concurrencies."""
    for system in systems:
        for endpoint in system.endpoints:
            if endpoint.transport == "grpc-stream":
                rounds[endpoint.name].append(bench.measure(system, bench.job(endpoint)))
                continue
            for concurrency in concurrencies[: 1 if bench.plan.quick else None]:
                job = bench.job(endpoint, concurrency=concurrency)
                rounds[f"{endpoint.name} x{concurrency}"].append(bench.measure(system, job))


def best(results: dict[str, dict[str, Any]], *, kind: str) -> tuple[str, float]:
    """Name and rate of the fastest peer. `kind`: "any", or "x32" for unary calls with 32 at a time.

    Raises:
        LookupError: there is none.
    """
    rates = {
        name: one["rate"]
        for name, one in results.items()
        if not name.startswith("inkling ") and (kind == "any" or name.endswith(kind))
    }
    if not rates:
        raise LookupError("no peer was measured")
    name = max(rates, key=lambda key: rates[key])
    return name, rates[name]
