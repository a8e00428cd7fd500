"""Figures 5 and 6 of bench_taste, each a function from draws to figures for its report.

What the settings do is in taste_sweeps.py. It writes no file.

Legend: P pairs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.taste_draw import Draw
from benchmarks.taste_measures import (
    Maxima,
    centred_embeddings,
    chance_mrr,
    cosine_mrr,
    maxima,
    one_hot,
    oracle_mrr,
    ratio_mrr,
    summaries,
    summary,
    visual_mrr,
)
from benchmarks.taste_texts import TextModel, community_titles
from inkling_server.profiles.clusters import VisualClusters
from inkling_server.profiles.compare import CompareSettings, critical_z
from inkling_server.profiles.fit_clusters import FitSettings
from inkling_server.profiles.rank import RankSettings
from inkling_server.profiles.visual import beta_from_margin, margins, soft_assign

Z = 2.0
ODDS = (1.5, 2.0, 3.0, 5.0, 9.0, 20.0, 80.0, 1000.0)
PRIORS = (1.0, 10.0, 50.0, 100.0, 200.0, 500.0, 1000.0)
RANK_PRIORS = (1.0, 3.0, 10.0, 30.0, 100.0)
ORACLE = "true classes"
# Of null pairs, beyond Z, at most: what "people of one taste do not differ" is held to.
NULL_LIMIT = 0.05


@dataclass(frozen=True, slots=True)
class Maths:
    """Settings of profiles that are tried out together."""

    odds: float
    compare: CompareSettings
    rank: RankSettings

    def as_json(self) -> dict[str, Any]:
        """For a report."""
        return {
            "odds": self.odds,
            "compare_prior_scale": self.compare.prior_scale,
            "variance": str(self.compare.variance),
            "rank_prior_scale": self.rank.prior_scale,
        }


def server_maths() -> Maths:
    """What the server does unless told otherwise."""
    return Maths(FitSettings().odds, CompareSettings(), RankSettings())


def at_odds(drawn: Draw, odds: float) -> Draw:
    """With the beta that gives these odds to the background's picture with the median margin."""
    background_ND = drawn.pictures.embeddings_ND[drawn.background]
    margin = float(np.median(margins(background_ND, drawn.clusters.centroids_KD)))
    return drawn.with_beta(beta_from_margin(margin, drawn.clusters.sigma2, odds))


def pair_figures(found: Maxima, cluster_count: int) -> dict[str, float]:
    """Shares of pairs beyond each level, and beyond what null pairs themselves reach."""
    levels = {
        "2": Z,
        "95 %": critical_z(0.95),
        "99 %": critical_z(0.99),
        "95 % corrected": critical_z(0.95, cluster_count),
    }
    figures: dict[str, float] = {}
    for name, level in levels.items():
        figures[f"different > {name}"], figures[f"null > {name}"] = found.shares_above(level)
    figures["null quantile"] = found.null_quantile()
    figures["different > null quantile"] = found.shares_above(found.null_quantile())[0]
    figures["different median"] = float(np.median(found.different_P))
    figures["null median"] = float(np.median(found.null_P))
    return figures


def choose(draws: Sequence[Draw], size: int) -> tuple[Maths, dict[str, Any]]:
    """Chooses odds and priors on draws that report nothing.

    What ships was argued, not chosen so; this says how far it is from the best. Odds and the rank's
    prior by MRR; then the comparison's prior by the share of different pairs
    beyond Z, among those that keep null pairs at `NULL_LIMIT`. `size` pictures a person.
    """
    mrr: dict[tuple[float, float], float] = {}
    for odds in ODDS:
        sharpened = [at_odds(one, odds) for one in draws]
        for scale in RANK_PRIORS:
            values = [
                visual_mrr(one, train_count=size, settings=RankSettings(scale)) for one in sharpened
            ]
            mrr[odds, scale] = float(np.mean(values))
    odds, rank_scale = max(mrr, key=lambda key: mrr[key])
    sharpened = [at_odds(one, odds) for one in draws]
    shares = {}
    for scale in PRIORS:
        found = [
            maxima(one, CompareSettings(scale), train_count=size).shares_above(Z)
            for one in sharpened
        ]
        shares[scale] = tuple(float(value) for value in np.mean(found, axis=0))
    calm = [scale for scale in PRIORS if shares[scale][1] <= NULL_LIMIT] or [PRIORS[-1]]
    compare_scale = max(calm, key=lambda scale: shares[scale][0])
    chosen = Maths(odds, CompareSettings(compare_scale), RankSettings(rank_scale))
    tried = {
        "mrr": {f"odds {key[0]:g}, prior {key[1]:g}": round(mrr[key], 4) for key in mrr},
        "pairs > 2": {
            f"prior {scale:g}": [round(one, 4) for one in shares[scale]] for scale in PRIORS
        },
    }
    return chosen, tried


