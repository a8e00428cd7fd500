"""What the settings of bench_taste do: prior, beta, clusters, width of tastes, plainness of texts.

Each a function from draws to figures for the report. It writes no file.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np

from benchmarks.taste_draw import Draw
from benchmarks.taste_experiments import ODDS, PRIORS, Maths, at_odds, pair_figures
from benchmarks.taste_measures import cosine_mrr, maxima, summaries, summary, visual_mrr
from benchmarks.taste_texts import TextModel, named_titles
from benchmarks.taste_users import TasteSettings
from inkling_server.profiles.compare import CompareSettings, LogOddsVariance
from inkling_server.profiles.fit_clusters import FitSettings
from inkling_server.profiles.visual import beta_effect

CLUSTER_COUNTS = (25, 50, 100, 200)
CONCENTRATIONS = (0.03, 0.1, 0.3, 1.0)
NAMED = (0.0, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0)


def naming(
    draws: Sequence[Draw],
    size: int,
    texts: dict[str, TextModel],
    titles: dict[str, list[str]],
) -> dict[str, dict[str, Any]]:
    """MRR of text when a share of the photos carries its class's name, the rest any title."""
    every = [title for own in titles.values() for title in own]
    found: dict[str, dict[str, Any]] = {}
    for share in NAMED:
        values: dict[str, list[float]] = {row: [] for row in texts}
        for one in draws:
            names = [name.partition("/")[2] for name in one.pictures.classes]
            labels_R = one.pictures.labels_N[one.pool]
            words = named_titles(labels_R, names, every, share, one.seed)
            for row, model in texts.items():
                vectors_RE = model.embed(words)
                values[row].append(cosine_mrr(one.users, vectors_RE, one.pool, train_count=size))
        found[f"{share:g}"] = {row: summary(one) for row, one in values.items()}
    return found


def priors(draws: Sequence[Draw], size: int) -> dict[str, Any]:
    """How pairs depend on the comparison's prior and variance."""
    return {
        f"{variance}, {scale:g}": summaries(
            [
                pair_figures(
                    maxima(one, CompareSettings(scale, variance), train_count=size),
                    one.clusters.count,
                )
                for one in draws
            ]
        )
        for variance, scale in product(LogOddsVariance, PRIORS)
    }


def _effect(one: Draw, maths: Maths, size: int) -> dict[str, float]:
    effect = beta_effect(
        one.pictures.embeddings_ND[one.background], one.clusters, [one.clusters.beta]
    )[0]
    found = pair_figures(maxima(one, maths.compare, train_count=size), one.clusters.count)
    return {
        "beta": effect.beta,
        "perplexity": effect.mean_perplexity,
        "median perplexity": effect.median_perplexity,
        "mrr": visual_mrr(one, train_count=size, settings=maths.rank),
        **found,
    }


def betas(draws: Sequence[Draw], maths: Maths, size: int) -> dict[str, Any]:
    """What the sharpness of the assignment does, by odds."""
    return {
        f"{odds:g}": summaries([_effect(at_odds(one, odds), maths, size) for one in draws])
        for odds in ODDS
    }


def cluster_counts(draws: Sequence[Draw], maths: Maths, size: int) -> dict[str, Any]:
    """What K does; beta by the same odds, the prior worth one picture for each cluster."""
    found = {}
    for count in CLUSTER_COUNTS:
        scaled = replace(maths, compare=replace(maths.compare, prior_scale=float(count)))
        fit = FitSettings(cluster_count=count, odds=maths.odds)
        found[str(count)] = summaries(
            [_effect(one.with_clusters(fit), scaled, size) for one in draws]
        )
    return found


def concentrations(
    draws: Sequence[Draw], tastes: TasteSettings, maths: Maths, size: int, pair_count: int
) -> dict[str, Any]:
    """What narrow and wide tastes do."""
    found = {}
    for concentration in CONCENTRATIONS:
        people = replace(tastes, concentration=concentration)
        figures = []
        for one in draws:
            other = one.with_people(people, pair_count=pair_count)
            labels = one.pictures.labels_N[other.users.train_UT]
            shares = [np.unique(own, return_counts=True)[1] / labels.shape[1] for own in labels]
            kept = float(np.mean([1 / (own**2).sum() for own in shares]))
            figures.append({"classes kept": kept, **_effect(other, maths, size)})
        found[f"{concentration:g}"] = summaries(figures)
    return found
