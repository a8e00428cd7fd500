"""What to show somebody: scores candidates in parts, and picks from them with diversity.

    candidates, taste ─► parts, each in [-1, 1] ─► weights ─► score ─┬─► MMR ──┬─► the best
                                                          cold start ┴─► PM-2 ─┘

A score is the sum of its parts' contributions:

    co-engagement   what the person's items say for the item, summed (see `co_engagement`)
    interests       sum over the item's tags of tag score x the person's weight; below 0 for hides
    visual          ln(likelihood of the picture under the person's / everybody's distribution over
                    clusters), and its cosine with the nearest of the person's pictures
    popularity      people of the item: ln(1 + people)
    freshness       0.5^(age / half-life)

Each part but freshness is divided by its greatest size among the candidates, so weights compare and
scores do so within one ranking only. A part that is nought for every candidate says nothing.

Candidates are given: what the person has seen, hidden or posted is gone already. The module does
not know ids, storage or time.

Shapes: n candidates, I interests, T (candidate, interest) entries, D dimensions, K clusters, M kept
pictures, L items picked, P parts.
"""

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from inkling_server.profiles.diversity import Likeness, pick_marginal, pick_proportional

# What a view, a like, a save and a share say for an item, in co-engagement; a hide says nothing
# there. For a view 0.1 and 0.3 do equally well on the validation part of
# benchmarks/bench_recommend.py, and 1 does not; its data tells likes from views only.
KIND_WEIGHTS = (0.3, 1.0, 1.0, 1.0)


class Part(IntEnum):
    """Columns of contributions."""

    CO_ENGAGEMENT = 0
    INTERESTS = 1
    VISUAL = 2
    POPULARITY = 3
    FRESHNESS = 4


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """What may be recommended.

    Attributes:
        co_engaged_n: float32 >= 0, summed weight of the person's items for this one.
        tag_offsets: int [n + 1]; the tags of candidate i are entries offsets[i] to offsets[i + 1].
        tag_interests_T: int, rows of `Taste.interest_weights_I`.
        tag_scores_T: float32 in [0, 1].
        embeddings_nD: float32, rows of length 1; D may be 0.
        has_embedding_n: bool.
        assign_nK: float32, soft assignments, rows sum to 1 (any where there is no embedding); None:
            there are no clusters.
        popularity_n: float32 >= 0, people, time-decayed.
        ages_s_n: float32; below 0 counts as 0.
    """

    co_engaged_n: NDArray[np.float32] = field(repr=False)
    tag_offsets: NDArray[np.integer] = field(repr=False)
    tag_interests_T: NDArray[np.integer] = field(repr=False)
    tag_scores_T: NDArray[np.float32] = field(repr=False)
    embeddings_nD: NDArray[np.float32] = field(repr=False)
    has_embedding_n: NDArray[np.bool_] = field(repr=False)
    assign_nK: NDArray[np.float32] | None = field(repr=False)
    popularity_n: NDArray[np.float32] = field(repr=False)
    ages_s_n: NDArray[np.floating] = field(repr=False)

    def __post_init__(self) -> None:
        n = len(self.co_engaged_n)
        per_candidate = (
            self.embeddings_nD,
            self.has_embedding_n,
            self.popularity_n,
            self.ages_s_n,
            self.tag_offsets[1:],
            *(() if self.assign_nK is None else (self.assign_nK,)),
        )
        if any(len(column) != n for column in per_candidate):
            raise ValueError(f"every array must describe {n} candidates")
        if not len(self.tag_interests_T) == len(self.tag_scores_T) == self.tag_offsets[-1]:
            raise ValueError("tag_offsets must end where the tags do")

    @property
    def count(self) -> int:
        """n."""
        return len(self.co_engaged_n)


