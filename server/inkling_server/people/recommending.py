"""What to show one person now: finds candidates, ranks them, says why.

    pictures like those that they keep (HNSW) ─┐
    tags of the interests that they care for  ─┤             ┌─ seen, hidden, posted: away
    neighbours of what they engaged with      ─┼─► keys ─────┼─ who engaged with both
    what most people keep                     ─┤             └─ tags, pictures, times
    what is new                               ─┘                        │
                                                    profiles.recommend.rank ─► items, with reasons

Two rounds of queries, each in parallel. Someone of whom nothing is known gets what people in
general keep and what is new. The maths is `profiles.recommend`; SQL is storage's. It knows no RPCs.

Shapes: n candidates, I interests, K clusters, M kept pictures, D dimensions.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice, zip_longest
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from inkling_server.people.reasons import Reason, named, reasons_of
from inkling_server.profiles.clusters import VisualClusters
from inkling_server.profiles.rank import log_ratios
from inkling_server.profiles.recommend import (
    KIND_WEIGHTS,
    Candidates,
    RankSettings,
    Taste,
    rank,
)
from inkling_server.profiles.visual import soft_assign
from inkling_server.storage import Storage
from inkling_server.storage.records import Features

# Items whose co-engagement is known when they are ranked, whatever source they come from.
_LED_TO = 5_000


class PersonView(Protocol):
    """What is known of the person; `people.profiles.PersonProfile` is one."""

    @property
    def person_key(self) -> int | None:
        """Storage's; None: nobody of that id."""

    @property
    def interest_weights(self) -> Mapping[str, float]:
        """Signed weight by interest id."""

    @property
    def visual_sums_K(self) -> NDArray[np.floating] | None:  # noqa: N802 - shapes in names
        """Sums of soft assignments to the clusters; None: no picture of theirs is usable."""

    @property
    def medoid_embeddings_MD(self) -> NDArray[np.float32]:  # noqa: N802
        """A few pictures that speak for them; M may be 0."""


