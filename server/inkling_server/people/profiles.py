"""One person's profile: read from storage, computed where it is stale, and remembered there.

    engagements ─► kept pictures' embeddings ─► soft assignment ─► visual sums ─┐
              └──► tags of what was engaged with ─► interests, tastes ──────────┴─► PersonProfile

What is remembered holds while the person has done nothing new, and while clusters (visual side) and
graph (interests) are the ones that it was computed with. Time alone changes nothing: every
engagement fades by the same factor, and weights are shares. The maths is `profiles`'; SQL is
storage's.
"""

import asyncio
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from inkling_server.errors import UnknownUser
from inkling_server.people.clusters import ClusterKeeper
from inkling_server.people.profile_codec import (
    PersonInterests,
    VisualSide,
    interests_fields,
    interests_of,
    pack_visual,
    unpack_visual,
)
from inkling_server.profiles.clusters import VisualClusters
from inkling_server.profiles.interest import Engaged, InterestSettings, interest_profile
from inkling_server.profiles.interest_graph import InterestGraph
from inkling_server.profiles.visual import VisualSums, profile_of, soft_assign
from inkling_server.serving_state import ServingState, StateHolder
from inkling_server.storage import Storage
from inkling_server.storage.records import Kept, Person, StoredProfile

# Pictures that speak for a person's taste in a search for more of it.
_MEDOIDS = 8


@dataclass(frozen=True, slots=True)
class ProfileLimits:
    """How much of a person's past counts: bounds the work of one profile.

    Attributes:
        max_pictures: pictures kept, the newest.
        max_engagements: engagements of the interest profile, the newest.
    """

    max_pictures: int = 1_000
    max_engagements: int = 500


@dataclass(frozen=True, slots=True, eq=False)
class PersonProfile:
    """What is known of a person, for the clusters, graph and model of one moment.

    Attributes:
        person: their row; None: nobody of that id.
        visual: sums over clusters and pictures that speak for them; None: no usable picture.
        outdated_count: pictures kept whose embedding is of another model.
        interests: weights and tastes.
        clusters: that `visual` belongs to; None: there are none.
        state_versions: of graph and model.
    """

    person: Person | None
    visual: VisualSide | None
    outdated_count: int
    interests: PersonInterests
    clusters: VisualClusters | None = field(repr=False)
    graph_version: str
    model_version: str

    @property
    def person_key(self) -> int | None:
        """Storage's key, or None."""
        return None if self.person is None else self.person.key

    @property
    def interest_weights(self) -> dict[str, float]:
        """Signed weight by interest id."""
        return {weight.interest_id: weight.weight for weight in self.interests.weights}

    @property
    def visual_sums_K(self) -> NDArray[np.float64] | None:  # noqa: N802 - shapes in names
        """Sums of soft assignments, or None."""
        return None if self.visual is None else self.visual.sums.sums_K

    @property
    def picture_count(self) -> int:
        """Pictures in the sums."""
        return 0 if self.visual is None else self.visual.sums.picture_count

    @property
    def medoid_embeddings_MD(self) -> NDArray[np.float32]:  # noqa: N802
        """Pictures that speak for the person; M may be 0."""
        if self.visual is None:
            return np.empty((0, 0), np.float32)
        return self.visual.medoids_MD


