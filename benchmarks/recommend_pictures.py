"""The visual part of a score alone: does it find pictures that a person would keep?

People are simulated as in bench_taste.py (a taste over fine-grained classes of real photos, 50 kept
pictures, the shipped model's embeddings). Of all pictures that are in nobody's profile, 20 are
picked for each of 200 people; 10 are theirs. Everything is drawn anew for each seed. How much the
nearest kept picture counts beside clusters (RankSettings.nearest_share) was chosen on the seeds 101
to 103, which do not report.

It does not know engagement, tags or times.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.recommend_data import TOP
from benchmarks.taste_draw import DrawSettings, draw
from benchmarks.taste_pictures import Pictures, read_pictures
from benchmarks.taste_users import TasteSettings
from inkling_server.people.profiles import visual_side
from inkling_server.profiles.rank import log_ratios
from inkling_server.profiles.recommend import Candidates, RankSettings, Taste, rank

CHOICES = {
    "visual part": RankSettings().nearest_share,
    "clusters alone": 0.0,
    "nearest kept picture alone": 1.0,
}


def visual_recalls(data: Path, repository: Path, seeds: range) -> dict[str, NDArray[np.float64]]:
    """Recall@20 of each person of all seeds, by way of picking."""
    pictures = read_pictures(data, repository)
    runs = [_one(pictures, seed) for seed in seeds]
    found: dict[str, list[NDArray[np.float64]]] = {}
    for run in runs:
        for name, recall_U in run.items():
            found.setdefault(name, []).append(recall_U)
    return {name: np.concatenate(recalls) for name, recalls in found.items()}


def _one(pictures: Pictures, seed: int) -> dict[str, NDArray[np.float64]]:
    """Recall of each person, [U]."""
    drawn = draw(pictures, DrawSettings(TasteSettings(), pair_count=1), seed=seed)
    embeddings_ND = pictures.embeddings_ND.astype(np.float32)
    pool_n = np.sort(np.concatenate(drawn.held_by_class))
    n = len(pool_n)
    candidates = Candidates(
        co_engaged_n=np.zeros(n, np.float32),
        tag_offsets=np.zeros(n + 1, np.int64),
        tag_interests_T=np.empty(0, np.int64),
        tag_scores_T=np.empty(0, np.float32),
        embeddings_nD=embeddings_ND[pool_n],
        has_embedding_n=np.ones(n, bool),
        assign_nK=drawn.assign_NK[pool_n],
        popularity_n=np.zeros(n, np.float32),
        ages_s_n=np.full(n, np.inf),
    )
    general_K = drawn.clusters.general_K.astype(np.float64)
    chance = np.random.default_rng(seed)
    found: dict[str, list[float]] = {}
    for kept_T, wanted_H in zip(drawn.users.train_UT, drawn.users.held_out_UH, strict=True):
        side = visual_side(embeddings_ND[kept_T], drawn.clusters)
        assert side is not None
        taste = Taste(
            interest_weights_I=np.zeros(1, np.float32),
            shares_K=np.exp(log_ratios(side.sums.sums_K, general_K)) * general_K,
            kept_embeddings_MD=side.medoids_MD,
            general_K=general_K,
        )
        picked = {
            name: rank(
                candidates,
                taste,
                limit=TOP,
                diversity=0,
                settings=RankSettings(nearest_share=share),
            ).order_L
            for name, share in CHOICES.items()
        }
        mean_D = embeddings_ND[kept_T].mean(axis=0)
        picked["mean of kept pictures"] = np.argsort(-(candidates.embeddings_nD @ mean_D))[:TOP]
        picked["by chance"] = chance.permutation(n)[:TOP]
        for name, rows in picked.items():
            recall = np.isin(pool_n[rows], wanted_H).sum() / len(wanted_H)
            found.setdefault(name, []).append(float(recall))
    return {name: np.array(values) for name, values in found.items()}
