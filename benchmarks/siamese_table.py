"""How bench_siamese's report reads: a table, whether the paper's order holds, bars.

It measures nothing.
"""

import statistics
from pathlib import Path
from typing import Any

LENGTH_ONE = ", length 1"
_RANDOM, _SIFT = "random", "SIFT bag of words"


def _mean(values: list[float]) -> float:
    return statistics.fmean(values)


def _spread(values: list[float]) -> float:
    return statistics.stdev(values) if len(values) > 1 else 0.0


def _cell(values: list[float] | None) -> str:
    if not values:
        return "-"
    return f"{_mean(values):.3f}" + (f" ± {_spread(values):.3f}" if len(values) > 1 else "")


def shape(rows: dict[str, dict[str, list[float]]]) -> dict[str, dict[str, Any]]:
    """Whether hybrid >= each of its halves > SIFT > random, by mean mAP, for each hybrid."""
    maps = {row: _mean(found["mAP"]) for row, found in rows.items()}
    answers = {}
    for row in maps:
        if not row.startswith("hybrid"):
            continue
        network, _, halves = row.partition(": ")[2].partition(", ")
        halves_alone = [f"{network}, {half}" for half in halves.split(" + ")]
        singles = [one for half in halves_alone for one in (half, half + LENGTH_ONE) if one in maps]
        lead = [
            hybrid - max(single)
            for hybrid, *single in zip(
                rows[row]["mAP"], *(rows[single]["mAP"] for single in singles), strict=True
            )
        ]
        answers[row] = {
            "hybrid >= singles": maps[row] >= max(maps[single] for single in singles),
            "singles > SIFT": min(maps[single] for single in singles) > maps[_SIFT],
            "SIFT > random": maps[_SIFT] > maps[_RANDOM],
            "lead over the better half, each seed": [round(one, 4) for one in lead],
        }
    return answers


def table(report: dict[str, Any]) -> list[str]:
    """Markdown."""
    lines = [
        f"# Clustering quality of siamese networks, on {report['hardware']}, {report['date']}",
        "",
        f"{report['threads']} thread, {report['cpu_s']} s of CPU time; "
        + ", ".join(f"{name} {version}" for name, version in report["versions"].items())
        + f"; tower: {report['tower'] or 'none'}.",
    ]
    for name, found in report["sets"].items():
        lines += [
            "",
            f"## {name}: {found['classes']} classes, {found['train']} pictures to train on, "
            f"{found['val']} to evaluate on",
            "",
            f"AlexNet-style: {found['budget']['size']} pixels, {found['budget']['width']} of the "
            f"channels, {found['budget']['epochs']} epochs, warm {found['budget']['warm_epochs']}. "
            f"Mean ± standard deviation of {found['budget']['seeds']} seeds.",
            "",
            "| row | mAP | purity | NMI |",
            "|---|---|---|---|",
        ]
        for row, values in found["rows"].items():
            cells = " | ".join(_cell(values.get(figure)) for figure in ("mAP", "purity", "NMI"))
            lines.append(f"| {row} | {cells} |")
        lines.append("")
        for row, answer in found["shape"].items():
            said = ", ".join(
                f"{claim}: {'yes' if held else 'NO'}"
                for claim, held in answer.items()
                if isinstance(held, bool)
            )
            lead = answer["lead over the better half, each seed"]
            lines.append(f"- {row}: {said}; lead over the better half by seed: {lead}")
        lines += ["", f"Chosen on the fold: {_chosen(found['chosen'])}."]
    return lines


def _chosen(chosen: dict[str, Any]) -> str:
    """Settings without the tried ones' scores, which the JSON has."""
    said = []
    for part, values in chosen.items():
        for key, value in values.items():
            if isinstance(value, dict) and "margin" in value:
                said.append(f"{part} {key}: margin {value['margin']}, weight {value['weight']}")
            elif not isinstance(value, dict):
                said.append(f"{part}: {key} {value}")
    return "; ".join(said)


def bars(report: dict[str, Any], path: Path) -> None:
    """One panel a set: mean mAP of each row, whiskers of one standard deviation."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    sets = report["sets"]
    figure, panels = pyplot.subplots(
        1, len(sets), figsize=(6.5 * len(sets), 5), squeeze=False, sharey=True, layout="constrained"
    )
    for panel, (name, found) in zip(panels[0], sets.items(), strict=True):
        rows = list(found["rows"])[::-1]
        maps = [found["rows"][row]["mAP"] for row in rows]
        colours = ["#2a78b5" if row.startswith("hybrid") else "#9aa5b1" for row in rows]
        panel.barh(
            rows, [_mean(one) for one in maps], xerr=[_spread(one) for one in maps], color=colours
        )
        for place, one in enumerate(maps):
            panel.text(_mean(one) + _spread(one) + 0.01, place, f"{_mean(one):.3f}", va="center")
        panel.set_xlim(0, 1.2)
        panel.set_title(f"{name} ({found['classes']} classes)")
        panel.set_xlabel("mAP")
        panel.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
