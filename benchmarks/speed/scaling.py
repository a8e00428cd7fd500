"""Section "scaling": how do rate, waiting and cost grow with clients, picture size and batch size?

Each curve gets an exponent: y ~ x ** exponent, fitted to the logarithms. Clients are unary callers
with one call each, who wait 0.1 s after a refusal; up to 64 of them share no connection. How the
cost grows with the number of tags is asked by `benchmarks.bench_search`; `curve` fits its points,
too.
"""

from collections.abc import Sequence
from typing import Any

from benchmarks.speed.bench import Bench
from benchmarks.speed.estimates import fit_power
from benchmarks.speed.pictures import SIZES
from benchmarks.speed.systems import Gateway

CLIENTS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
BATCHES = (1, 2, 4, 8, 16, 32)
_MOST_CONNECTIONS = 64
_PAUSE_S = 0.1
_SIZED_CONCURRENCY = 16


def run(bench: Bench) -> dict[str, Any]:
    """Measures; returns points and fits of each curve."""
    quick = bench.plan.quick
    with bench.gateway() as gateway:
        clients = [_clients(bench, gateway, n) for n in (CLIENTS[::5] if quick else CLIENTS)]
        sizes = [_size(bench, gateway, s.name) for s in (SIZES[:2] if quick else SIZES)]
    batches = [_batch(bench, n) for n in (BATCHES[::5] if quick else BATCHES)]
    busy = [one for one in clients if one["x"] >= clients[len(clients) // 2]["x"]]
    return {
        "clients": curve(clients, "goodput") | {"waiting": _fit(busy, "p50_ms")},
        "size": curve(sizes, "server_cpu_ms_per_picture"),
        "batch": curve(batches, "goodput"),
    }


def curve(points: Sequence[dict[str, Any]], of: str) -> dict[str, Any]:
    """Points (each with its "x") and the power law of one of their values."""
    return {"points": list(points), "of": of, "fit": _fit(points, of)}


def _fit(points: Sequence[dict[str, Any]], of: str) -> dict[str, float] | None:
    usable = [(one["x"], one[of]) for one in points if one[of] and one[of] > 0]
    if len(usable) < 2:
        return None
    power = fit_power([x for x, _ in usable], [y for _, y in usable])
    return {"exponent": round(power.exponent, 3), "factor": power.factor, "r2": round(power.r2, 3)}


def _point(x: float, measured: dict[str, Any]) -> dict[str, Any]:
    return {
        "x": x,
        "goodput": measured["rate"],
        "p50_ms": measured["latency_ms"].get("p50"),
        "p99_ms": measured["latency_ms"].get("p99"),
        "server_cpu_ms_per_picture": measured["server_cpu_ms_per_picture"],
        "refused": measured["refused"],
        "client_share_of_machine": measured["client_share_of_machine"],
        "failed": measured["failed"],
    }


def _clients(bench: Bench, gateway: Gateway, count: int) -> dict[str, Any]:
    _, tag = gateway.endpoints
    job = bench.job(
        tag, concurrency=count, connections=min(count, _MOST_CONNECTIONS), pause_s=_PAUSE_S
    )
    return _point(count, bench.measure(gateway, job))


def _size(bench: Bench, gateway: Gateway, size: str) -> dict[str, Any]:
    _, tag = gateway.endpoints
    pictures = bench.pictures(size)
    job = bench.job(tag, size=size, concurrency=_SIZED_CONCURRENCY)
    return _point(sum(map(len, pictures)) / len(pictures), bench.measure(gateway, job))


def _batch(bench: Bench, most: int) -> dict[str, Any]:
    with bench.gateway(f"--max-batch-count={most}") as gateway:
        stream, _ = gateway.endpoints
        return _point(most, bench.measure(gateway, bench.job(stream)))
