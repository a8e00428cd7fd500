"""What benchmarks/bench_recommend.py compares: our recommender, and `implicit`'s.

Each model is a function of a trial and of parameters that returns the 20 items of each person who
is judged. It does not know how well they do.

Shapes: P people, N items, U people judged, L items recommended.
"""

import importlib
import itertools
import random
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, csr_matrix

from benchmarks.recommend_data import LIKE, TOP, VIEW, Films, Log, Trial, best_unseen
from inkling_server.profiles.co_engagement import CoEngagementSettings, co_engagement
from inkling_server.profiles.interest import Engaged, interest_profile
from inkling_server.profiles.interest_graph import InterestGraph
from inkling_server.profiles.recommend import Candidates, RankSettings, Taste, rank

Parameters = dict[str, Any]
# Distinct items of a person that their neighbours are read of, likes first, then the newest; and
# engagements of their interests, the newest: what the server's settings are.
RECENT, ENGAGEMENTS = 200, 500


def kind_weights(log: Log, view: float) -> NDArray[np.float64]:
    """What an engagement says of its item: a like 1, a hide nothing."""
    return np.select([log.kinds_M == LIKE, log.kinds_M == VIEW], [1.0, view], 0.0)


def matrix(log: Log, item_count: int, view: float) -> csr_array:
    """People x items."""
    weights_M = kind_weights(log, view)
    counts = weights_M > 0
    return csr_array(
        (weights_M[counts], (log.people_M[counts], log.items_M[counts])),
        shape=(log.person_count, item_count),
    )


def popular(trial: Trial, films: Films, view: float = 0.0) -> NDArray[np.int64]:
    """Everybody gets what most people like."""
    counts_N = np.asarray(matrix(trial.past, films.count, view).sum(axis=0))
    return best_unseen(np.tile(counts_N, (trial.past.person_count, 1)), trial)


def exact_ease(
    trial: Trial, films: Films, *, view: float, ridge: float, min_people: int = 3
) -> NDArray[np.int64]:
    """EASE by the inverse of the whole matrix: what `co_engagement` approaches."""
    has_PN = matrix(trial.past, films.count, view).toarray()
    kept = np.flatnonzero((has_PN > 0).sum(axis=0) >= min_people)
    inverse = np.linalg.inv(has_PN[:, kept].T @ has_PN[:, kept] + ridge * np.eye(len(kept)))
    weights = inverse / -np.diag(inverse)
    np.fill_diagonal(weights, 0)
    scores_PN = np.zeros_like(has_PN)
    scores_PN[:, kept] = has_PN[:, kept] @ weights
    return best_unseen(scores_PN, trial)


@dataclass(frozen=True, slots=True, eq=False)
class Ours:
    """What is computed once for a trial, for any weights of the parts."""

    trial: Trial
    films: Films
    co_engaged_UN: NDArray[np.float32]
    interests_UI: NDArray[np.float32]
    popularity_N: NDArray[np.float32]
    ages_s_UN: NDArray[np.float64]

    @classmethod
    def of(cls, trial: Trial, films: Films, *, view: float, ridge: float) -> "Ours":
        past = trial.past
        neighbours = co_engagement(
            past.people_M,
            past.items_M,
            kind_weights(past, view),
            person_count=past.person_count,
            item_count=films.count,
            settings=CoEngagementSettings(ridge=ridge),
        )
        weights_NN = csr_array(
            (neighbours.weights_E, neighbours.items_E, neighbours.offsets),
            shape=(films.count, films.count),
        )
        recent_UN = np.zeros((len(trial.people_U), films.count), np.float32)
        now_s_U = np.zeros(len(trial.people_U))
        interests_UI = np.zeros((len(trial.people_U), len(films.tag_names)), np.float32)
        graph = _graph_of(films)
        for row, person in enumerate(trial.people_U):
            mine = past.where(past.people_M == person)
            newest = np.lexsort((-mine.items_M, -mine.times_M))
            says = kind_weights(mine, view)
            strongest = newest[np.argsort(-says[newest], kind="stable")][:RECENT]
            recent_UN[row, mine.items_M[strongest]] = says[strongest]
            now_s_U[row] = mine.times_M.max()
            interests_UI[row] = _interests(mine, newest[:ENGAGEMENTS], films, graph, now_s_U[row])
        liked = past.where(past.kinds_M == LIKE)
        return cls(
            trial,
            films,
            (weights_NN.T @ recent_UN.T).T.astype(np.float32),
            interests_UI,
            np.bincount(liked.items_M, minlength=films.count).astype(np.float32),
            now_s_U[:, None] - films.created_s_N,
        )

    def top(self, settings: RankSettings, diversity: float = 0.0) -> NDArray[np.int64]:
        """By the server's own `rank`, from all items that the person has not seen."""
        found = np.empty((len(self.trial.people_U), TOP), np.int64)
        for row, person in enumerate(self.trial.people_U):
            items_n = np.flatnonzero(~self.trial.seen_PN[person])
            counts_n = np.diff(self.films.tag_offsets)[items_n]
            offsets = np.concatenate([[0], np.cumsum(counts_n)])
            entries = np.arange(offsets[-1]) + np.repeat(
                self.films.tag_offsets[items_n] - offsets[:-1], counts_n
            )
            ranked = rank(
                Candidates(
                    co_engaged_n=self.co_engaged_UN[row, items_n],
                    tag_offsets=offsets,
                    tag_interests_T=self.films.tags_T[entries],
                    tag_scores_T=np.ones(len(entries), np.float32),
                    embeddings_nD=np.empty((len(items_n), 0), np.float32),
                    has_embedding_n=np.zeros(len(items_n), bool),
                    assign_nK=None,
                    popularity_n=self.popularity_N[items_n],
                    ages_s_n=self.ages_s_UN[row, items_n],
                ),
                Taste(self.interests_UI[row], None, np.empty((0, 0), np.float32), None),
                limit=TOP,
                diversity=diversity,
                settings=settings,
            )
            found[row] = items_n[ranked.order_L]
        return found


