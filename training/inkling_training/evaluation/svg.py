"""Matplotlib figures as inline SVG that follows the page: its fonts, its colours, light or dark.

A figure is drawn in marker colours; in the SVG each of them becomes a CSS variable of the page.
Text stays text, so that it can be read aloud, searched and copied. No pyplot, so no global state.
It knows no figures of merit.
"""

import io
import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from html import escape
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Marker colour -> CSS variable of the page.
INK, MUTED, GRID = "#0a0b01", "#0a0b02", "#0a0b03"
SERIES = ("#0a0b11", "#0a0b12", "#0a0b13", "#0a0b14", "#0a0b15")
_VARIABLES = {INK: "--ink", MUTED: "--muted", GRID: "--rule"} | {
    colour: f"--series-{number}" for number, colour in enumerate(SERIES, 1)
}
_STYLE: Any = {
    "text.parse_math": False,  # a phrase may hold dollars
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9.5,
    "text.color": INK,
    "axes.edgecolor": GRID,
    "axes.labelcolor": MUTED,
    "axes.titlecolor": INK,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.8,
}


@dataclass(frozen=True, slots=True)
class Plot:
    """One drawn figure.

    Attributes:
        name: for links, unique on the page.
        title: above it.
        says: what it shows, in words: caption and alternative text.
        svg: the drawing.
    """

    name: str
    title: str
    says: str
    svg: str


def panels(columns: int, width: float, height: float, rows: int = 1) -> tuple[Figure, list[Axes]]:
    """A figure in the page's style and its panels in reading order; sizes in inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    return figure, [panel for row in axes for panel in row]


def style() -> AbstractContextManager[None]:
    """The page's style: everything is drawn and written within it."""
    return mpl.rc_context(_STYLE)


def shares(panel: Axes, x: str | None = None, y: str | None = None) -> None:
    """Both axes (those that are named) show shares from 0 to 1."""
    if x is not None:
        panel.set_xlim(0, 1.005)
        panel.set_xlabel(x)
    if y is not None:
        panel.set_ylim(0, 1.02)
        panel.set_ylabel(y)


def bars(
    panel: Axes,
    names: Sequence[str],
    values: Sequence[float],
    lows: Sequence[float | None],
    highs: Sequence[float | None],
    colour: str = SERIES[0],
) -> None:
    """Horizontal bars of shares, the first one on top, with intervals where they are known."""
    places = list(range(len(names)))
    panel.barh(places, values, height=0.62, color=colour)
    for place, value, low, high in zip(places, values, lows, highs, strict=True):
        if low is not None and high is not None:
            panel.plot([max(low, 0), min(high, 1)], [place, place], color=INK, linewidth=1.2)
        end = max(value, high or 0)
        panel.text(min(end, 1) + 0.015, place, f"{value:.2f}", va="center", fontsize=8.5)
    panel.set_yticks(places, names)
    panel.set_ylim(len(names) - 0.4, -0.6)
    panel.set_xlim(0, 1.1)
    panel.grid(visible=False, axis="y")


def inline(figure: Figure, name: str, says: str) -> str:
    """The figure as one `<svg>` element without fixed colours, fonts, sizes or links.

    Args:
        figure: drawn in the colours above.
        name: starts every id, so that several figures fit on one page.
        says: the alternative text.
    """
    out = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": name}):
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    text = out.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", text, flags=re.DOTALL)
    text = re.sub(r'id="([^"]+)"', rf'id="{name}-\1"', text)
    text = re.sub(r'(href="#|url\(#)', rf"\1{name}-", text)
    text = text.replace("xlink:href", "href")
    text = re.sub(r"font: (?:(\w+) )?([\d.]+px)[^;\"]*", _font, text)
    text = re.sub(r" ?font-family: [^;\"]*;?", "", text)
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, f"var({variable})")
    view = re.search(r'viewBox="[^"]*"', text)
    assert view, "matplotlib writes a viewBox"
    head = f'<svg role="img" aria-label="{escape(says, quote=True)}" {view[0]}>'
    return re.sub(r"<svg[^>]*>", lambda _: head, text, count=1)


def _font(found: re.Match[str]) -> str:
    weight = f"; font-weight: {found[1]}" if found[1] else ""
    return f"font-size: {found[2]}{weight}"
