"""The report's plots as PNG files. It measures nothing.

matplotlib's Agg canvas is used directly, so that nothing depends on a display.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, StrMethodFormatter

# So that a line does not cross a number.
_BEHIND = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}
_UNITS = {"goodput": "pictures/s", "server_cpu_ms_per_picture": "server CPU ms a picture"}
_OURS, _THEIRS, _LIMIT, _BAD = "#1f6f8b", "#b0b7bd", "#c44536", "#e09f3e"


def draw(document: dict[str, Any], out: Path, stem: str) -> list[str]:
    """Draws what the sections allow; returns the names of the files."""
    out.mkdir(parents=True, exist_ok=True)
    drawn = []
    for name, (section, plot) in _PLOTS.items():
        found = document["sections"].get(section)
        if not found:
            continue
        figure = plot(found)
        FigureCanvasAgg(figure)
        file = f"{stem}-{name}.png"
        figure.savefig(out / file, dpi=110)
        drawn.append(file)
    return drawn


def _figure(width: float = 7.5, height: float = 4.2, columns: int = 1) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(1, columns, squeeze=False)[0]
    for one in axes:
        one.spines[["top", "right"]].set_visible(False)
    return figure, list(axes)


def _plain_numbers(axes: Axes) -> None:
    """Ticks of a logarithmic y axis as 20 and not as 2 x 10^1."""
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_formatter(StrMethodFormatter("{x:g}"))


def _throughput(found: dict[str, Any]) -> Figure:
    ordered = sorted(found["results"].items(), key=lambda pair: pair[1]["rate"])
    figure, (axes,) = _figure(height=0.9 + 0.36 * len(ordered))
    names = [name for name, _ in ordered]
    rates = [one["rate"] for _, one in ordered]
    errors = [one["rate"] * one["spread"] for _, one in ordered]
    colours = [_OURS if name.startswith("inkling") else _THEIRS for name in names]
    bars = axes.barh(names, rates, xerr=errors, color=colours, ecolor="#555555", capsize=2)
    axes.bar_label(bars, [f"{rate:.0f}" for rate in rates], padding=6, bbox=_BEHIND)
    if found.get("machine_limit"):
        axes.axvline(found["machine_limit"], color=_LIMIT, linestyle="--")
        label = f"limit of the machine: {found['machine_limit']:.0f}"
        axes.set_title(label, color=_LIMIT, fontsize=10, loc="right")
    axes.set_xlabel("pictures/s")
    axes.set_xlim(0, max([*rates, found.get("machine_limit") or 0]) * 1.12)
    return figure


def _latency(found: dict[str, Any]) -> Figure:
    figure, (axes,) = _figure()
    points = [one for one in found["load"] if one["latency_ms"]]
    x = [one["offered_rate"] for one in points]
    for quantile, colour in (("p50", _OURS), ("p99", _LIMIT)):
        axes.plot(
            x, [one["latency_ms"][quantile] for one in points], "o-", color=colour, label=quantile
        )
    bound = 5 * found["unloaded_p50_ms"]
    axes.axhline(bound, color="#777777", linestyle=":", label="5 x unloaded p50")
    axes.axvline(found["saturating_rate"], color=_THEIRS, linestyle="--", label="saturation")
    axes.set_xlabel("offered load, pictures/s (Poisson arrivals)")
    axes.set_ylabel("latency from the scheduled arrival, ms")
    axes.set_yscale("log")
    axes.set_xlim(left=0)
    _plain_numbers(axes)
    axes.legend(frameon=False)
    return figure


def _goodput(found: dict[str, Any]) -> Figure:
    figure, (axes,) = _figure()
    points = [*found["load"], *found["overload"]]
    x = [one["offered_rate"] for one in points]
    axes.plot(x, [one["goodput"] for one in points], "o-", color=_OURS, label="answered in time")
    for share, colour in (("refused_share", _BAD), ("late_share", _LIMIT)):
        rates = [one[share] * one["offered_rate"] for one in points]
        axes.plot(x, rates, ".--", color=colour, label=share.removesuffix("_share"))
    used = [one["client_share_of_machine"] * found["saturating_rate"] for one in points]
    axes.plot(
        x, used, ":", color="#777777", label="generator's share of the machine, as pictures/s"
    )
    axes.axvline(found["saturating_rate"], color=_THEIRS, linestyle="--", label="saturation")
    axes.set_xlabel("offered load, pictures/s (Poisson arrivals, no retries)")
    axes.set_ylabel("pictures/s")
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, fontsize=9)
    return figure


def _scaling(found: dict[str, Any]) -> Figure:
    names = ("clients", "size", "batch")
    figure, all_axes = _figure(width=11, columns=len(names))
    labels = {"clients": "clients", "size": "bytes of a file", "batch": "batch at most"}
    for name, axes in zip(names, all_axes, strict=True):
        one = found[name]
        points = [p for p in one["points"] if p[one["of"]]]
        x = [p["x"] for p in points]
        axes.plot(x, [p[one["of"]] for p in points], "o-", color=_OURS)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel(labels[name])
        axes.set_ylabel(_UNITS.get(one["of"], one["of"]))
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        _plain_numbers(axes)
        if one["fit"]:
            axes.set_title(
                f"exponent {one['fit']['exponent']:.2f} (r2 {one['fit']['r2']:.2f})", fontsize=10
            )
    return figure


def _memory(found: dict[str, Any]) -> Figure:
    figure, (axes,) = _figure()
    roles = list(found["growth"])
    for role in roles:
        points = [s for s in found["samples"] if role in s["memory"]]
        y = [s["memory"][role]["rss_mib"] for s in points]
        axes.plot([s["requests"] for s in points], y, ".-", label=role)
    axes.set_xlabel("requests")
    axes.set_ylabel("resident set, MiB")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    return figure


_PLOTS: dict[str, tuple[str, Callable[[dict[str, Any]], Figure]]] = {
    "throughput": ("peers", _throughput),
    "vit": ("vit", _throughput),
    "latency": ("open", _latency),
    "goodput": ("open", _goodput),
    "scaling": ("scaling", _scaling),
    "memory": ("memory", _memory),
}
