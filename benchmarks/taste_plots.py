"""Pictures of bench_taste's report: eCDF, MRR curves, what beta does, a map of embeddings.

It measures nothing.

Legend: N pictures.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.taste_pictures import Pictures

COLOURS = {
    "visual profile": "#1f6fb2",
    "mean embedding": "#7fb2dd",
    "text, PV-DM": "#c8553d",
    "text, TF-IDF": "#e8a87c",
    "random": "#8a949e",
}
_DASHED = ("mean embedding", "text, TF-IDF")
_PARTS = ("#1f6fb2", "#c8553d", "#d9a400", "#3a923a", "#7b5ba6", "#444444")


def _pyplot() -> Any:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    return pyplot


def _save(figure: Any, path: Path, dpi: int = 110) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=dpi, pil_kwargs={"optimize": True})
    _pyplot().close(figure)


def _tidy(panel: Any) -> None:
    panel.spines[["top", "right"]].set_visible(False)
    panel.grid(alpha=0.25)


def ecdf_plot(
    curves: dict[str, list[float]], levels: dict[str, float], size: int, path: Path
) -> None:
    """Figure 5: share of pairs whose max |z| is at most z.

    Args:
        curves: percentiles 0 to 100 of max |z|, of "different" and "null" pairs.
        levels: vertical lines by name.
        size: pictures a person.
        path: of the PNG.
    """
    figure, panel = _pyplot().subplots(figsize=(7, 4.4), layout="constrained")
    shares = np.linspace(0, 1, len(curves["null"]))
    panel.plot(
        curves["null"], shares, color="#8a949e", lw=2, label="one taste, two collections (null)"
    )
    panel.plot(curves["different"], shares, color="#1f6fb2", lw=2, label="two different people")
    for name, level in levels.items():
        panel.axvline(level, color="#333333", lw=0.9, ls=":")
        panel.text(level + 0.02, 0.02, name, rotation=90, va="bottom", fontsize=8, color="#333333")
    panel.set_xlabel("max |z| over clusters")
    panel.set_ylabel("share of pairs at or below")
    panel.set_title(f"Pairs of people with {size} pictures each", fontsize=11)
    panel.set_xlim(0, max(levels.values()) + 0.4)
    panel.set_ylim(0, 1.01)
    panel.legend(loc="upper left", frameon=False, fontsize=9)
    _tidy(panel)
    _save(figure, path)


def mrr_plot(rows: dict[str, dict[str, Any]], user_count: int, path: Path) -> None:
    """Figure 6: MRR over training size, bands of 95 % over draws."""
    figure, panel = _pyplot().subplots(figsize=(7, 4.6), layout="constrained")
    for row, by_size in rows.items():
        if row not in COLOURS:
            continue
        sizes = [int(size) for size in by_size]
        means = np.array([one["mean"] for one in by_size.values()])
        bands = np.array([one["band"] for one in by_size.values()])
        style = {"color": COLOURS[row], "ls": "--" if row in _DASHED else "-"}
        panel.plot(sizes, means, marker="o", ms=4, lw=2, label=row, **style)
        panel.fill_between(sizes, means - bands, means + bands, color=style["color"], alpha=0.15)
        panel.annotate(
            row,
            (sizes[-1], means[-1]),
            (6, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
            color=style["color"],
        )
    panel.set_xticks(sizes)
    panel.set_xlim(sizes[0] - 2, sizes[-1] + 11)
    panel.set_ylim(0, 1)
    panel.set_xlabel("pictures that a profile is made of")
    panel.set_ylabel("mean reciprocal rank")
    panel.set_title(f"Whose collection is it? One of {user_count} people", fontsize=11)
    _tidy(panel)
    _save(figure, path)


def effects_plot(
    by_odds: dict[str, Any], by_count: dict[str, Any], chosen_odds: float, path: Path
) -> None:
    """What beta does: softness, MRR and pairs; and what K does."""
    pyplot = _pyplot()
    figure, (soft, ranks, counts) = pyplot.subplots(1, 3, figsize=(12, 3.8), layout="constrained")

    def means(rows: dict[str, Any], name: str) -> list[float]:
        return [row[name]["mean"] for row in rows.values()]

    beta = means(by_odds, "beta")
    soft.plot(beta, means(by_odds, "perplexity"), marker="o", ms=4, color="#1f6fb2")
    soft.set_yscale("log")
    soft.set_yticks([1, 2, 5, 10, 20, 50, 100, 200], [1, 2, 5, 10, 20, 50, 100, 200])
    soft.set_yticks([], minor=True)
    soft.set_ylim(1, 320)
    soft.set_ylabel("clusters a picture is effectively in")
    soft.set_title("Softness of the assignment", fontsize=11)
    ranks.plot(beta, means(by_odds, "mrr"), marker="o", ms=4, color="#1f6fb2", label="MRR")
    _pair_lines(ranks, beta, by_odds)
    ranks.set_title("What it is good for", fontsize=11)
    for panel in (soft, ranks):
        panel.set_xscale("log")
        panel.set_xticks(beta, [f"{one:.0f}" for one in beta], minor=False)
        panel.set_xticks([], minor=True)
        panel.set_xlabel("beta (above: odds of the median picture)")
        _tidy(panel)
        for place, odds in zip(beta, by_odds, strict=True):
            weight = "bold" if float(odds) == chosen_odds else "normal"
            panel.annotate(
                odds,
                (place, 1.0),
                (0, -9),
                xycoords=("data", "axes fraction"),
                textcoords="offset points",
                ha="center",
                fontsize=7,
                fontweight=weight,
            )
    numbers = [int(count) for count in by_count]
    counts.plot(numbers, means(by_count, "mrr"), marker="o", ms=4, color="#1f6fb2", label="MRR")
    _pair_lines(counts, numbers, by_count)
    counts.set_xlabel("clusters, K")
    counts.set_title("Number of clusters", fontsize=11)
    _tidy(counts)
    for panel in (ranks, counts):
        panel.set_ylim(0, 1.08)
    counts.legend(fontsize=8, frameon=False, loc="center right")
    _save(figure, path)


def _pair_lines(panel: Any, places: Sequence[float], rows: dict[str, Any]) -> None:
    for name, colour, label in (
        ("different > 2", "#3a923a", "different pairs with max |z| > 2"),
        ("null > 2", "#8a949e", "null pairs with max |z| > 2"),
    ):
        values = [row[name]["mean"] for row in rows.values()]
        panel.plot(places, values, marker="o", ms=4, color=colour, label=label)


def project(pictures: Pictures, seed: int = 0) -> NDArray[np.float64]:
    """t-SNE of the embeddings, [N, 2]; van der Maaten and Hinton (2008)."""
    from sklearn.manifold import TSNE

    model = TSNE(2, metric="cosine", init="random", perplexity=30, random_state=seed)
    points_N2: NDArray[np.float64] = model.fit_transform(pictures.embeddings_ND)
    return points_N2


def map_plot(pictures: Pictures, points_N2: NDArray[np.float64], path: Path) -> None:
    """Points coloured by part, each class named where its pictures lie."""
    figure, panel = _pyplot().subplots(figsize=(11, 9), layout="constrained")
    parts = sorted({name.partition("/")[0] for name in pictures.classes})
    colours = dict(zip(parts, _PARTS, strict=False))
    names = []
    for label in np.unique(pictures.labels_N):
        part, _, name = pictures.classes[label].partition("/")
        own_M2 = points_N2[pictures.labels_N == label]
        panel.scatter(*own_M2.T, s=11, color=colours[part], alpha=0.45, linewidths=0)
        names.append((name, *np.median(own_M2, axis=0)))
    height = float(np.ptp(points_N2[:, 1])) / 62
    for name, x, y in _spread_names(names, height):
        panel.text(
            x,
            y,
            name,
            fontsize=7,
            ha="center",
            va="center",
            color="#111111",
            bbox={"facecolor": "white", "alpha": 0.65, "edgecolor": "none", "pad": 0.6},
        )
    for part in parts:
        panel.scatter([], [], s=25, color=colours[part], label=part)
    panel.legend(loc="upper left", fontsize=9, frameon=True)
    panel.set_xticks([])
    panel.set_yticks([])
    panel.spines[:].set_visible(False)
    _save(figure, path, dpi=95)


def _spread_names(
    names: list[tuple[str, float, float]], height: float
) -> list[tuple[str, float, float]]:
    """Moves a name up until it covers none that is placed; letters are about 0.4 lines wide."""
    placed: list[tuple[str, float, float]] = []
    for name, x, y in sorted(names, key=lambda one: one[2]):
        place = y
        while any(
            abs(x - other_x) < 0.2 * height * (len(name) + len(other))
            and abs(place - other_y) < height
            for other, other_x, other_y in placed
        ):
            place += height / 4
        placed.append((name, x, place))
    return placed


def thumbnail_map(
    points_N2: NDArray[np.float64], thumbnails: Sequence[Any], path: Path, *, side: int = 2400
) -> None:
    """The pictures themselves where they lie; one that would hide another is left out.

    Args:
        points_N2: where.
        thumbnails: Pillow images, one a point.
        path: of the JPEG or PNG. It shows the data's pictures: not for publication.
        side: pixels.
    """
    from PIL import Image

    size = side // 45
    low_2, high_2 = points_N2.min(axis=0), points_N2.max(axis=0)
    places_N2 = ((points_N2 - low_2) / (high_2 - low_2) * (side - size)).astype(int)
    canvas = Image.new("RGB", (side, side), "white")
    taken: set[tuple[int, int]] = set()
    for (x, y), thumbnail in zip(places_N2, thumbnails, strict=True):
        cell = (x // size, y // size)
        if cell not in taken:
            taken.add(cell)
            canvas.paste(
                thumbnail.resize((size, size)), (cell[0] * size, side - size - cell[1] * size)
            )
    path.parent.mkdir(parents=True, exist_ok=True)
    canvas.save(path, quality=88)
