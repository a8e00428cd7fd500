"""Makes the next version of the graph from the corpus's state and the version before.

    records ─► choose ─► interests ─► embed (new ones) ─► semantic edges ─┐
       └─ days ─► trends, fading, retiring          people ─► NPMI edges ─┴─► ranks, communities
    sample ─► topics

Whatever can be taken over from the version before is: embeddings, nearest neighbours, topics. The
result depends on state, previous version and settings only. Nothing here reads content, writes
files or serves.

Shapes: N interests, D dimensions.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, field, replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from inkling_server.interests.activity import Activity, ActivitySettings
from inkling_server.interests.communities import Structure, StructureSettings, find_structure
from inkling_server.interests.corpus_state import CorpusState, phrase_hash
from inkling_server.interests.diff import count_shared_edges
from inkling_server.interests.edges import (
    Neighbors,
    PreviousNeighbors,
    combine,
    same_rows,
    semantic_neighbors,
)
from inkling_server.interests.embedders.base import Embedder
from inkling_server.interests.engagement import (
    EngagementEdges,
    EngagementSettings,
    engagement_edges,
)
from inkling_server.interests.graph import Edges, GraphSnapshot, Interest, Topic, make_snapshot
from inkling_server.interests.selection import Chosen, SelectionSettings, choose_interests
from inkling_server.interests.stages import Stage
from inkling_server.interests.topics.refit import TopicSettings, refit
from inkling_server.interests.vectors import Vectors

_TOPIC_WORDS = 10
_EMBED_BATCH = 512


@dataclass(frozen=True, slots=True)
class BuildSettings:
    """How a graph is made of a corpus.

    Attributes:
        selection: which phrases become interests.
        activity: trends, fading, retiring.
        topics: how topics are found.
        engagement: what joins two interests by people.
        structure: how communities are found.
        neighbor_count: nearest interests by meaning that each is joined with.
        min_cosine: and only with those that are so near.
        regroup_share: share of the edges that may come or go before communities are found anew.
            Until then they stay, so that people find again what they saw.
    """

    selection: SelectionSettings = field(default_factory=SelectionSettings)
    activity: ActivitySettings = field(default_factory=ActivitySettings)
    topics: TopicSettings = field(default_factory=TopicSettings)
    engagement: EngagementSettings = field(default_factory=EngagementSettings)
    structure: StructureSettings = field(default_factory=StructureSettings)
    neighbor_count: int = 10
    min_cosine: float = 0.4
    regroup_share: float = 0.1


@dataclass(frozen=True, slots=True)
class Built:
    """A new version, and how it differs from the one before.

    Attributes:
        snapshot: the graph.
        vectors: of its interests.
        added_count: interests that are new.
        retired_count: interests that are gone.
    """

    snapshot: GraphSnapshot
    vectors: Vectors
    added_count: int
    retired_count: int


OnProgress = Callable[[Stage, int, int], None]


def build_graph(
    state: CorpusState,
    previous: GraphSnapshot,
    previous_vectors: Vectors | None,
    embedder: Embedder,
    *,
    settings: BuildSettings,
    created_time: datetime,
    on_progress: OnProgress,
) -> Built:
    """Builds a version.

    Args:
        state: of the corpus; only what it knows of topics and of edges is changed.
        previous: the version before; its interests keep their ids.
        previous_vectors: its embeddings, if they are known.
        embedder: embeds phrases that are new, or all where it is another one than before.
        settings: how.
        created_time: of the new version.
        on_progress: told stage, done and total.
    """
    on_progress(Stage.TOPICS, 0, 1)
    refit(state, settings.topics)
    on_progress(Stage.CHOOSING, 0, len(state.records))
    interests, chosen = _interests(state, previous, settings)
    vectors = _vectors(interests, previous, previous_vectors, embedder, settings, on_progress)
    on_progress(Stage.JOINING, 0, 1)
    neighbors = _neighbors(interests, vectors, previous, previous_vectors, settings)
    edges = combine(neighbors, _engagement(state, chosen, settings.engagement))
    on_progress(Stage.RANKING, 0, 1)
    structure = _structure(state, previous, interests, edges, settings)
    placed = [
        replace(interest, rank=rank, community=None if community < 0 else community)
        for interest, rank, community in zip(
            interests, structure.rank_N.tolist(), structure.community_N.tolist(), strict=True
        )
    ]
    snapshot = make_snapshot(
        placed,
        created_time,
        edges=edges,
        topics=_topics(state, previous),
        communities=structure.communities,
        document_count=state.document_count,
        origin=_origin(state),
    )
    before, now = ({i.id for i in graph.interests} for graph in (previous, snapshot))
    return Built(snapshot, vectors, len(now - before), len(before - now))


def _interests(
    state: CorpusState, previous: GraphSnapshot, settings: BuildSettings
) -> tuple[list[Interest], list[Chosen]]:
    """The interests of the new version, sorted by id, without what edges tell."""
    activity = Activity(state, settings.activity)
    chosen = choose_interests(
        state.records, previous.interests, settings.selection, is_retired=activity.is_retired
    )
    records = {
        c.interest_id: [state.records[key] for key in c.keys if key in state.records]
        for c in chosen
    }
    trends = activity.trends(records)
    topics_before = {interest.id: interest.topic for interest in previous.interests}
    interests = []
    for c in chosen:
        own = records[c.interest_id]
        unseen = min((activity.unseen_days(record) for record in own), default=0)
        trend = trends.get(c.interest_id)
        topic = topics_before.get(c.interest_id) if state.topics is None else None
        if state.topics is not None and c.keys:
            topic = state.topics.topics.topic_of(c.keys[0])
        interests.append(
            Interest(
                c.interest_id,
                c.phrase,
                c.aliases,
                c.document_count if c.pinned else activity.faded(c.document_count, unseen),
                pinned=c.pinned,
                trend_z=round(trend.z_score, 4) if trend else 0.0,
                is_trending=bool(trend and trend.is_trending),
                topic=topic,
                first_seen=c.first_seen,
                last_seen=c.last_seen,
                extractors=c.extractors,
            )
        )
    return interests, chosen


def _vectors(
    interests: Sequence[Interest],
    previous: GraphSnapshot,
    previous_vectors: Vectors | None,
    embedder: Embedder,
    settings: BuildSettings,
    on_progress: OnProgress,
) -> Vectors:
    """Takes over what the same embedder gave the same phrase before; embeds the rest."""
    embeddings_ND = np.zeros((len(interests), embedder.dimension), np.float32)
    known: dict[str, NDArray[np.float32]] = {}
    if previous_vectors is not None and previous_vectors.fingerprint == embedder.fingerprint:
        rows = zip(previous.interests, previous_vectors.embeddings_ND, strict=True)
        known = {interest.phrase: row for interest, row in rows}
    missing = []
    for row, interest in enumerate(interests):
        if interest.phrase in known:
            embeddings_ND[row] = known[interest.phrase]
        else:
            missing.append(row)
    on_progress(Stage.EMBEDDING, 0, len(missing))
    # By length: an encoder pads a batch to its longest text.
    missing.sort(key=lambda row: len(interests[row].phrase))
    for start in range(0, len(missing), _EMBED_BATCH):
        batch = missing[start : start + _EMBED_BATCH]
        embeddings_ND[batch] = embedder.embed([interests[row].phrase for row in batch])
        on_progress(Stage.EMBEDDING, start + len(batch), len(missing))
    return Vectors(
        embedder.fingerprint, embeddings_ND, settings.neighbor_count, settings.min_cosine
    )


def _neighbors(
    interests: Sequence[Interest],
    vectors: Vectors,
    previous: GraphSnapshot,
    previous_vectors: Vectors | None,
    settings: BuildSettings,
) -> Neighbors:
    """Nearest interests by meaning; only what is new is searched for where that is enough."""
    k, min_cosine = settings.neighbor_count, settings.min_cosine
    before = None
    if previous_vectors is not None and (
        previous_vectors.fingerprint,
        previous_vectors.neighbor_count,
        previous_vectors.min_cosine,
    ) == (vectors.fingerprint, k, min_cosine):
        rows_N = same_rows(
            [interest.id for interest in previous.interests],
            previous_vectors.embeddings_ND,
            [interest.id for interest in interests],
            vectors.embeddings_ND,
        )
        count = len(previous.interests)
        lists = Neighbors.from_edges(previous.edges, count, k=k, min_cosine=min_cosine)
        before = PreviousNeighbors(lists, rows_N)
    return semantic_neighbors(vectors.embeddings_ND, k=k, min_cosine=min_cosine, previous=before)


def _engagement(
    state: CorpusState, chosen: Sequence[Chosen], settings: EngagementSettings
) -> EngagementEdges:
    """Edges between interests that the same people engage with."""
    row_of = {phrase_hash(key): row for row, c in enumerate(chosen) for key in c.keys}
    offsets, rows = [0], []
    for phrases in state.people.values():
        own = {row_of[phrase] for phrase in phrases if phrase in row_of}
        if own:
            rows.extend(sorted(own))
            offsets.append(len(rows))
    return engagement_edges(
        np.array(offsets, np.int64), np.array(rows, np.int64), len(chosen), settings
    )


def _structure(
    state: CorpusState,
    previous: GraphSnapshot,
    interests: Sequence[Interest],
    edges: Edges,
    settings: BuildSettings,
) -> Structure:
    """Ranks and communities; communities anew only where enough has changed."""
    shared_count = count_shared_edges(previous, interests, edges)
    state.changed_edge_count += len(previous.edges) + len(edges) - 2 * shared_count
    if previous.communities and state.changed_edge_count <= settings.regroup_share * len(edges):
        before = {i.id: i.community for i in previous.interests if i.community is not None}
        return find_structure(interests, edges, settings.structure, before=before)
    state.changed_edge_count = 0
    return find_structure(interests, edges, settings.structure)


def _origin(state: CorpusState) -> str:
    """Tells versions apart whose states are not the same, also where the graphs are.

    So it is where somebody was forgotten who had changed nothing in the graph.
    """
    marks: dict[str, object] = {
        name: astuple(mark) for name, mark in sorted(state.watermark.items())
    }
    return json.dumps(marks | ({"stored": state.stored.digest()} if state.stored else {}))


def _topics(state: CorpusState, previous: GraphSnapshot) -> Sequence[Topic]:
    """Topics of the corpus; those of the version before until enough of a corpus is known."""
    if state.topics is None:
        return previous.topics
    words = state.topics.topics.top_words(_TOPIC_WORDS)
    return [Topic(number, tuple(own)) for number, own in enumerate(words)]