def _graph_of(films: Films) -> InterestGraph:
    """Genres as interests that no edge joins."""
    count = len(films.tag_names)
    return InterestGraph(
        "genres",
        films.tag_names,
        np.zeros(count + 1, np.int64),
        np.empty(0, np.int32),
        np.empty(0),
        np.eye(count, dtype=np.float32),
    )


def _interests(
    mine: Log, rows: NDArray[np.int64], films: Films, graph: InterestGraph, now_s: float
) -> NDArray[np.float32]:
    """A person's interest weights, by the server's own `interest_profile`."""
    items = mine.items_M[rows]
    counts = np.diff(films.tag_offsets)[items]
    begins = np.cumsum(counts) - counts
    entries = np.arange(counts.sum()) + np.repeat(films.tag_offsets[items] - begins, counts)
    profile = interest_profile(
        Engaged(
            np.repeat(mine.kinds_M[rows], counts),
            np.repeat(mine.times_M[rows], counts),
            np.repeat(items, counts),
            films.tags_T[entries],
            np.ones(len(entries), np.float32),
        ),
        graph,
        now_s=now_s,
    )
    weights = np.zeros(len(graph), np.float32)
    weights[profile.rows_R] = profile.weights_R
    return weights


def nearest(trial: Trial, films: Films, *, kind: str, k: int, view: float) -> NDArray[np.int64]:
    """implicit's item-kNN, by its own `recommend`."""
    has_PN = csr_matrix(matrix(trial.past, films.count, view))
    makers = {
        "cosine": "CosineRecommender",
        "tf-idf": "TFIDFRecommender",
        "bm25": "BM25Recommender",
    }
    module = importlib.import_module("implicit.nearest_neighbours")
    model = getattr(module, makers[kind])(K=k, num_threads=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it converts its own matrices, and says so
        model.fit(has_PN, show_progress=False)
    longest = TOP + int(trial.seen_PN.sum(axis=1).max())
    found, scores = model.recommend(
        trial.people_U, has_PN[trial.people_U], N=longest, filter_already_liked_items=False
    )
    scores_PN = np.full((trial.past.person_count, films.count), -1.0)
    rows = np.repeat(trial.people_U, found.shape[1])
    real = found.ravel() >= 0
    scores_PN[rows[real], found.ravel()[real]] = scores.ravel()[real]
    return best_unseen(scores_PN, trial)


def factors(
    trial: Trial, films: Films, *, kind: str, view: float, **options: Any
) -> NDArray[np.int64]:
    """implicit's ALS (Hu et al. 2008) or BPR (Rendle et al. 2009); one thread, so repeatable."""
    names = {"als": "AlternatingLeastSquares", "bpr": "BayesianPersonalizedRanking"}
    module = importlib.import_module(f"implicit.{kind}")
    model = getattr(module, names[kind])(num_threads=1, **options)
    model.fit(csr_matrix(matrix(trial.past, films.count, view)), show_progress=False)
    return best_unseen(model.user_factors @ model.item_factors.T, trial)


def grid(**choices: list[Any]) -> Iterator[Parameters]:
    """All combinations."""
    for values in itertools.product(*choices.values()):
        yield dict(zip(choices, values, strict=True))


def drawn(count: int, **choices: list[Any]) -> list[Parameters]:
    """Some of all combinations, always the same ones."""
    everything = list(grid(**choices))
    return random.Random(0).sample(everything, min(count, len(everything)))


Model = Callable[..., NDArray[np.int64]]
