"""What the results must reach, each with its measured and its needed value. Pure rules.

A criterion whose section was not run is left out.
"""

from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.speed.peers import best

_SATURATED = 0.7
_OVERLOADED = 3.0
_GROWTH_MIB = 8.0


@dataclass(frozen=True, slots=True)
class Criterion:
    """`needed` is a bound: at least, or at most where `at_most`."""

    name: str
    measured: float
    needed: float
    at_most: bool = False
    note: str = ""

    @property
    def met(self) -> bool:
        if self.at_most:
            return self.measured <= self.needed
        return self.measured >= self.needed

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"met": self.met}


def judge(sections: dict[str, Any]) -> list[Criterion]:
    """All criteria that these sections can answer."""
    judges = {"gateway": _gateway, "peers": _peers, "open": _open, "memory": _memory, "vit": _vit}
    return [c for name, of in judges.items() if name in sections for c in of(sections[name])]


def _gateway(found: dict[str, Any]) -> list[Criterion]:
    share = found["results"]["TagStream"]["of_machine"]
    return [Criterion("TagStream over the limit of the machine", share, 0.85)]


def _peers(found: dict[str, Any]) -> list[Criterion]:
    results = found["results"]
    criteria = []
    for kind, ours, needed in (("any", "inkling TagStream", 2.0), ("x32", "inkling Tag x32", 1.5)):
        try:
            name, rate = best(results, kind=kind)
        except LookupError:
            continue
        ratio = round(results[ours]["rate"] / rate, 3)
        criteria.append(
            Criterion(
                f"{ours.removeprefix('inkling ')} over the best peer", ratio, needed, note=name
            )
        )
    return criteria


def _open(found: dict[str, Any]) -> list[Criterion]:
    criteria = []
    at = next((one for one in found["load"] if one["share"] == _SATURATED), None)
    if at is not None and at["latency_ms"]:
        ratio = round(at["latency_ms"]["p99"] / found["unloaded_p50_ms"], 2)
        name = "p99 at 70 % of saturation over the unloaded p50"
        criteria.append(Criterion(name, ratio, 5.0, at_most=True))
    over = next((one for one in found["overload"] if one["share"] == _OVERLOADED), None)
    if over is not None:
        points = [*found["load"], *found["overload"]]
        peak = max(one["goodput"] for one in points)
        name = "goodput at 3 times saturation over its peak"
        criteria.append(Criterion(name, round(over["goodput"] / max(peak, 1e-9), 3), 0.9))
    return criteria


def _memory(found: dict[str, Any]) -> list[Criterion]:
    grown = found["growth"].get("gateway")
    criteria = [
        Criterion(
            "memory of a gateway process, MiB",
            found["last"]["gateway"]["greatest_mib"],
            400,
            at_most=True,
        )
    ]
    if grown is not None:
        # What 200,000 requests would add.
        added = round(2 * grown["mib_per_100k"], 2)
        note = f"95 %: +- {2 * grown['half_width']:.2f}"
        name = "growth of the gateway over 200,000 requests, MiB"
        criteria.append(Criterion(name, added, _GROWTH_MIB, at_most=True, note=note))
    return criteria


def _vit(found: dict[str, Any]) -> list[Criterion]:
    criteria = []
    results, bare = found["results"], found["bare"]
    if "inkling TagStream" in results and bare:
        share = results["inkling TagStream"]["rate"] / bare["encode"]
        name = "ViT-B/32: TagStream over the encoder alone"
        criteria.append(Criterion(name, round(share, 3), 0.9))
        try:
            peer, rate = best(results, kind="any")
        except LookupError:
            return criteria
        ratio = round(results["inkling TagStream"]["rate"] / rate, 3)
        criteria.append(Criterion("ViT-B/32: TagStream over the best peer", ratio, 3.0, note=peer))
    return criteria
