"""Graphs and refreshes as messages of `inkling.v1` and `google.longrunning`.

Only values become messages here; what a request asks for is read in `graph_queries.py`. Nothing
here awaits, logs or can fail.
"""

from collections.abc import Iterable
from datetime import datetime

from google.longrunning import operations_pb2
from google.protobuf import duration_pb2, timestamp_pb2

from inkling.v1 import graph_pb2
from inkling_server.interests.diff import GraphDiff
from inkling_server.interests.graph import GraphSnapshot, Interest
from inkling_server.interests.library import VersionFacts
from inkling_server.interests.view import EdgeKind, GraphView, NeighborRows
from inkling_server.refresh.operation import RefreshOperation, RefreshSummary, Stage
from inkling_server.rpc.status import to_status


def to_interest(interest: Interest) -> graph_pb2.Interest:
    """One node."""
    message = graph_pb2.Interest(
        interest_id=interest.id,
        phrase=interest.phrase,
        aliases=interest.aliases,
        document_count=interest.count,
        pinned=interest.pinned,
        trending=interest.is_trending,
        trend_z=interest.trend_z,
        rank=interest.rank,
        topic_number=interest.topic,
        community_number=interest.community,
        extractors=interest.extractors,
    )
    if interest.first_seen is not None:
        message.first_seen_time.CopyFrom(to_time(interest.first_seen))
    if interest.last_seen is not None:
        message.last_seen_time.CopyFrom(to_time(interest.last_seen))
    return message


def to_version(facts: VersionFacts) -> graph_pb2.GraphVersion:
    """A version in a few numbers."""
    return graph_pb2.GraphVersion(
        graph_version=facts.version,
        created_time=to_time(facts.created_time),
        interest_count=facts.interest_count,
        edge_count=facts.edge_count,
        document_count=facts.document_count,
        current=facts.is_current,
    )


def to_graph(view: GraphView, *, is_current: bool) -> graph_pb2.GetGraphResponse:
    """A version as a whole."""
    graph = view.snapshot
    largest_first = sorted(graph.communities, key=lambda club: (-club.interest_count, club.number))
    return graph_pb2.GetGraphResponse(
        graph=to_version(VersionFacts.of(graph, is_current=is_current)),
        trending_count=view.trending_count,
        semantic_edge_count=view.edge_counts[EdgeKind.SEMANTIC],
        engagement_edge_count=view.edge_counts[EdgeKind.ENGAGEMENT],
        topics=[graph_pb2.Topic(number=t.number, words=t.words) for t in graph.topics],
        communities=[
            graph_pb2.Community(number=c.number, name=c.name, interest_count=c.interest_count)
            for c in largest_first
        ],
    )


def to_neighbors(
    graph: GraphSnapshot, found: NeighborRows, entries: slice
) -> list[graph_pb2.Neighbor]:
    """Some of what was found, with all weights of each edge."""
    edges = graph.edges
    return [
        graph_pb2.Neighbor(
            interest=to_interest(graph.interests[row]),
            semantic=edges.semantic_E[edge],
            engagement=edges.engagement_E[edge],
            weight=edges.weight_E[edge],
        )
        for row, edge in zip(found.rows_K[entries], found.edges_K[entries], strict=True)
    ]


def to_diff(
    from_version: str, to_version: str, diff: GraphDiff, max_entry_count: int
) -> graph_pb2.DiffGraphsResponse:
    """What changed; at most so many entries of each list, and the counts of all."""

    def first(interests: Iterable[Interest]) -> list[graph_pb2.Interest]:
        return [to_interest(interest) for interest in list(interests)[:max_entry_count]]

    return graph_pb2.DiffGraphsResponse(
        from_version=from_version,
        to_version=to_version,
        added_count=len(diff.added),
        removed_count=len(diff.removed),
        renamed_count=len(diff.renamed),
        newly_trending_count=len(diff.newly_trending),
        no_longer_trending_count=len(diff.no_longer_trending),
        added_edge_count=diff.added_edge_count,
        removed_edge_count=diff.removed_edge_count,
        added=first(diff.added),
        removed=first(diff.removed),
        renamed=[
            graph_pb2.RenamedInterest(
                interest_id=after.id, from_phrase=before.phrase, to_phrase=after.phrase
            )
            for before, after in diff.renamed[:max_entry_count]
        ],
        newly_trending=first(diff.newly_trending),
        no_longer_trending=first(diff.no_longer_trending),
    )


def to_operation(refresh: RefreshOperation) -> operations_pb2.Operation:
    """A refresh at one moment: metadata always, and its result or its error once it has ended."""
    message = operations_pb2.Operation(name=refresh.name, done=refresh.is_done)
    message.metadata.Pack(_to_metadata(refresh))
    if refresh.error is not None:
        message.error.CopyFrom(to_status(refresh.error))
    elif refresh.summary is not None:
        message.response.Pack(_to_summary(refresh.summary))
    return message


def to_stage(stage: Stage) -> graph_pb2.RefreshStage.ValueType:
    """The same stage in the API."""
    return graph_pb2.RefreshStage.Value(f"REFRESH_STAGE_{stage.name}")


def to_time(time: datetime) -> timestamp_pb2.Timestamp:
    """A moment, whatever its time zone."""
    message = timestamp_pb2.Timestamp()
    message.FromDatetime(time)
    return message


def to_duration(seconds: float) -> duration_pb2.Duration:
    """A span of time, to the nanosecond."""
    message = duration_pb2.Duration()
    message.FromNanoseconds(round(seconds * 1e9))
    return message


def _to_metadata(refresh: RefreshOperation) -> graph_pb2.RefreshGraphMetadata:
    progress = refresh.progress
    message = graph_pb2.RefreshGraphMetadata(
        stage=to_stage(progress.stage),
        done_count=progress.done_count,
        total_count=progress.total_count,
        create_time=to_time(refresh.create_time),
        base_version=refresh.base_version,
        feed=refresh.feed,
        stage_durations=[
            graph_pb2.StageDuration(stage=to_stage(stage), duration=to_duration(seconds))
            for stage, seconds in refresh.stage_s.items()
        ],
    )
    if progress.remaining_s is not None:
        message.remaining_duration.CopyFrom(to_duration(progress.remaining_s))
    if refresh.end_time is not None:
        message.end_time.CopyFrom(to_time(refresh.end_time))
    return message


def _to_summary(summary: RefreshSummary) -> graph_pb2.RefreshGraphResponse:
    return graph_pb2.RefreshGraphResponse(
        graph_version=summary.graph_version,
        base_version=summary.base_version,
        item_count=summary.item_count,
        kept_count=summary.kept_count,
        near_duplicate_count=summary.near_duplicate_count,
        other_language_count=summary.other_language_count,
        empty_count=summary.empty_count,
        invalid_count=summary.invalid_count,
        engagement_count=summary.engagement_count,
        interest_count=summary.interest_count,
        added_count=summary.added_count,
        retired_count=summary.retired_count,
        edge_count=summary.edge_count,
        trending=[to_interest(interest) for interest in summary.trending],
    )