@dataclass(frozen=True, slots=True)
class RecommendQuery:
    """What is asked for.

    Attributes:
        user_id: for whom.
        limit: items at most.
        diversity: in [0, 1], see `profiles.recommend.rank`.
        explain: whether to give reasons.
        interest_ids: only items with one of these; empty: any.
        excluded_content_ids: never these.
    """

    user_id: str = field(repr=False)
    limit: int = 20
    diversity: float = 0.3
    explain: bool = False
    interest_ids: tuple[str, ...] = field(default=(), repr=False)
    excluded_content_ids: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class RecommendedItem:
    """One item; `reasons`' contributions sum to `score`."""

    content_id: str = field(repr=False)
    score: float
    reasons: tuple[Reason, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Recommended:
    """The best first; `cold_start`: nothing was known of the person that could be used."""

    items: tuple[RecommendedItem, ...]
    cold_start: bool


@dataclass(frozen=True, slots=True)
class RecommenderSettings:
    """How many candidates each source gives: more find better items and cost time.

    Attributes:
        near_count: for each picture that speaks for the person.
        interests: that are asked for tags, the heaviest.
        interest_count: best and newest items of each.
        recent: items of the person whose neighbours count: likes and so on first, then the newest.
        co_engaged_count, popular_count, newest_count: of each of these sources.
        candidate_count: ranked, at most; sources take turns until it is reached.
        widening: where too few are left, everything is asked for once more with this many times as
            many: of somebody who has seen all that is popular, for instance.
        rank: how parts weigh.
    """

    near_count: int = 20
    interests: int = 8
    interest_count: int = 15
    recent: int = 200
    co_engaged_count: int = 200
    popular_count: int = 60
    newest_count: int = 40
    candidate_count: int = 400
    widening: int = 8
    rank: RankSettings = field(default_factory=RankSettings)

    def widened(self) -> "RecommenderSettings":
        """With `widening` times as many of everything."""
        return replace(
            self,
            near_count=self.near_count * self.widening,
            interest_count=self.interest_count * self.widening,
            co_engaged_count=self.co_engaged_count * self.widening,
            popular_count=self.popular_count * self.widening,
            newest_count=self.newest_count * self.widening,
            candidate_count=self.candidate_count * self.widening,
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """Candidates and what is known of them; `rows_n`: of features, those that are wanted."""

    features: Features
    led_to: Mapping[int, float]
    rows_n: NDArray[np.int64]


class Recommender:
    """Recommends from storage.

    Args:
        storage: where everything is.
        settings: how many candidates, and how they are ranked.
    """

    def __init__(self, storage: Storage, settings: RecommenderSettings | None = None) -> None:
        self._storage = storage
        self._settings = settings or RecommenderSettings()

    async def recommend(
        self,
        query: RecommendQuery,
        person: PersonView,
        clusters: VisualClusters | None,
        fingerprint: str,
        now_s: float,
    ) -> Recommended:
        """Recommends.

        Args:
            query: what is asked for.
            person: what is known of them.
            clusters: that `person.visual_sums_K` belongs to; None: there are none.
            fingerprint: of the model whose pictures count.
            now_s: Unix seconds; ages count from it.

        Raises:
            StorageDown: it does not answer.
        """
        found = await self._find(query, person, fingerprint, self._settings)
        if len(found.rows_n) < query.limit:
            found = await self._find(query, person, fingerprint, self._settings.widened())
        keys, answer = await asyncio.to_thread(self._rank, query, person, clusters, found, now_s)
        led = [key for key in keys if key in found.led_to]
        if not query.explain or person.person_key is None or not led:
            return answer
        because = await self._storage.candidates.because(
            person.person_key, led, recent=self._settings.recent, kind_weights=KIND_WEIGHTS
        )
        items = tuple(
            replace(item, reasons=named(item.reasons, because.get(key, ())))
            for key, item in zip(keys, answer.items, strict=True)
        )
        return replace(answer, items=items)

    async def _find(
        self,
        query: RecommendQuery,
        person: PersonView,
        fingerprint: str,
        settings: RecommenderSettings,
    ) -> _Found:
        table, key = self._storage.candidates, person.person_key
        keys, led_to = await self._keys(query, person, fingerprint, settings)
        unwanted: set[int] = set()
        if key is None:
            features = await table.features(keys, fingerprint)
        else:
            features, unwanted = await asyncio.gather(
                table.features(keys, fingerprint), table.unwanted(key, keys)
            )
        wanted_n = ~np.isin(features.keys_N, np.array(list(unwanted), np.int64))
        excluded = frozenset(query.excluded_content_ids)
        if excluded:
            wanted_n &= np.array([name not in excluded for name in features.content_ids], bool)
        if query.interest_ids:
            wanted_n &= _has_any(features, query.interest_ids)
        return _Found(features, led_to, np.flatnonzero(wanted_n))

    async def _keys(
        self,
        query: RecommendQuery,
        person: PersonView,
        fingerprint: str,
        settings: RecommenderSettings,
    ) -> tuple[list[int], Mapping[int, float]]:
        """Candidates of all sources, each once; and what co-engagement leads to, with weights."""
        table = self._storage.candidates
        # What is excluded would only take the place of something else.
        spare = min(len(query.excluded_content_ids), settings.candidate_count)
        sources = [
            table.popular(k=settings.popular_count + spare),
            table.newest(k=settings.newest_count),
        ]
        interests: Sequence[str] = query.interest_ids
        interest_count = settings.candidate_count if interests else settings.interest_count
        if not interests:
            weights = person.interest_weights
            liked = sorted((name for name in weights if weights[name] > 0), key=weights.__getitem__)
            interests = liked[: -settings.interests - 1 : -1]
        if interests:
            sources.append(table.by_interests(interests, k=interest_count))
        if len(person.medoid_embeddings_MD):
            k = settings.near_count
            sources.append(table.near(fingerprint, person.medoid_embeddings_MD, k=k))
        found, led_to = await asyncio.gather(
            asyncio.gather(*sources), self._led_to(person, settings)
        )
        # Sorted by weight.
        found.append(list(islice(led_to, settings.co_engaged_count + spare)))
        turns = (one for turn in zip_longest(*found) for one in turn if one is not None)
        return list(dict.fromkeys(turns))[: settings.candidate_count + spare], led_to

    async def _led_to(
        self, person: PersonView, settings: RecommenderSettings
    ) -> Mapping[int, float]:
        if person.person_key is None:
            return {}
        return await self._storage.candidates.led_to(
            person.person_key, recent=settings.recent, k=_LED_TO, kind_weights=KIND_WEIGHTS
        )

    def _rank(
        self,
        query: RecommendQuery,
        person: PersonView,
        clusters: VisualClusters | None,
        found: _Found,
        now_s: float,
    ) -> tuple[list[int], Recommended]:
        """Keys and items, in order; reasons do not name the person's own items yet."""
        candidates = _candidates(found, clusters, now_s)
        features = found.features
        taste = _taste(person, clusters, features.interest_ids)
        ranked = rank(
            candidates,
            taste,
            limit=query.limit,
            diversity=query.diversity,
            settings=self._settings.rank,
        )
        rows_L = found.rows_n[ranked.order_L]
        items = tuple(
            RecommendedItem(
                features.content_ids[row],
                float(ranked.scores_L[place]),
                reasons_of(candidates, taste, ranked, place, features.interest_ids)
                if query.explain
                else (),
            )
            for place, row in enumerate(rows_L)
        )
        return features.keys_N[rows_L].tolist(), Recommended(items, ranked.cold_start)


def _has_any(features: Features, interest_ids: Sequence[str]) -> NDArray[np.bool_]:
    """Which items have one of some interests."""
    wanted = frozenset(interest_ids)
    is_wanted_I = np.array([name in wanted for name in features.interest_ids], bool)
    rows_T = np.repeat(np.arange(len(features.keys_N)), np.diff(features.offsets_N1))
    has_n = np.zeros(len(features.keys_N), bool)
    if len(rows_T):
        has_n[rows_T[is_wanted_I[features.interest_T]]] = True
    return has_n


def _candidates(found: _Found, clusters: VisualClusters | None, now_s: float) -> Candidates:
    features, rows_n = found.features, found.rows_n
    counts_n = np.diff(features.offsets_N1)[rows_n].astype(np.int64)
    offsets = np.concatenate([[0], np.cumsum(counts_n)])
    entries = np.arange(offsets[-1])
    entries += np.repeat(features.offsets_N1[rows_n] - offsets[:-1], counts_n)
    embeddings_nD = features.embeddings_ND[rows_n]
    has_n = features.has_embedding_N[rows_n]
    assign_nK = None
    if clusters is not None and has_n.any():
        assign_nK = np.zeros((len(rows_n), clusters.count), np.float32)
        assign_nK[has_n] = soft_assign(embeddings_nD[has_n], clusters)
    weights = [found.led_to.get(key, 0.0) for key in features.keys_N[rows_n].tolist()]
    return Candidates(
        co_engaged_n=np.array(weights, np.float32),
        tag_offsets=offsets,
        tag_interests_T=features.interest_T[entries],
        tag_scores_T=features.scores_T[entries],
        embeddings_nD=embeddings_nD,
        has_embedding_n=has_n,
        assign_nK=assign_nK,
        popularity_n=features.popularity_N[rows_n],
        ages_s_n=now_s - features.created_times_N[rows_n],
    )


def _taste(
    person: PersonView, clusters: VisualClusters | None, interest_ids: Sequence[str]
) -> Taste:
    """The person's side, with interests numbered as those of the candidates."""
    weights = person.interest_weights
    general_K = None if clusters is None else clusters.general_K.astype(np.float64)
    shares_K = None
    if person.visual_sums_K is not None and general_K is not None:
        shares_K = np.exp(log_ratios(person.visual_sums_K, general_K)) * general_K
    return Taste(
        np.array([weights.get(name, 0.0) for name in interest_ids], np.float32),
        shares_K,
        person.medoid_embeddings_MD,
        general_K,
    )