def pairs(draws: Sequence[Draw], compare: CompareSettings, sizes: Sequence[int]) -> dict[str, Any]:
    """Figure 5: shares of pairs beyond levels, for each size of a collection."""
    return {
        str(size): summaries(
            [
                pair_figures(maxima(one, compare, train_count=size), one.clusters.count)
                for one in draws
            ]
        )
        for size in sizes
    }


def distributions(
    draws: Sequence[Draw], compare: CompareSettings, size: int
) -> dict[str, list[float]]:
    """max |z| at each percentile, 0 to 100, all draws together: the curves of figure 5."""
    found = [maxima(one, compare, train_count=size) for one in draws]
    points = np.linspace(0, 1, 101)
    return {
        name: [round(float(z), 3) for z in np.quantile(np.concatenate(maxima_of), points)]
        for name, maxima_of in (
            ("different", [one.different_P for one in found]),
            ("null", [one.null_P for one in found]),
        )
    }


def attribution(
    draws: Sequence[Draw],
    sizes: Sequence[int],
    rank: RankSettings,
    texts: dict[str, TextModel],
    titles: dict[str, list[str]],
    text_clusters: dict[str, VisualClusters],
) -> dict[str, dict[str, Any]]:
    """Figure 6: MRR of each row by training size.

    Args:
        draws: people.
        sizes: pictures that a profile is made of.
        rank: of visual profiles.
        texts: models of text by row.
        titles: to go with pictures; see taste_texts.
        text_clusters: of some models of text, for profiles of texts made as those of pictures are.
    """
    rows: dict[str, dict[str, Any]] = {}
    found: dict[str, dict[int, list[float]]] = {}

    def add(row: str, size: int, value: float) -> None:
        found.setdefault(row, {}).setdefault(size, []).append(value)

    for one in draws:
        everything = np.arange(len(one.pictures))
        centred_ND, classes_NC = centred_embeddings(one), one_hot(one)
        pool = one.pool
        words = _pool_titles(one, titles)
        vectors = {row: model.embed(words) for row, model in texts.items()}
        shares = {
            row: soft_assign(vectors[row], clusters) for row, clusters in text_clusters.items()
        }
        for size in sizes:
            add("visual profile", size, visual_mrr(one, train_count=size, settings=rank))
            add(
                "mean embedding",
                size,
                cosine_mrr(one.users, centred_ND, everything, train_count=size),
            )
            for row, text_clusters_of in text_clusters.items():
                value = ratio_mrr(
                    one.users,
                    shares[row],
                    text_clusters_of.general_K,
                    pool,
                    train_count=size,
                    settings=rank,
                )
                add(f"{row} in clusters", size, value)
            for row, vectors_RE in vectors.items():
                add(row, size, cosine_mrr(one.users, vectors_RE, pool, train_count=size))
            add("random", size, chance_mrr(one.users, seed=one.seed + size))
            add(f"{ORACLE}, ratio", size, oracle_mrr(one, train_count=size, settings=rank))
            by_class = cosine_mrr(one.users, classes_NC, everything, train_count=size)
            add(f"{ORACLE}, cosine", size, by_class)
    for row, by_size in found.items():
        rows[row] = {str(size): summary(values) for size, values in by_size.items()}
    return rows


def _pool_titles(one: Draw, titles: dict[str, list[str]]) -> list[str]:
    labels_R = one.pictures.labels_N[one.pool]
    return community_titles(labels_R, one.classes, titles, one.seed)


def paired_lead(rows: dict[str, dict[str, Any]], first: str, second: str) -> dict[str, Any]:
    """First less second, by size: mean and band over the same draws."""
    return {
        size: summary(
            [
                mine - theirs
                for mine, theirs in zip(
                    rows[first][size]["by_seed"], rows[second][size]["by_seed"], strict=True
                )
            ]
        )
        for size in rows[first]
    }
