"""Everything about content and people behind one reference, opened and closed as one.

    StorageKeeper ─┬─► Ingester
                   ├─► ClusterKeeper ─► ProfileReader ─┬─► ProfileComparer
                   │                                   ├─► Recommender
                   │                                   └─► PeopleRefresher
                   └─► erasure, and its traces on disk (scrub)

Tagging never waits for any of it: while the database is down, RPCs of content and people answer
STORAGE_DOWN, and everything else goes on. It does not know gRPC or SQL.
"""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from inkling_server.interests.graph import GraphSnapshot
from inkling_server.people.clusters import ClusterKeeper
from inkling_server.people.comparing import ProfileComparer
from inkling_server.people.ingesting import Ingester, IngestLimits
from inkling_server.people.operation import people_files
from inkling_server.people.profiles import PersonProfile, ProfileLimits, ProfileReader
from inkling_server.people.recommending import Recommended, Recommender, RecommendQuery
from inkling_server.people.refreshing import PeoplePolicy, PeopleRefresher, end
from inkling_server.people.storage_keeper import StorageKeeper
from inkling_server.profiles.clusters import VisualClusters
from inkling_server.profiles.interest import InterestSettings
from inkling_server.serving_state import StateHolder
from inkling_server.storage import Storage
from inkling_server.storage.records import EngagementRow, Erased, Recorded
from inkling_server.tagging import Tagger

_log = logging.getLogger(__name__)
# Erased bytes leave the disk this long after the latest erasure: many in a row cost one scrub.
_SCRUB_AFTER_S = 30.0


@dataclass(frozen=True, slots=True)
class PeopleSettings:
    """How content and people are handled.

    Attributes:
        repository: the model repository: clusters lie beside models.
        operations: folder of refreshes of the past.
        half_life_days: of engagement in interest profiles.
        prior_scale: of comparisons; None: one picture for each cluster.
        refresh: when and how people are refreshed.
        ingest: how items are written.
        scrub_after_s: pause between an erasure and its scrub.
    """

    repository: Path
    operations: Path
    half_life_days: float
    prior_scale: float | None
    refresh: PeoplePolicy
    ingest: IngestLimits
    scrub_after_s: float = _SCRUB_AFTER_S


@dataclass(frozen=True, slots=True)
class RecommendedNow:
    """Recommendations and what they were made with."""

    recommended: Recommended
    graph_version: str
    model_version: str
    clusters_version: str


