"""Ratios that say how well the server does on any machine, and whether they have become worse.

Absolute rates depend on the machine and on what else it does; ratios of things measured in the same
rounds depend on the code. Each has a direction and a tolerance that follows from the spread of its
rounds. Pure maths: it measures nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from benchmarks.speed.bare import machine_limit
from benchmarks.speed.estimates import relative_spread

# Rounds of one run lie nearer together than runs of two days do.
_WIDENING = 1.5
_LEAST_TOLERANCE, _MOST_TOLERANCE = 0.10, 0.35
HIGHER_IS_WORSE = frozenset({"gateway CPU / bare CPU"})


@dataclass(frozen=True, slots=True)
class Ratio:
    """`value`: the median of the rounds. `tolerance`: share by which it may be worse."""

    value: float
    tolerance: float

    def to_dict(self) -> dict[str, float]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Verdict:
    """One ratio held against the committed one. `committed` None: there is none yet."""

    name: str
    measured: float
    committed: Ratio | None
    bound: float | None
    regressed: bool


def ratios_of_round(
    bare: Mapping[str, float], results: Mapping[str, Mapping[str, Any]]
) -> dict[str, float]:
    """The ratios of one round.

    Args:
        bare: rates of the bare loops.
        results: what `Bench.measure` says, by endpoint (and concurrency).

    Raises:
        ValueError: somebody answered nothing: the machine is too busy to compare anything.
    """
    if silent := [name for name, one in results.items() if not one["rate"]]:
        raise ValueError(f"no answers from {silent}; allowed: an idle machine, longer measurements")
    stream, unary = results["inkling TagStream"], results["inkling Tag x32"]
    plain_stream, plain_unary = results["plain gRPC TagStream"], results["plain gRPC Tag x32"]
    return {
        "TagStream / machine limit": stream["rate"] / machine_limit(dict(bare)),
        "Tag x32 / machine limit": unary["rate"] / machine_limit(dict(bare)),
        "TagStream / plain gRPC": stream["rate"] / plain_stream["rate"],
        "Tag x32 / plain gRPC": unary["rate"] / plain_unary["rate"],
        "encode / ONNX Runtime fp32": bare["encode"] / bare["encode_fp32"],
        "gateway CPU / bare CPU": stream["server_cpu_ms_per_picture"] / bare["cpu_ms_per_picture"],
    }


def joined(rounds: Sequence[Mapping[str, float]]) -> dict[str, Ratio]:
    """Medians, with tolerances from the spread.

    Raises:
        ValueError: no rounds.
    """
    if not rounds:
        raise ValueError("no rounds; allowed: at least one")
    found = {}
    for name in rounds[0]:
        values = [one[name] for one in rounds]
        found[name] = Ratio(round(median(values), 4), tolerance_for(values))
    return found


def tolerance_for(values: Sequence[float]) -> float:
    """One and a half times the spread of the rounds, within 10 % and 35 %."""
    wide = _WIDENING * relative_spread(values)
    return round(min(max(wide, _LEAST_TOLERANCE), _MOST_TOLERANCE), 3)


def compare(measured: Mapping[str, Ratio], committed: Mapping[str, Ratio]) -> list[Verdict]:
    """One verdict for each ratio that was measured or is committed; a lost one has regressed."""
    verdicts = []
    for name in dict.fromkeys([*committed, *measured]):
        known, now = committed.get(name), measured.get(name)
        if now is None:
            verdicts.append(Verdict(name, float("nan"), known, None, regressed=True))
        elif known is None:
            verdicts.append(Verdict(name, now.value, None, None, regressed=False))
        elif name in HIGHER_IS_WORSE:
            bound = known.value * (1 + known.tolerance)
            verdicts.append(Verdict(name, now.value, known, bound, regressed=now.value > bound))
        else:
            bound = known.value * (1 - known.tolerance)
            # Written so that NaN regresses, too.
            verdicts.append(
                Verdict(name, now.value, known, bound, regressed=not now.value >= bound)
            )
    return verdicts
