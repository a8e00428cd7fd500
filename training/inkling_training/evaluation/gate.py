"""Is this report worse than the one before? A table for people, an exit code for machines.

    previous report ─┐
                     ├─► same data, same graph? ─no─► refused (exit 2)
    this report ─────┘            │yes
                                  ▼
                 each headline figure: better, same, worse, missing, new
                                  │ any worse or missing
                                  ▼
                                exit 1

A figure is better or worse when it moved by more than its tolerance (`headline`) and, where both
reports hold numbers for each picture, when the 95 % interval of the paired difference excludes 0:
otherwise the pictures that were drawn could explain it, and it is the same. Every figure is judged
for itself: of twenty figures that did not change, one may still seem to have, which the tolerance
makes rarer. Many small steps down pass one by one, so compare with the last release, not with
yesterday.

This module knows reports as JSON only: no model, no data.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from inkling_training.evaluation.bootstrap import Interval, draws, paired
from inkling_training.evaluation.headline import HEADLINE, HeadlineFigure, ratios_of, value_of

Verdict = Literal["better", "same", "worse", "missing", "new"]
PASSED, WORSE, REFUSED = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Difference:
    """One figure in both reports.

    Attributes:
        figure: what it is.
        before, now: its values, None where a report lacks it.
        change: `now` - `before`, with its interval if it could be paired.
        verdict: see the module.
    """

    figure: HeadlineFigure
    before: float | None
    now: float | None
    change: float | None
    around: Interval | None
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two reports side by side.

    Attributes:
        before, now: what the reports call their models.
        obstacles: why the figures may not be comparable; empty if they are.
        notes: what moved besides, and matters for reading.
        differences: in the order of the headline, figures that neither report has left out.
    """

    before: str
    now: str
    obstacles: tuple[str, ...]
    notes: tuple[str, ...]
    differences: tuple[Difference, ...]

    def exit_code(self, *, allow_other_data: bool = False) -> int:
        """0: nothing is worse. 1: something is. 2: not comparable."""
        if self.obstacles and not allow_other_data:
            return REFUSED
        lost = any(difference.verdict in ("worse", "missing") for difference in self.differences)
        return WORSE if lost else PASSED


def compare(before: Mapping[str, Any], now: Mapping[str, Any]) -> Comparison:
    """Judges every headline figure that either report has."""
    told_before, told_now = ratios_of(before), ratios_of(now)
    differences = []
    for figure in HEADLINE:
        old, new = value_of(before, figure), value_of(now, figure)
        if old is None and new is None:
            continue
        around = None
        if figure.name in told_before and figure.name in told_now:
            (old_keys, old_ratio), (new_keys, new_ratio) = (
                told_before[figure.name],
                told_now[figure.name],
            )
            if old_keys == new_keys:
                around = paired(old_ratio, new_ratio, draws(len(old_ratio.upper_B)))
        change = None if old is None or new is None else new - old
        verdict = _verdict(figure, old, new, around)
        differences.append(Difference(figure, old, new, change, around, verdict))
    return Comparison(
        str(before.get("model")),
        str(now.get("model")),
        tuple(_obstacles(before, now)),
        tuple(_notes(before, now)),
        tuple(differences),
    )


def _verdict(
    figure: HeadlineFigure, before: float | None, now: float | None, around: Interval | None
) -> Verdict:
    if before is None:
        return "new"
    if now is None:
        return "missing"
    gain = now - before if figure.better == "higher" else before - now
    tolerance = figure.tolerance * (abs(before) if figure.relative else 1)
    if abs(gain) <= tolerance + 1e-12:
        return "same"
    if around is not None and around.low <= 0 <= around.high:
        return "same"
    return "better" if gain > 0 else "worse"


def _obstacles(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    found = []
    old, new = (report.get("data", {}).get("fingerprint") for report in (before, now))
    if old is None or new is None:
        found.append("a report does not name its data: it is older than the data's fingerprint")
    elif old != new:
        found.append(f"the data changed: {old} before, {new} now")
    else:
        rules = [report.get("data", {}).get("gold") for report in (before, now)]
        if before.get("graph") == now.get("graph") and rules[0] != rules[1]:
            found.append(f"what counts as right changed: {rules[0]} before, {rules[1]} now")
    if before.get("graph") != now.get("graph"):
        found.append(f"the graph changed: {before.get('graph')} before, {now.get('graph')} now")
    halves = [report.get("settings", {}).get("pictures") for report in (before, now)]
    if halves[0] != halves[1] and None not in halves:
        found.append(f"other pictures were judged: {halves[0]} before, {halves[1]} now")
    return found


def _notes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    points = [report.get("operating point", {}) for report in (before, now)]
    shown = [f"{p.get('top_n')} tags above {p.get('min_score')}" for p in points]
    if shown[0] == shown[1]:
        return []
    return [
        f"the operating point moved from {shown[0]} to {shown[1]}: "
        "that trades precision for coverage"
    ]


def as_text(comparison: Comparison) -> str:
    """The table for a terminal."""
    lines = [f"before: {comparison.before}", f"now:    {comparison.now}"]
    lines += [f"NOT COMPARABLE: {obstacle}" for obstacle in comparison.obstacles]
    lines += [f"note: {note}" for note in comparison.notes]
    lines.append(
        f"{'figure':<30} {'before':>8} {'now':>8} {'change':>9}  {'95 % interval':<20} verdict"
    )
    for row in comparison.differences:
        around = f"{row.around.low:+.4f} to {row.around.high:+.4f}" if row.around else "-"
        lines.append(
            f"{row.figure.name:<30} {_number(row.before):>8} {_number(row.now):>8} "
            f"{_number(row.change, '+'):>9}  {around:<20} {row.verdict}"
        )
    counts = dict.fromkeys(("better", "same", "worse", "missing", "new"), 0)
    for row in comparison.differences:
        counts[row.verdict] += 1
    lines.append(", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count))
    return "\n".join(lines)


def as_json(comparison: Comparison) -> dict[str, Any]:
    """The comparison as part of a report."""
    return {
        "before": comparison.before,
        "obstacles": list(comparison.obstacles),
        "notes": list(comparison.notes),
        "figures": {
            row.figure.name: {
                "before": row.before,
                "now": row.now,
                "change": row.change,
                "low": row.around.low if row.around else None,
                "high": row.around.high if row.around else None,
                "verdict": row.verdict,
            }
            for row in comparison.differences
        },
    }


def _number(value: float | None, sign: Sequence[str] = "") -> str:
    return "-" if value is None else f"{value:{sign}.4f}"
