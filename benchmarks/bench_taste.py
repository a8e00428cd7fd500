"""Do visual profiles tell people apart, and whose collection is it?

    python -m benchmarks.bench_taste                            tables, JSON as the last line
    python -m benchmarks.bench_taste --out benchmarks/results   and both as files, with the plots
    python -m benchmarks.bench_taste --quick                    drawn points, in seconds
    python -m benchmarks.bench_taste --thumbnails               and a map of pictures, into build/

The paper's figures 5 and 6 on a simulation: no sample data has one person's collection. Photos are
real (the parts of the sample data with one class a photo; INKLING_SAMPLE_DATA, else ../shared/data
beside the repository), encoded by the model that ships; people are drawn:

- 30 % of each class are the background that the clusters are fitted to; nobody keeps those. 50 %
  are for profiles, 20 % for the held-out collections: those are in nobody's profile.
- Of the classes with 15 or more pictures besides, 85 by chance are what people keep from. A taste
  is a draw from a Dirichlet over them; a collection is drawn by the taste, no picture twice.
- 200 people with 50 pictures for the profile and 10 held out. For pairs, 500 tastes with two
  collections each, without a common picture: those two are a null pair; one of them and one of
  another taste are a pair of different people.
- Texts are titles of real posts, see taste_texts.py.
- Everything is drawn anew for each seed: background, classes, people, texts. Bands are 95 % over
  seeds, by Student's t.

The model was trained on the train split of these photos with their classes as tags. A run of its
own lets people keep only pictures that it never saw ("unseen").

1. Pairs (figure 5): max |z| over clusters, of different people and of null pairs.
2. Attribution (figure 6): mean reciprocal rank of the true owner of each held-out collection among
   all 200. Rows: the visual profile (mean log-likelihood ratio); the mean embedding (cosine, what
   clusters are worth); PV-DM of the texts (cosine), the paper's text profile, and the same in
   clusters and by the ratio, as pictures are; TF-IDF of the texts (cosine); random. And "true
   classes": what an oracle would reach that sees each picture's class, by the ratio and the cosine.
3. What the prior, beta, the number of clusters and the width of tastes do.
4. How plainly texts must name the class for text to win.

Odds (beta) and priors are the server's defaults. Beside them stands what draws of their own would
choose, measured on the draws that report. PV-DM's settings were chosen by another split of the
titles.
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import taste_plots
from benchmarks.report import hardware, versions, write_report
from benchmarks.taste_draw import Draw, DrawSettings, clusters_of, draw
from benchmarks.taste_experiments import (
    Maths,
    at_odds,
    attribution,
    choose,
    distributions,
    paired_lead,
    pairs,
    server_maths,
)
from benchmarks.taste_measures import expected_random_mrr, summary, visual_mrr
from benchmarks.taste_pictures import CACHE, Pictures, drawn_pictures, read_pictures
from benchmarks.taste_plan import FULL, QUICK, Plan, drawn_titles
from benchmarks.taste_sweeps import betas, cluster_counts, concentrations, naming, priors
from benchmarks.taste_table import table
from benchmarks.taste_texts import (
    ParagraphVectors,
    TextModel,
    WeightedWords,
    naming_share,
    read_titles,
    split_titles,
)
from inkling_server.profiles.clusters import VisualClusters
from inkling_server.profiles.compare import critical_z

REPOSITORY = Path(__file__).resolve().parents[1]
# Classes on the map: more names than these cover each other.
MAP_CLASSES = 60
# Learned titles that the texts' clusters are fitted to, at most.
CLUSTERED_TITLES = 6_000


def run(
    pictures: Pictures,
    titles: dict[str, list[str]],
    texts: dict[str, TextModel],
    text_clusters: dict[str, VisualClusters],
    plan: Plan,
) -> dict[str, Any]:
    """All questions; what comes back is the report less where and when it was made.

    Args:
        pictures: what people keep.
        titles: to go with pictures.
        texts: models of text by row, which never saw `titles`.
        text_clusters: of some of those models.
        plan: how much.
    """
    size = plan.sizes[-1]
    chosen, tried = choose(
        [draw(pictures, plan.draws, seed=seed) for seed in plan.choosing_seeds], size
    )
    maths = server_maths()
    raw = [draw(pictures, plan.draws, seed=seed) for seed in plan.seeds]
    draws = [at_odds(one, maths.odds) for one in raw]
    as_chosen = [at_odds(one, chosen.odds) for one in raw]
    rows = attribution(draws, plan.sizes, maths.rank, texts, titles, text_clusters)
    visual = "visual profile"
    return {
        "model": pictures.model,
        "photos": len(pictures),
        "classes": len(pictures.classes),
        "draws": _settings(plan.draws),
        "effective_classes": round(plan.draws.tastes.effective_classes(plan.draws.class_count), 1),
        "background": len(draws[0].background),
        "clusters": draws[0].clusters.count,
        "sizes": list(plan.sizes),
        "server": maths.as_json(),
        "beta": [round(one.clusters.beta, 2) for one in draws],
        "chosen": chosen.as_json(),
        "tried": tried,
        "pairs": pairs(draws, maths.compare, plan.sizes),
        "pairs as chosen": pairs(as_chosen, chosen.compare, plan.sizes),
        "curves": distributions(draws, maths.compare, size),
        "attribution": rows,
        "attribution as chosen": {
            str(n): summary(
                [visual_mrr(one, train_count=n, settings=chosen.rank) for one in as_chosen]
            )
            for n in plan.sizes
        },
        "leads": {row: paired_lead(rows, visual, row) for row in rows if row != visual},
        "expected random": round(expected_random_mrr(plan.draws.tastes.user_count), 4),
        "unseen": _unseen(pictures, titles, texts, text_clusters, plan, maths),
        "priors": priors(draws, size),
        "betas": betas(draws, maths, size),
        "cluster_counts": cluster_counts(draws, maths, size),
        "concentrations": concentrations(
            draws, plan.draws.tastes, maths, size, plan.draws.pair_count
        ),
        "naming": naming(draws[: plan.naming_seeds], size, texts, titles),
        "naming_share": round(naming_share(titles), 4),
    }


def _unseen(
    pictures: Pictures,
    titles: dict[str, list[str]],
    texts: dict[str, TextModel],
    text_clusters: dict[str, VisualClusters],
    plan: Plan,
    maths: Maths,
) -> dict[str, Any]:
    raw = [draw(pictures, plan.unseen, seed=seed) for seed in plan.seeds]
    draws: Sequence[Draw] = [at_odds(one, maths.odds) for one in raw]
    return {
        "draws": _settings(plan.unseen),
        "classes": [len(one.classes) for one in draws],
        "attribution": attribution(
            draws, plan.unseen_sizes, maths.rank, texts, titles, text_clusters
        ),
    }


def _settings(settings: DrawSettings) -> dict[str, Any]:
    found = asdict(settings)
    # Odds and seed of the fit are those of each draw.
    found["fit"] = {"cluster_count": settings.fit.cluster_count}
    return found


def plot(report: dict[str, Any], folder: Path, stem: str) -> None:
    """The report's curves as PNG files, <stem>-<what>.png."""

    def path(what: str) -> Path:
        return folder / f"{stem}-{what}.png"

    size = report["sizes"][-1]
    levels = {
        "2": 2.0,
        "99 %": critical_z(0.99),
        "95 %, Bonferroni": critical_z(0.95, report["clusters"]),
    }
    taste_plots.ecdf_plot(report["curves"], levels, size, path("pairs"))
    users = report["draws"]["tastes"]["user_count"]
    taste_plots.mrr_plot(report["attribution"], users, path("attribution"))
    taste_plots.effects_plot(
        report["betas"],
        report["cluster_counts"],
        report["server"]["odds"],
        path("beta"),
    )


