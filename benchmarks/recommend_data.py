"""Engagement as a benchmark of recommendations needs it: read, split by time, and judged.

Films with ratings stand for posts with engagement (MovieLens, ml-latest-small's people, research
use): 4 stars and more are a like, 2 and fewer a hide, what lies between a view; a film's genres are
its tags, and the year of its title says when it was "posted".

It does not know what recommends.

Shapes: P people, N items, M engagements, U people judged, L items recommended.
"""

import gzip
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

VIEW, LIKE, HIDE = 1, 2, 5
TOP = 20


@dataclass(frozen=True, slots=True, eq=False)
class Films:
    """Items: tags as a sparse matrix (CSR) with scores of 1, and when each was posted, Unix s."""

    tag_names: tuple[str, ...]
    tag_offsets: NDArray[np.int64]
    tags_T: NDArray[np.int32]
    created_s_N: NDArray[np.float64]

    @property
    def count(self) -> int:
        return len(self.created_s_N)


@dataclass(frozen=True, slots=True, eq=False)
class Log:
    """What people did: columns of M engagements, and how many people there are."""

    people_M: NDArray[np.int64]
    items_M: NDArray[np.int64]
    kinds_M: NDArray[np.int8]
    times_M: NDArray[np.float64]
    person_count: int

    def where(self, rows: NDArray[np.bool_]) -> "Log":
        return Log(
            self.people_M[rows],
            self.items_M[rows],
            self.kinds_M[rows],
            self.times_M[rows],
            self.person_count,
        )


def read(path: Path) -> tuple[Log, Films]:
    """Reads movielens.jsonl.gz."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        records = [json.loads(line) for line in lines]
    people = {name: row for row, name in enumerate(sorted({r["user"] for r in records}))}
    films = {r["movie_id"]: r for r in records}
    items = {name: row for row, name in enumerate(sorted(films))}
    tag_names = tuple(sorted({genre for film in films.values() for genre in film["genres"]}))
    tags = [[tag_names.index(genre) for genre in films[name]["genres"]] for name in items]
    ratings = np.array([r["rating"] for r in records])
    log = Log(
        np.array([people[r["user"]] for r in records]),
        np.array([items[r["movie_id"]] for r in records]),
        np.where(ratings >= 4, LIKE, np.where(ratings <= 2, HIDE, VIEW)).astype(np.int8),
        np.array([r["ts"] for r in records], np.float64),
        len(people),
    )
    return log, Films(
        tag_names,
        np.cumsum([0, *map(len, tags)]),
        np.array([tag for row in tags for tag in row], np.int32),
        np.array([_released_s(films[name]["title"]) for name in items]),
    )


def _released_s(title: str) -> float:
    """Middle of the year that the title ends with; 1995 for the few that have none."""
    year = re.search(r"\((\d{4})\)\s*$", title)
    return datetime(int(year[1]) if year else 1995, 7, 1, tzinfo=UTC).timestamp()


def latest(log: Log, share: float) -> NDArray[np.bool_]:
    """Each person's latest `share` of engagements; of one second all are on the same side."""
    chosen = np.zeros(len(log.people_M), bool)
    for person in range(log.person_count):
        mine = np.flatnonzero(log.people_M == person)
        if len(mine):
            times = np.sort(log.times_M[mine])
            last_before = times[int(np.ceil(len(mine) * (1 - share))) - 1]
            chosen[mine[log.times_M[mine] > last_before]] = True
    return chosen


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """What is learnt from, and what is to be found.

    Attributes:
        past: engagements to learn from.
        seen_PN: bool: no recommender may return these.
        wanted_PN: bool: liked afterwards, never seen before.
        people_U: who has anything to be found.
    """

    past: Log
    seen_PN: NDArray[np.bool_]
    wanted_PN: NDArray[np.bool_]
    people_U: NDArray[np.int64]

    @classmethod
    def of(cls, past: Log, future: Log, item_count: int) -> "Trial":
        seen_PN = np.zeros((past.person_count, item_count), bool)
        seen_PN[past.people_M, past.items_M] = True
        wanted_PN = np.zeros_like(seen_PN)
        liked = future.kinds_M == LIKE
        wanted_PN[future.people_M[liked], future.items_M[liked]] = True
        wanted_PN &= ~seen_PN
        return cls(past, seen_PN, wanted_PN, np.flatnonzero(wanted_PN.any(axis=1)))


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """Per person: recall@20 and nDCG@20, [U]; and distinct items recommended to anybody."""

    recall_U: NDArray[np.float64]
    ndcg_U: NDArray[np.float64]
    distinct_count: float


def best_unseen(scores_PN: NDArray[np.floating], trial: Trial) -> NDArray[np.int64]:
    """The 20 best items of each person who is judged, [U, L]; equal ones by number."""
    open_UN = np.where(trial.seen_PN, -np.inf, scores_PN)[trial.people_U]
    return np.argsort(-open_UN, axis=1, kind="stable")[:, :TOP]


def judge(top_UL: NDArray[np.int64], trial: Trial) -> Judged:
    """Recall is hits / min(20, wanted), as in Liang et al. (2018); nDCG has binary gains."""
    if np.take_along_axis(trial.seen_PN[trial.people_U], top_UL, axis=1).any():
        raise AssertionError("something was recommended that had been seen or hidden")
    wanted_UN = trial.wanted_PN[trial.people_U]
    hits_UL = np.take_along_axis(wanted_UN, top_UL, axis=1)
    possible_U = np.minimum(wanted_UN.sum(axis=1), TOP)
    discounts_L = 1 / np.log2(np.arange(2, TOP + 2))
    ideal_U = np.cumsum(discounts_L)[possible_U - 1]
    return Judged(
        hits_UL.sum(axis=1) / possible_U,
        (hits_UL * discounts_L).sum(axis=1) / ideal_U,
        len(np.unique(top_UL)),
    )


def mean_of(runs: list[Judged]) -> Judged:
    """Per person, over seeds."""
    return Judged(
        np.mean([run.recall_U for run in runs], axis=0),
        np.mean([run.ndcg_U for run in runs], axis=0),
        float(np.mean([run.distinct_count for run in runs])),
    )


def interval(values_U: NDArray[np.float64], *, seed: int = 0, count: int = 10_000) -> list[float]:
    """95 % percentile bootstrap interval of the mean, over people."""
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, len(values_U), (count, len(values_U)))
    return [round(float(x), 4) for x in np.percentile(values_U[drawn].mean(axis=1), [2.5, 97.5])]
