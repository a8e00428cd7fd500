"""The report's plots, each from the report's JSON alone, so that an old report can be drawn again.

Every plot has words that say what it shows: its caption, and its text for those who cannot see it.
A plot whose figures a report lacks is left out.
"""

from collections.abc import Callable, Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from inkling_training.evaluation.svg import (
    GRID,
    INK,
    MUTED,
    SERIES,
    Plot,
    bars,
    inline,
    panels,
    shares,
    style,
)

Report = Mapping[str, Any]
_SHOWN_N = (1, 3, 5, 10)


def draw(report: Report) -> dict[str, Plot]:
    """All plots that the report has figures for, by name."""
    made: dict[str, Plot] = {}
    with style():
        for plot in _PLOTS:
            drawn = plot(report)
            if drawn is not None:
                made[drawn.name] = drawn
    return made


def _thresholds(report: Report) -> Plot | None:
    curves = report.get("curves", {}).get("by N and threshold")
    if not curves:
        return None
    point = report["operating point"]
    figure, axes = panels(4, 11.5, 3.0)
    for panel, name in zip(axes, ("precision", "recall", "F1", "coverage"), strict=True):
        for colour, top in zip(SERIES, _tops(curves), strict=False):
            values = curves[name][curves["N"].index(top)]
            panel.plot(curves["threshold"], _gaps(values), color=colour, label=f"N = {top}")
        panel.axvline(point["min_score"], color=MUTED, linewidth=1, linestyle=":")
        panel.set_title(name)
        shares(panel, "threshold", "")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return _plot(
        figure,
        "thresholds",
        "By threshold, for the N best tags",
        "Precision, recall, F1 and coverage by threshold on the score, for at most 1, 3, 5 and 10 "
        f"tags a picture. Dotted: the recommended threshold, {point['min_score']}.",
    )


def _trade(report: Report) -> Plot | None:
    curves = report.get("curves", {}).get("by N and threshold")
    if not curves:
        return None
    point = report["operating point"]
    figure, (panel,) = panels(1, 5.2, 3.9)
    for colour, top in zip(SERIES, _tops(curves), strict=False):
        row = curves["N"].index(top)
        panel.plot(
            _gaps(curves["coverage"][row]),
            _gaps(curves["precision"][row]),
            color=colour,
            label=f"N = {top}",
        )
    told = ""
    if point["top_n"] in curves["N"] and point["min_score"] in curves["threshold"]:
        row = curves["N"].index(point["top_n"])
        column = curves["threshold"].index(point["min_score"])
        precision, coverage = curves["precision"][row][column], curves["coverage"][row][column]
        if precision is not None:
            panel.plot([coverage], [precision], "o", color=INK, markersize=6)
            told = (
                f" The dot is the operating point: precision {precision:.3f} "
                f"at coverage {coverage:.3f}."
            )
    shares(panel, "coverage: pictures with a right tag", "precision")
    panel.legend(loc="lower left")
    return _plot(
        figure,
        "trade",
        "Precision against coverage",
        f"What the threshold trades, for at most N tags a picture.{told}",
    )


def _precision_recall(report: Report) -> Plot | None:
    curves = report.get("curves", {}).get("precision and recall")
    if not curves:
        return None
    figure, (panel,) = panels(1, 5.2, 3.9)
    told = []
    for colour, (name, curve) in zip(SERIES, curves.items(), strict=False):
        panel.plot(curve["recall"], _gaps(curve["precision"]), color=colour, label=name)
        if curve["average precision"] is not None:
            told.append(f"{name} {curve['average precision']:.3f}")
    shares(panel, "recall", "precision")
    panel.legend(loc="upper right")
    return _plot(
        figure,
        "precision-recall",
        "Precision and recall of all pairs",
        "Every pair of a picture and a tag, ranked by score, with no limit of tags a picture. "
        f"Area under the curve: {'; '.join(told)}.",
    )


def _reliability(report: Report) -> Plot | None:
    found = report.get("calibration")
    if not found:
        return None
    figure, (panel,) = panels(1, 5.2, 3.9)
    panel.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=":", label="perfect")
    kinds = (("reliability", "equal widths", "o-"), (_ADAPTIVE, "equal numbers, above .05", "s--"))
    for colour, (key, label, mark) in zip(SERIES, kinds, strict=False):
        panel.plot(
            [entry["mean score"] for entry in found[key]],
            [entry["share right"] for entry in found[key]],
            mark,
            color=colour,
            label=label,
            markersize=4,
        )
    shares(panel, "mean score", "share of right tags")
    panel.legend(loc="upper left")
    return _plot(
        figure,
        "reliability",
        "Reliability",
        "Does a score of 0.7 mean seven of ten? Below the diagonal the scores promise too much. "
        f"Expected calibration error of pairs above .05: {_value(found['ECE pairs above .05'])}, "
        f"with bins of equal numbers {_value(found['adaptive ECE pairs above .05'])}.",
    )


def _histogram(report: Report) -> Plot | None:
    found = report.get("curves", {}).get("scores")
    if not found:
        return None
    figure, (panel,) = panels(1, 5.2, 3.9)
    width = 1 / len(found["from"])
    middles = [edge + width / 2 for edge in found["from"]]
    for colour, name in ((SERIES[1], "wrong"), (SERIES[0], "right")):
        panel.step(
            middles, [max(v, 0.5) for v in found[name]], where="mid", color=colour, label=name
        )
    panel.set_yscale("log")
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    panel.set_xlim(0, 1)
    panel.set_xlabel("score")
    panel.set_ylabel("pairs")
    panel.axvline(report["operating point"]["min_score"], color=MUTED, linewidth=1, linestyle=":")
    panel.legend(loc="upper right")
    return _plot(
        figure,
        "scores",
        "Scores of right and wrong pairs",
        "How many pairs of a picture and a tag have each score; the scale is logarithmic, because "
        "nearly all pairs are wrong and have scores near 0. Dotted: the recommended threshold.",
    )