@dataclass(frozen=True, slots=True, eq=False)
class Taste:
    """What is known of the person.

    Attributes:
        interest_weights_I: float32, signed; below 0: they hide it.
        shares_K: the person's distribution over clusters, smoothed so that none is 0; None: no
            picture of theirs is known, or there are no clusters.
        kept_embeddings_MD: float32, pictures that speak for them, rows of length 1; M may be 0.
        general_K: everybody's distribution over clusters, above 0; None: there are none.
    """

    interest_weights_I: NDArray[np.float32] = field(repr=False)
    shares_K: NDArray[np.floating] | None = field(repr=False)
    kept_embeddings_MD: NDArray[np.float32] = field(repr=False)
    general_K: NDArray[np.floating] | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class RankSettings:
    """How parts weigh. The greatest value of each part is worth its weight.

    On films (benchmarks/bench_recommend.py) co-engagement decides: interests up to 0.3, popularity
    and freshness up to 0.05 neither help nor harm there. They are for what co-engagement knows
    nothing about: new items, and people with a short past.

    Attributes:
        co_engagement, interests, visual, popularity, freshness: weights, >= 0.
        cold_popularity: weight of popularity where nothing is known of the person.
        freshness_half_life_s: after which an item is half as fresh.
        nearest_share: of the visual part that is cosine with the nearest kept picture, in [0, 1];
            the rest is the log ratio of clusters.
        pool: that diversity picks from: this many times the limit, the best by score. Without such
            a bound the most diverse list is one of the worst candidates.
    """

    co_engagement: float = 1.0
    interests: float = 0.3
    visual: float = 0.5
    popularity: float = 0.05
    freshness: float = 0.05
    cold_popularity: float = 1.0
    freshness_half_life_s: float = 14 * 86_400.0
    nearest_share: float = 0.25
    pool: int = 10

    def __post_init__(self) -> None:
        if min(*self.weights, self.cold_popularity) < 0 or self.freshness_half_life_s <= 0:
            raise ValueError("weights: at least 0; freshness_half_life_s: above 0")
        if not 0 <= self.nearest_share <= 1 or self.pool < 1:
            raise ValueError("nearest_share: in [0, 1]; pool: at least 1")

    @property
    def weights(self) -> tuple[float, ...]:
        """In the order of `Part`."""
        return (
            self.co_engagement,
            self.interests,
            self.visual,
            self.popularity,
            self.freshness,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Ranked:
    """The candidates to show.

    Attributes:
        order_L: rows of candidates, the best first.
        scores_L: float64; falling where diversity is 0.
        contributions_LP: float64, by `Part`; a row sums to its score.
        interest_scale: what a tag adds to the score, for each unit of tag score x weight.
        cold_start: nothing is known about the person that says anything about any candidate.
    """

    order_L: NDArray[np.int64]
    scores_L: NDArray[np.float64] = field(repr=False)
    contributions_LP: NDArray[np.float64] = field(repr=False)
    interest_scale: float
    cold_start: bool


def rank(
    candidates: Candidates,
    taste: Taste,
    *,
    limit: int,
    diversity: float,
    settings: RankSettings | None = None,
) -> Ranked:
    """Picks what to show; equal candidates in their order.

    Args:
        candidates: to pick from.
        taste: the person's.
        limit: items at most, at least 1.
        diversity: in [0, 1]. 0: by score alone. For somebody who is known, d is MMR's 1 - lambda
            (Carbonell and Goldstein 1998): each pick is the greatest (1 - d) score - d x likeness
            to what is picked. For somebody who is not, d is how much the list follows the general
            distribution of clusters rather than the score.
        settings: how parts weigh.

    Raises:
        ValueError: limit or diversity is out of range.
    """
    if limit < 1 or not 0 <= diversity <= 1:
        raise ValueError("limit: at least 1; diversity: in [0, 1]")
    settings = settings or RankSettings()
    parts_nP, greatest_interest = _parts(candidates, taste, settings)
    personal = [Part.CO_ENGAGEMENT, Part.INTERESTS, Part.VISUAL]
    cold_start = not parts_nP[:, personal].any()
    weights_P = np.array(settings.weights)
    if cold_start:
        weights_P[Part.POPULARITY] = settings.cold_popularity
    contributions_nP = parts_nP * weights_P
    scores_n = contributions_nP.sum(axis=1)
    best_first = np.argsort(-scores_n, kind="stable")
    if diversity == 0 or len(best_first) < 2:
        order_L = best_first[:limit]
    else:
        pool = best_first[: settings.pool * limit]
        picked = _pick(candidates, taste, pool, scores_n[pool], limit, diversity, cold_start)
        order_L = pool[picked]
    scale = settings.interests / greatest_interest if greatest_interest > 0 else 0.0
    return Ranked(order_L, scores_n[order_L], contributions_nP[order_L], scale, cold_start)


def interest_contributions(
    candidates: Candidates, taste: Taste, row: int, scale: float
) -> list[tuple[int, float]]:
    """Splits a candidate's interest part among its interests, the greatest size first.

    Args:
        candidates: as ranked.
        taste: as ranked.
        row: the candidate.
        scale: `Ranked.interest_scale`.

    Returns:
        (row of `Taste.interest_weights_I`, contribution); they sum to the interest part. Interests
        that the person has no weight for are left out.
    """
    tags = slice(candidates.tag_offsets[row], candidates.tag_offsets[row + 1])
    interests = candidates.tag_interests_T[tags]
    raw = candidates.tag_scores_T[tags].astype(np.float64) * taste.interest_weights_I[interests]
    order = np.argsort(-np.abs(raw), kind="stable")
    return [(int(interests[i]), float(raw[i] * scale)) for i in order if raw[i]]


def top_cluster(candidates: Candidates, taste: Taste, row: int) -> int | None:
    """The cluster that says most for a candidate's picture; None without clusters or a picture."""
    if candidates.assign_nK is None or taste.shares_K is None or taste.general_K is None:
        return None
    if not candidates.has_embedding_n[row]:
        return None
    return int(np.argmax(candidates.assign_nK[row] * (taste.shares_K - taste.general_K)))


def _parts(
    candidates: Candidates, taste: Taste, settings: RankSettings
) -> tuple[NDArray[np.float64], float]:
    """Each in [-1, 1], [n, P]; and the greatest size of the interest part before it was scaled."""
    n = candidates.count
    parts_nP = np.zeros((n, len(Part)))
    parts_nP[:, Part.CO_ENGAGEMENT] = _scaled(candidates.co_engaged_n)
    raw_T = candidates.tag_scores_T * taste.interest_weights_I[candidates.tag_interests_T]
    rows_T = np.repeat(np.arange(n), np.diff(candidates.tag_offsets))
    interests_n = np.bincount(rows_T, raw_T, n).astype(np.float64)
    parts_nP[:, Part.INTERESTS] = _scaled(interests_n)
    parts_nP[:, Part.VISUAL] = _visual(candidates, taste, settings.nearest_share)
    parts_nP[:, Part.POPULARITY] = _scaled(np.log1p(candidates.popularity_n))
    ages = np.maximum(candidates.ages_s_n, 0)
    parts_nP[:, Part.FRESHNESS] = 0.5 ** (ages / settings.freshness_half_life_s)
    return parts_nP, float(np.abs(interests_n).max(initial=0))


def _visual(candidates: Candidates, taste: Taste, nearest_share: float) -> NDArray[np.float64]:
    """How much a picture is like what the person keeps, in [-1, 1]; 0 without a picture."""
    has_n = candidates.has_embedding_n
    visual_n = np.zeros(candidates.count)
    known = False
    shares_K, general_K, assign_nK = taste.shares_K, taste.general_K, candidates.assign_nK
    if shares_K is not None and general_K is not None and assign_nK is not None:
        known = True
        ratios_n = np.log((assign_nK[has_n] @ shares_K) / (assign_nK[has_n] @ general_K))
        visual_n[has_n] = _scaled(ratios_n) * (1 - nearest_share)
    if len(taste.kept_embeddings_MD) and candidates.embeddings_nD.shape[1]:
        cosines_n = (candidates.embeddings_nD @ taste.kept_embeddings_MD.T).max(axis=1)
        visual_n += np.where(has_n, np.clip(cosines_n, -1, 1), 0) * (nearest_share if known else 1)
    return visual_n


def _scaled(values_n: NDArray[np.floating]) -> NDArray[np.float64]:
    """Divided by the greatest size."""
    greatest = np.abs(values_n).max(initial=0)
    return values_n / greatest if greatest > 0 else np.zeros(len(values_n))


def _pick(
    candidates: Candidates,
    taste: Taste,
    pool: NDArray[np.int64],
    scores: NDArray[np.float64],
    limit: int,
    diversity: float,
    cold_start: bool,
) -> NDArray[np.int64]:
    """Places in the pool, in the order of being picked."""
    # Both rules want scores in [0, 1].
    scores = _scaled(scores - scores.min())
    if cold_start and taste.general_K is not None and candidates.assign_nK is not None:
        has = candidates.has_embedding_n[pool]
        # Without a picture an item belongs to clusters as everything does.
        general_K = taste.general_K / taste.general_K.sum()
        assign = np.where(has[:, None], candidates.assign_nK[pool], general_K)
        return pick_proportional(scores, assign, general_K, limit, diversity)
    likeness = Likeness.of(
        pool,
        candidates.embeddings_nD,
        candidates.has_embedding_n,
        candidates.tag_offsets,
        candidates.tag_interests_T,
        candidates.tag_scores_T,
    )
    return pick_marginal(scores, likeness, limit, diversity)
