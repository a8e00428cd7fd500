"""What clients hand out about the graph: plain frozen values, made from messages of `inkling.v1`.

Refreshes are in `refresh_results.py`.

This module does not know connections, and nothing in it can fail.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from google.protobuf import timestamp_pb2
from google.protobuf.descriptor import EnumDescriptor

from inkling.v1 import graph_pb2


@dataclass(frozen=True, slots=True)
class Interest:
    """One node of the interest graph.

    Args:
        interest_id: stable across refreshes.
        phrase: what a person reads.
        aliases: other spellings and inflections that mean it.
        document_count: documents of the corpus that name it.
        pinned: in every version, whatever people post.
        trending: named clearly more often in the recent window than before.
        trend_z: z-score of its share of the recent window against the past; 0 where unknown.
        rank: PageRank; the ranks of a version sum to 1.
        topic_number: None where it belongs to none.
        community_number: None where it belongs to none.
        first_seen_time: in UTC, of the earliest document that names it; None where unknown.
        last_seen_time: of the latest.
        extractors: names of those that found it; empty where it was not mined.
    """

    interest_id: str
    phrase: str
    aliases: tuple[str, ...]
    document_count: int
    pinned: bool
    trending: bool
    trend_z: float
    rank: float
    topic_number: int | None
    community_number: int | None
    first_seen_time: datetime | None
    last_seen_time: datetime | None
    extractors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic of the corpus; `words`: the likeliest first."""

    number: int
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Community:
    """Interests that are densely joined."""

    number: int
    name: str
    interest_count: int


@dataclass(frozen=True, slots=True)
class GraphVersion:
    """A version in a few numbers; `current`: the one that serves now."""

    graph_version: str
    created_time: datetime
    interest_count: int
    edge_count: int
    document_count: int
    current: bool


@dataclass(frozen=True, slots=True)
class GraphInfo:
    """A version as a whole. One edge may be of both kinds. Communities: the largest first."""

    graph: GraphVersion
    trending_count: int
    semantic_edge_count: int
    engagement_edge_count: int
    topics: tuple[Topic, ...]
    communities: tuple[Community, ...]


@dataclass(frozen=True, slots=True)
class Neighbor:
    """An interest at the other end of an edge.

    Args:
        interest: which.
        semantic: cosine of the phrases' embeddings in [0, 1]; 0: not among each other's nearest.
        engagement: in [0, 1], whether the same people engage with both, more than by chance.
        weight: in (0, 1], both combined.
    """

    interest: Interest
    semantic: float
    engagement: float
    weight: float


@dataclass(frozen=True, slots=True)
class RenamedInterest:
    """An interest whose phrase has changed."""

    interest_id: str
    from_phrase: str
    to_phrase: str


@dataclass(frozen=True, slots=True)
class GraphDiff:
    """What changed from one version to another.

    The counts are of all; the lists may be shorter, most documents first.
    """

    from_version: str
    to_version: str
    added_count: int
    removed_count: int
    renamed_count: int
    newly_trending_count: int
    no_longer_trending_count: int
    added_edge_count: int
    removed_edge_count: int
    added: tuple[Interest, ...]
    removed: tuple[Interest, ...]
    renamed: tuple[RenamedInterest, ...]
    newly_trending: tuple[Interest, ...]
    no_longer_trending: tuple[Interest, ...]


def interest_of(message: graph_pb2.Interest) -> Interest:
    """The plain value of an Interest."""
    return Interest(
        interest_id=message.interest_id,
        phrase=message.phrase,
        aliases=tuple(message.aliases),
        document_count=message.document_count,
        pinned=message.pinned,
        trending=message.trending,
        trend_z=message.trend_z,
        rank=message.rank,
        topic_number=message.topic_number if message.HasField("topic_number") else None,
        community_number=message.community_number if message.HasField("community_number") else None,
        first_seen_time=utc(message.first_seen_time)
        if message.HasField("first_seen_time")
        else None,
        last_seen_time=utc(message.last_seen_time) if message.HasField("last_seen_time") else None,
        extractors=tuple(message.extractors),
    )


def interests_of(messages: Iterable[graph_pb2.Interest]) -> tuple[Interest, ...]:
    """The plain values of a list."""
    return tuple(interest_of(message) for message in messages)


def graph_version_of(message: graph_pb2.GraphVersion) -> GraphVersion:
    """The plain value of a GraphVersion."""
    return GraphVersion(
        graph_version=message.graph_version,
        created_time=utc(message.created_time),
        interest_count=message.interest_count,
        edge_count=message.edge_count,
        document_count=message.document_count,
        current=message.current,
    )


def graph_info(response: graph_pb2.GetGraphResponse) -> GraphInfo:
    """The plain value of a GetGraphResponse."""
    return GraphInfo(
        graph=graph_version_of(response.graph),
        trending_count=response.trending_count,
        semantic_edge_count=response.semantic_edge_count,
        engagement_edge_count=response.engagement_edge_count,
        topics=tuple(Topic(topic.number, tuple(topic.words)) for topic in response.topics),
        communities=tuple(
            Community(club.number, club.name, club.interest_count) for club in response.communities
        ),
    )


def neighbor_of(message: graph_pb2.Neighbor) -> Neighbor:
    """The plain value of a Neighbor."""
    return Neighbor(
        interest_of(message.interest), message.semantic, message.engagement, message.weight
    )


def graph_diff(response: graph_pb2.DiffGraphsResponse) -> GraphDiff:
    """The plain value of a DiffGraphsResponse."""
    return GraphDiff(
        from_version=response.from_version,
        to_version=response.to_version,
        added_count=response.added_count,
        removed_count=response.removed_count,
        renamed_count=response.renamed_count,
        newly_trending_count=response.newly_trending_count,
        no_longer_trending_count=response.no_longer_trending_count,
        added_edge_count=response.added_edge_count,
        removed_edge_count=response.removed_edge_count,
        added=interests_of(response.added),
        removed=interests_of(response.removed),
        renamed=tuple(
            RenamedInterest(entry.interest_id, entry.from_phrase, entry.to_phrase)
            for entry in response.renamed
        ),
        newly_trending=interests_of(response.newly_trending),
        no_longer_trending=interests_of(response.no_longer_trending),
    )


def utc(time: timestamp_pb2.Timestamp) -> datetime:
    """A moment, in UTC."""
    return time.ToDatetime(tzinfo=UTC)


def enum_word(enum: EnumDescriptor, number: int) -> str:
    """A value's name without its prefix; "" where this client does not know it."""
    value = enum.values_by_number.get(number)
    if value is None or number == 0:
        return ""
    prefix = enum.values_by_number[0].name.removesuffix("UNSPECIFIED")
    return value.name.removeprefix(prefix).lower()
