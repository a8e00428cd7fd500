"""Where two people differ and agree, and whose collection some pictures are.

    ProfileReader ─► two profiles ─► log-odds per cluster, interests in pairs ─► ComparedProfiles
    storage ─► embeddings of a collection ─► likelihood under each profile ─► RankedPeople

The maths is `profiles.compare`'s and `profiles.rank`'s.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from inkling_server.errors import NoClusters, ProfileEmpty, UnknownContent
from inkling_server.people.clusters import ClusterKeeper
from inkling_server.people.profiles import PersonProfile, ProfileReader, sums_or_empty
from inkling_server.profiles.clusters import VisualClusters
from inkling_server.profiles.compare import CompareSettings, Comparison, compare
from inkling_server.profiles.rank import RankSettings, best, rank
from inkling_server.profiles.visual import everybody, soft_assign
from inkling_server.serving_state import StateHolder
from inkling_server.storage import Storage

# Profiles computed at a time where a ranking needs them: the database's connections are shared.
_AT_A_TIME = 4


@dataclass(frozen=True, slots=True)
class InterestPair:
    """One interest of two people."""

    interest_id: str
    phrase: str
    first_weight: float
    second_weight: float


@dataclass(frozen=True, slots=True, eq=False)
class ComparedProfiles:
    """Two people side by side.

    Attributes:
        comparison: per cluster.
        first_shares_K: of the first person's pictures.
        second_shares_K: of the second's, or of everybody's.
        differing: weights whose difference is greatest in size, first.
        common: weights of the same sign, the greatest common part first.
        clusters: that were compared.
        graph_version: of the interests.
        model_version: of the pictures.
    """

    comparison: Comparison
    first_shares_K: NDArray[np.float64]
    second_shares_K: NDArray[np.float64]
    differing: tuple[InterestPair, ...] = field(repr=False)
    common: tuple[InterestPair, ...] = field(repr=False)
    clusters: VisualClusters = field(repr=False)
    graph_version: str
    model_version: str


@dataclass(frozen=True, slots=True)
class RankQuery:
    """A collection whose owner is sought.

    Attributes:
        content_ids: its items.
        user_ids: whom to rank; (): everybody with a visual profile.
        limit: best ones to name.
        hold_out: leave the collection's items out of everybody's profile.
    """

    content_ids: tuple[str, ...] = field(repr=False)
    user_ids: tuple[str, ...] = field(default=(), repr=False)
    limit: int = 20
    hold_out: bool = False


@dataclass(frozen=True, slots=True)
class RankedPeople:
    """The likeliest owners.

    Attributes:
        people: user id and score (nats a picture), the best first.
        candidate_count: people that were compared.
        picture_count: items of the collection that could be used.
        clusters_version: of the profiles.
        model_version: of the pictures.
    """

    people: tuple[tuple[str, float], ...] = field(repr=False)
    candidate_count: int
    picture_count: int
    clusters_version: str
    model_version: str


class ProfileComparer:
    """Compares people; belongs to one event loop.

    Args:
        storage: raises StorageDown while there is none.
        states: says which model serves.
        reader: reads profiles.
        clusters: that serve.
        prior_scale: pictures that the prior is worth where a request is silent; None: one for each
            cluster.
    """

    def __init__(
        self,
        storage: Callable[[], Storage],
        states: StateHolder,
        reader: ProfileReader,
        clusters: ClusterKeeper,
        *,
        prior_scale: float | None,
    ) -> None:
        self._storage = storage
        self._states = states
        self._reader = reader
        self._clusters = clusters
        self.prior_scale = prior_scale

    async def compare(
        self, first_id: str, second_id: str, settings: CompareSettings
    ) -> ComparedProfiles:
        """Compares two people, or one with everybody where `second_id` is empty.

        Raises:
            UnknownUser: one of them is not known.
            NoClusters: there are none for the model that serves.
            ProfileEmpty: one of them keeps no picture that could be compared.
            StorageDown: it does not answer.
        """
        first = await self._reader.require(first_id)
        clusters = _require_clusters(first.clusters)
        second = await self._reader.require(second_id) if second_id else None
        if second is not None and second.clusters is not clusters:
            # Clusters changed between the two reads.
            first = await self._reader.require(first_id)
            clusters = _require_clusters(second.clusters)
        for profile in (first, second):
            if profile is not None and profile.visual is None:
                raise ProfileEmpty
        first_sums = sums_or_empty(first, clusters)
        second_sums = everybody(clusters) if second is None else sums_or_empty(second, clusters)
        found = compare(first_sums, second_sums, clusters.general_K, settings)
        differing, common = ((), ()) if second is None else pair_interests(first, second)
        return ComparedProfiles(
            found,
            first_sums.shares_K,
            second_sums.shares_K,
            differing,
            common,
            clusters,
            first.graph_version,
            first.model_version,
        )

    async def rank(self, query: RankQuery) -> RankedPeople:
        """Orders people by how well their profile explains a collection.

        Raises:
            UnknownContent: nothing of the collection is stored with an embedding of the model
                that serves.
            NoClusters: there are none for it.
            StorageDown: it does not answer.
        """
        clusters = _require_clusters(await self._clusters.current())
        state = self._states.current
        storage = self._storage()
        ids, embeddings_MD = await storage.content.embeddings(
            query.content_ids, state.manifest.fingerprint
        )
        if not ids:
            raise UnknownContent
        if query.user_ids:
            await self._bring_up_to_date(query.user_ids)
        users, sums_UK = await storage.people.visual_profiles(
            clusters.version, clusters.count, user_ids=query.user_ids or None
        )
        kept_UM = None
        if query.hold_out and users:
            kept_UM = await storage.people.keeps(users, ids)
        assign_MK = soft_assign(embeddings_MD, clusters)
        scores_U = await asyncio.to_thread(
            rank,
            assign_MK,
            sums_UK,
            clusters.general_K,
            RankSettings(),
            kept_UM=kept_UM,
        )
        chosen = best(scores_U, query.limit)
        return RankedPeople(
            tuple((users[row], float(scores_U[row])) for row in chosen),
            candidate_count=len(users),
            picture_count=len(ids),
            clusters_version=clusters.version,
            model_version=state.model_version,
        )

    async def _bring_up_to_date(self, user_ids: Sequence[str]) -> None:
        """Computes the profiles that are stale, a few at a time."""
        places = asyncio.Semaphore(_AT_A_TIME)

        async def read(user_id: str) -> None:
            async with places:
                await self._reader.read(user_id)

        async with asyncio.TaskGroup() as group:
            for user_id in dict.fromkeys(user_ids):
                group.create_task(read(user_id))


def pair_interests(
    first: PersonProfile, second: PersonProfile
) -> tuple[tuple[InterestPair, ...], tuple[InterestPair, ...]]:
    """Interests side by side: those that differ most, and those that both have.

    What is common to two weights of the same sign is the smaller of their sizes.
    """
    phrases = {w.interest_id: w.phrase for p in (first, second) for w in p.interests.weights}
    one, other = first.interest_weights, second.interest_weights
    pairs = [
        InterestPair(name, phrases[name], one.get(name, 0.0), other.get(name, 0.0))
        for name in sorted(phrases)
    ]
    differing = sorted(pairs, key=lambda pair: -abs(pair.first_weight - pair.second_weight))
    common = [pair for pair in pairs if pair.first_weight * pair.second_weight > 0]
    common.sort(key=lambda pair: -min(abs(pair.first_weight), abs(pair.second_weight)))
    return tuple(differing), tuple(common)


def _require_clusters(clusters: VisualClusters | None) -> VisualClusters:
    if clusters is None:
        raise NoClusters
    return clusters
