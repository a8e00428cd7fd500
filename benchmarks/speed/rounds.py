"""Rounds of one measurement to one summary. Pure maths; it does not know what was measured."""

from collections.abc import Sequence
from statistics import median
from typing import Any

from benchmarks.speed.estimates import relative_spread

_MEDIANS = ("server_cpu_ms_per_picture", "client_cpu_ms_per_request", "client_share_of_machine")
_SUMS = ("sent", "ok", "refused", "late", "cancelled")


def summary(rounds: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Medians of `Bench.measure`'s rates, latencies and costs, sums of its counts, and the rounds.

    Raises:
        ValueError: no rounds.
    """
    if not rounds:
        raise ValueError("no rounds; allowed: at least one")
    rates = [one["rate"] for one in rounds]
    found: dict[str, Any] = {
        "rate": round(median(rates), 2),
        "spread": round(relative_spread(rates), 4),
        "latency_ms": _median_of(rounds, "latency_ms"),
    }
    for name in _MEDIANS:
        found[name] = round(median(one[name] for one in rounds), 4)
    for name in _SUMS:
        found[name] = sum(one[name] for one in rounds)
    failed: dict[str, int] = {}
    for one in rounds:
        for what, count in one["failed"].items():
            failed[what] = failed.get(what, 0) + count
    return found | {"failed": failed, "rounds": list(rounds)}


def medians(rounds: Sequence[dict[str, float]]) -> dict[str, float]:
    """The median of each name."""
    return {name: median(one[name] for one in rounds) for name in rounds[0]}


def _median_of(rounds: Sequence[dict[str, Any]], name: str) -> dict[str, float]:
    keys = set.intersection(*(set(one[name]) for one in rounds))
    return {key: round(median(one[name][key] for one in rounds), 3) for key in sorted(keys)}