class People:
    """Content and people. `open_people` makes it; all methods belong to one event loop.

    Attributes:
        ingester: takes items in.
        reader: reads profiles.
        comparer: compares and ranks people.
        clusters: visual clusters that serve.
        refresher: refreshes what belongs to all.
    """

    def __init__(
        self,
        storage: StorageKeeper,
        states: StateHolder,
        tagger: Tagger,
        settings: PeopleSettings,
    ) -> None:
        self._keeper = storage
        self._states = states
        self._scrub_after_s = settings.scrub_after_s
        self.clusters = ClusterKeeper(storage.require, states, settings.repository)
        self.reader = ProfileReader(
            storage.require,
            states,
            self.clusters,
            InterestSettings(half_life_days=settings.half_life_days),
            ProfileLimits(),
        )
        self.comparer = ProfileComparer(
            storage.require,
            states,
            self.reader,
            self.clusters,
            prior_scale=settings.prior_scale,
        )
        self.ingester = Ingester(storage.require, lambda: tagger, settings.ingest)
        self.refresher = PeopleRefresher(
            storage.require,
            states,
            self.clusters,
            self.reader,
            people_files(settings.operations),
            settings.refresh,
        )
        self._phrases: tuple[GraphSnapshot, Mapping[str, str]] | None = None
        self._scrub: asyncio.Task[None] | None = None
        self._scrub_content = False

    def storage(self) -> Storage:
        """The database. Raises StorageDown."""
        return self._keeper.require()

    async def wait_until_up(self) -> None:
        """Returns when the database is there; never, where there is to be none."""
        await self._keeper.wait_until_up()

    @property
    def has_storage(self) -> bool:
        """Whether there is a database now."""
        return self._keeper.is_up

    @property
    def storage_state(self) -> str:
        """The database in a few words, for people."""
        return self._keeper.state

    @property
    def model_version(self) -> str:
        """Of the model that serves."""
        return self._states.current.model_version

    def phrases(self) -> Mapping[str, str]:
        """What the graph that serves calls its interests, by id."""
        graph = self._states.current.graph
        if self._phrases is None or self._phrases[0] is not graph:
            self._phrases = graph, {i.id: i.phrase for i in graph.interests}
        return self._phrases[1]

    async def phrases_of_clusters(
        self, exemplars: Mapping[int, Sequence[str]], count: int
    ) -> dict[int, list[str]]:
        """What each cluster's exemplars are tagged with most. Raises StorageDown.

        Args:
            exemplars: content ids by cluster.
            count: phrases of a cluster, at most.
        """
        asked = [content_id for ids in exemplars.values() for content_id in ids]
        interests = await self.storage().content.interests(asked)
        names = self.phrases()
        found = {}
        for cluster, ids in exemplars.items():
            sums: defaultdict[str, float] = defaultdict(float)
            for content_id in ids:
                for interest_id, score in interests.get(content_id, ()):
                    sums[interest_id] += score
            heaviest = sorted(sums.items(), key=lambda entry: (-entry[1], entry[0]))[:count]
            found[cluster] = [names.get(name, name) for name, _ in heaviest]
        return found

    async def record(self, rows: Sequence[EngagementRow]) -> Recorded:
        """Records engagements durably. Raises StorageDown."""
        return await self.storage().engagements.record(rows)

    async def delete_content(self, content_ids: Sequence[str]) -> int:
        """Deletes items; how many there were. Raises StorageDown."""
        count = await self.storage().content.delete(content_ids)
        if count:
            self._scrub_later(content=True)
        return count

    async def erase(self, user_id: str) -> Erased:
        """Erases everything of a person in one transaction. Raises StorageDown."""
        erased = await self.storage().people.erase(user_id)
        self._scrub_later(content=erased.content_count > 0)
        return erased

    async def recommend(self, query: RecommendQuery) -> RecommendedNow:
        """What to show somebody. Raises StorageDown."""
        person = await self.reader.read(query.user_id)
        state = self._states.current
        recommender = Recommender(self.storage())
        recommended = await recommender.recommend(
            query, person, person.clusters, state.manifest.fingerprint, time.time()
        )
        return RecommendedNow(
            recommended,
            person.graph_version,
            person.model_version,
            _version(person.clusters),
        )

    async def profile(self, user_id: str) -> PersonProfile:
        """A known person's profile. Raises UnknownUser, StorageDown."""
        return await self.reader.require(user_id)

    async def close(self) -> None:
        """Ends what runs: what waits to be written fails, a due scrub is done now."""
        await self.refresher.close()
        await self.ingester.close()
        if self._scrub is not None and not self._scrub.done():
            await end(self._scrub)
            await self._do_scrub()

    def _scrub_later(self, *, content: bool) -> None:
        if not self._keeper.can_scrub:
            return
        self._scrub_content |= content
        if self._scrub is None or self._scrub.done():
            self._scrub = asyncio.create_task(self._scrub_soon(), name="scrub")

    async def _scrub_soon(self) -> None:
        await asyncio.sleep(self._scrub_after_s)
        await self._do_scrub()

    async def _do_scrub(self) -> None:
        content, self._scrub_content = self._scrub_content, False
        await self._keeper.scrub(content=content)


@asynccontextmanager
async def open_people(
    storage: StorageKeeper, states: StateHolder, tagger: Tagger, settings: PeopleSettings
) -> AsyncIterator[People]:
    """Content and people during the block.

    Args:
        storage: opens the database by itself, in its own time.
        states: graph and model that serve.
        tagger: tags items.
        settings: how.
    """
    people = People(storage, states, tagger, settings)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(people.close)
        refreshing = asyncio.create_task(_refresh_when_up(storage, people.refresher))
        stack.push_async_callback(end, refreshing)
        yield people


async def _refresh_when_up(storage: StorageKeeper, refresher: PeopleRefresher) -> None:
    await storage.wait_until_up()
    await refresher.run()


def _version(clusters: VisualClusters | None) -> str:
    return "" if clusters is None else clusters.version