class ProfileReader:
    """Reads profiles; belongs to one event loop.

    Args:
        storage: raises StorageDown while there is none.
        states: graph and model that serve.
        clusters: visual clusters that serve.
        settings: of interest profiles.
        limits: how much of the past counts.
    """

    def __init__(
        self,
        storage: Callable[[], Storage],
        states: StateHolder,
        clusters: ClusterKeeper,
        settings: InterestSettings | None = None,
        limits: ProfileLimits | None = None,
    ) -> None:
        self._storage = storage
        self._states = states
        self._clusters = clusters
        self._settings = settings or InterestSettings()
        self._limits = limits or ProfileLimits()
        self._graph: tuple[str, InterestGraph] | None = None
        self._making_graph = asyncio.Lock()

    async def read(self, user_id: str) -> PersonProfile:
        """A person's profile, also of somebody who is not known (all empty).

        Raises:
            StorageDown: it does not answer.
        """
        clusters = await self._clusters.current()
        state = self._states.current
        person = await self._storage().people.find(user_id)
        if person is None:
            return _nobody(clusters, state)
        stamp = "" if clusters is None else clusters.version
        basis = self._basis(state)
        stored = await self._storage().people.load_profile(person.key)
        fresh = stored is not None and stored.engagement_version == person.engagement_version
        if stored is not None and fresh and stored.stamp == stamp:
            interests = interests_of(stored.interests, basis)
            if interests is not None:
                side = _unpacked(stored, clusters)
                return _profile(person, side, stored.outdated_count, interests, clusters, state)
        return await self._compute(person, clusters, state, stamp, basis)

    async def require(self, user_id: str) -> PersonProfile:
        """As `read`, of somebody who is known. Raises UnknownUser."""
        profile = await self.read(user_id)
        if profile.person is None:
            raise UnknownUser
        return profile

    async def _compute(
        self,
        person: Person,
        clusters: VisualClusters | None,
        state: ServingState,
        stamp: str,
        basis: str,
    ) -> PersonProfile:
        people = self._storage().people
        kept, engaged, graph = await asyncio.gather(
            people.kept(person.key, state.manifest.fingerprint, limit=self._limits.max_pictures),
            people.engaged(person.key, limit=self._limits.max_engagements),
            self._graph_of(state),
        )
        rows = graph.rows_of(engaged.interest_ids)
        entries = Engaged(
            engaged.kinds_M,
            engaged.times_M,
            engaged.item_M,
            rows[engaged.interest_M],
            engaged.scores_M,
        )
        side, interests = await asyncio.to_thread(self._work, kept, entries, clusters, graph, state)
        await people.save_profile(
            person.key,
            StoredProfile(
                engagement_version=person.engagement_version,
                stamp=stamp,
                visual=None if side is None else pack_visual(side),
                picture_count=0 if side is None else side.sums.picture_count,
                outdated_count=kept.outdated_count,
                interests=interests_fields(interests, basis),
                computed_time=datetime.now(UTC),
            ),
        )
        return _profile(person, side, kept.outdated_count, interests, clusters, state)

    def _work(
        self,
        kept: Kept,
        engaged: Engaged,
        clusters: VisualClusters | None,
        graph: InterestGraph,
        state: ServingState,
    ) -> tuple[VisualSide | None, PersonInterests]:
        side = None if clusters is None else visual_side(kept.embeddings_ND, clusters)
        found = interest_profile(engaged, graph, now_s=time.time(), settings=self._settings)
        return side, PersonInterests.of(found, state.graph.interests)

    def _basis(self, state: ServingState) -> str:
        """What an interest profile depends on beside the engagements."""
        settings = hashlib.sha256(repr(self._settings).encode()).hexdigest()[:8]
        return f"{state.graph_version}/{settings}"

    async def _graph_of(self, state: ServingState) -> InterestGraph:
        async with self._making_graph:
            if self._graph is None or self._graph[0] != state.graph_version:
                made = await asyncio.to_thread(InterestGraph.of, state.graph)
                self._graph = state.graph_version, made
            return self._graph[1]


def visual_side(embeddings_ND: NDArray[np.float32], clusters: VisualClusters) -> VisualSide | None:
    """Sums of the pictures, and those that speak for them; None without pictures.

    The pictures that speak are, for each of the clusters with the largest sums, the one that
    belongs to it most: several tastes rather than one average.
    """
    if not len(embeddings_ND):
        return None
    assign_NK = soft_assign(embeddings_ND, clusters)
    sums = profile_of(assign_NK)
    heaviest_first = np.argsort(-sums.sums_K, kind="stable")[:_MEDOIDS]
    rows = dict.fromkeys(assign_NK[:, heaviest_first].argmax(axis=0).tolist())
    return VisualSide(sums, embeddings_ND[list(rows)])


def _unpacked(stored: StoredProfile, clusters: VisualClusters | None) -> VisualSide | None:
    if stored.visual is None or clusters is None:
        return None
    return unpack_visual(stored.visual, stored.picture_count, clusters)


def _nobody(clusters: VisualClusters | None, state: ServingState) -> PersonProfile:
    return _profile(None, None, 0, PersonInterests((), ()), clusters, state)


def _profile(
    person: Person | None,
    side: VisualSide | None,
    outdated_count: int,
    interests: PersonInterests,
    clusters: VisualClusters | None,
    state: ServingState,
) -> PersonProfile:
    return PersonProfile(
        person,
        side,
        outdated_count,
        interests,
        clusters,
        state.graph_version,
        state.model_version,
    )


def sums_or_empty(profile: PersonProfile, clusters: VisualClusters) -> VisualSums:
    """A profile's visual sums; those of no picture where it has none."""
    return VisualSums.empty(clusters.count) if profile.visual is None else profile.visual.sums