def plot_map(
    pictures: Pictures, folder: Path, stem: str, thumbnails: Path | None, data: Path | None
) -> None:
    """A map of pictures of some classes, and with their thumbnails where `thumbnails` is a file."""
    rng = np.random.default_rng(0)
    classes = rng.permutation(len(pictures.classes))[:MAP_CLASSES]
    shown = np.flatnonzero(np.isin(pictures.labels_N, classes))
    some = pictures.of(shown)
    points_N2 = taste_plots.project(some)
    taste_plots.map_plot(some, points_N2, folder / f"{stem}-map.png")
    if thumbnails is not None and data is not None:
        taste_plots.thumbnail_map(points_N2, _thumbnails(data, some), thumbnails)


def _thumbnails(data: Path, pictures: Pictures) -> list[Any]:
    from io import BytesIO

    from PIL import Image

    from benchmarks.taste_pictures import PARTS
    from inkling_training.data import load_records

    bytes_of = {one.key: one.picture for one in load_records(data, frozenset(PARTS))}
    return [Image.open(BytesIO(bytes_of[key])).convert("RGB") for key in pictures.keys]


def main(arguments: list[str] | None = None) -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, help="folder for the JSON, a table and the plots")
    parser.add_argument("--quick", action="store_true", help="drawn points and words, in seconds")
    parser.add_argument("--thumbnails", action="store_true", help="a map of pictures, into build/")
    given = parser.parse_args(arguments)
    start = time.process_time()
    data: Path | None = None
    if given.quick:
        plan, pictures, titles = QUICK, drawn_pictures(), drawn_titles()
        learn, give = split_titles(titles, seed=0)
        spoken = [title for own in learn.values() for title in own]
        texts: dict[str, TextModel] = {"text, TF-IDF": WeightedWords(spoken)}
    else:
        from inkling_training.data import sample_data_dir

        data = sample_data_dir()
        plan = FULL
        pictures = read_pictures(data, REPOSITORY / "model_repository")
        titles = read_titles(data / "corpora" / "reddit.jsonl.gz")
        learn, give = split_titles(titles, seed=0)
        spoken = [title for own in learn.values() for title in own]
        # The model of texts must know the words of names, or `naming` would ask nothing.
        named = [pictures.classes[label].partition("/")[2] for label in pictures.labels_N[::2]]
        texts = {
            "text, PV-DM": ParagraphVectors([*spoken, *named]),
            "text, TF-IDF": WeightedWords([*spoken, *named]),
        }
    clustered = next(iter(texts))
    vectors_NE = texts[clustered].embed(spoken[:: -(-len(spoken) // CLUSTERED_TITLES)])
    text_clusters = {
        clustered: clusters_of(vectors_NE.astype(np.float32), clustered, plan.draws.fit)
    }
    report = {
        "benchmark": "taste",
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "hardware": hardware(),
        "versions": versions(("numpy", "scikit-learn", "gensim", "onnxruntime")),
        **run(pictures, give, texts, text_clusters, plan),
        "cpu_s": round(time.process_time() - start),
    }
    lines = table(report)
    print("\n".join(lines))
    if given.out is not None:
        write_report(given.out, "taste", lines, report)
        stem = f"{report['date']}_{hardware()}_taste"
        plot(report, given.out, stem)
        plot_map(pictures, given.out, stem, CACHE / "map.jpg" if given.thumbnails else None, data)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