def _by_source(report: Report) -> Plot | None:
    return _slice(report, "source", "by-source", "By source")


def _by_size(report: Report) -> Plot | None:
    return _slice(report, "longer side", "by-size", "By size of the picture")


def _by_tags(report: Report) -> Plot | None:
    return _slice(report, "right tags", "by-tags", "By number of right tags")


def _slice(report: Report, grouping: str, name: str, title: str) -> Plot | None:
    groups = report.get("slices", {}).get(grouping)
    if not groups:
        return None
    figures = ("mAP a picture", "precision", "coverage")
    figure, axes = panels(3, 11.5, 0.9 + 0.29 * len(groups))
    labels = [f"{group} ({found['pictures']})" for group, found in groups.items()]
    for place, (panel, key) in enumerate(zip(axes, figures, strict=True)):
        told = [found[key] for found in groups.values()]
        _interval_bars(panel, labels if place == 0 else [""] * len(labels), told)
        panel.set_title(key)
    return _plot(
        figure,
        name,
        title,
        "Mean average precision, and precision and coverage at the operating point; in brackets "
        "the number of pictures. Thin lines: 95 % intervals.",
    )


def _matching(report: Report) -> Plot | None:
    names = [n for n in report.get("headline", {}) if "R@" in n]
    if not names:
        return None
    figure, (panel,) = panels(1, 5.2, 0.9 + 0.3 * len(names))
    labels = [name.replace("->", " → ") for name in names]
    _interval_bars(panel, labels, [report["headline"][name] for name in names])
    found = report.get("retrieval", {})
    return _plot(
        figure,
        "retrieval",
        "Captions and pictures find each other",
        f"Share of queries whose right answer is among the first K, of {found.get('pictures')} "
        f"pictures and {found.get('captions')} captions. Thin lines: 95 % intervals.",
    )


def _classes(report: Report) -> Plot | None:
    accuracy, clusters = report.get("class accuracy"), report.get("clustering", {})
    if not accuracy:
        return None
    figure, axes = panels(2, 11.5, 0.9 + 0.29 * len(accuracy))
    nothing: list[float | None] = [None] * len(accuracy)
    labels = [f"{name} ({part['classes']})" for name, part in accuracy.items()]
    top1 = [part["top1"] for part in accuracy.values()]
    bars(axes[0], labels, top1, nothing, nothing)
    axes[0].set_title("top-1 by class name")
    precision = [clusters.get(name, {}).get("mAP") or 0.0 for name in accuracy]
    bars(axes[1], [""] * len(labels), precision, nothing, nothing, SERIES[2])
    axes[1].set_title("mAP of look-alikes")
    return _plot(
        figure,
        "classes",
        "Classes",
        "Left: among the class names of its source, the one nearest to a picture is its own. "
        "Right: pictures of one class are nearer to each other than to the rest. In brackets the "
        "number of classes.",
    )


def _nested(report: Report) -> Plot | None:
    found = report.get("nested dimensions")
    if not found or len(found) < 2:
        return None
    figure, (panel,) = panels(1, 5.2, 3.9)
    sizes = sorted(int(size) for size in found)
    wanted = ("mAP a picture", "class top-1, mean of parts", "text->image R@5", "precision")
    names = [name for name in wanted if name in found[str(sizes[0])]]
    for colour, name in zip(SERIES, names, strict=False):
        values = [found[str(size)][name] for size in sizes]
        panel.plot(sizes, _gaps(values), "o-", color=colour, label=name, markersize=4)
    panel.set_xscale("log", base=2)
    panel.set_xticks(sizes, [str(size) for size in sizes])
    panel.minorticks_off()
    panel.set_xlabel("dimensions kept")
    panel.set_ylim(0, 1.02)
    panel.legend(loc="lower right")
    return _plot(
        figure,
        "nested",
        "Fewer dimensions",
        "Figures when only the first dimensions of each embedding are kept (calibrated for all).",
    )


_ADAPTIVE = "reliability, adaptive, above .05"
_PLOTS: tuple[Callable[[Report], Plot | None], ...] = (
    _thresholds,
    _trade,
    _precision_recall,
    _reliability,
    _histogram,
    _by_source,
    _by_size,
    _by_tags,
    _matching,
    _classes,
    _nested,
)


def _tops(curves: Mapping[str, Any]) -> list[int]:
    return [top for top in _SHOWN_N if top in curves["N"]]


def _gaps(values: list[float | None]) -> list[float]:
    return [float("nan") if value is None else value for value in values]


def _interval_bars(panel: Axes, labels: list[str], figures: list[Mapping[str, Any]]) -> None:
    bars(
        panel,
        labels,
        [figure["value"] or 0.0 for figure in figures],
        [figure["low"] for figure in figures],
        [figure["high"] for figure in figures],
    )
    panel.tick_params(axis="x", colors=MUTED)
    panel.spines["left"].set_color(GRID)


def _value(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _plot(figure: Any, name: str, title: str, says: str) -> Plot:
    return Plot(name, title, says, inline(figure, name, f"{title}. {says}"))
