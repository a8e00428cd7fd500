"""What clients hand out about a refresh of the graph: plain frozen values, made from operations.

This module does not know connections, and nothing in it can fail.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from google.longrunning import operations_pb2

from inkling.v1 import graph_pb2
from inkling_client.errors import InklingClientError, from_status
from inkling_client.graph_results import Interest, enum_word, interests_of, utc
from inkling_client.operation_calls import OperationKind


@dataclass(frozen=True, slots=True)
class RefreshProgress:
    """A refresh at one moment.

    Args:
        name: of its operation.
        done: it has succeeded, failed, or was cancelled.
        stage: "loading", "reading", ... "done"; "" where the server does not say.
        done_count: of this stage: bytes while reading, else phrases.
        total_count: 0 where not known.
        remaining_s: until the whole refresh is done; None where not known yet.
        base_version: what it builds on.
        feed: "demo" where no content was given to the server.
        stage_s: how long each finished stage took.
        create_time: when it was asked for (UTC).
        end_time: None while it runs.
    """

    name: str
    done: bool
    stage: str
    done_count: int
    total_count: int
    remaining_s: float | None
    base_version: str
    feed: str
    stage_s: Mapping[str, float]
    create_time: datetime | None
    end_time: datetime | None


@dataclass(frozen=True, slots=True)
class RefreshResult:
    """What a refresh has done.

    Args:
        graph_version: serves now; equals `base_version` where nothing was new.
        base_version: what it was built on.
        item_count: content items that were read: the sum of the next four.
        kept_count: items that were mined.
        near_duplicate_count: items that repeat an earlier one.
        other_language_count: items set aside for their language.
        empty_count: items without a word.
        invalid_count: lines of the feed that are no content items.
        engagement_count: engagements that were read.
        interest_count: interests of the version.
        added_count: interests that the base does not have.
        retired_count: interests of the base that are gone.
        edge_count: edges of the version.
        trending: the surest first, at most 50.
    """

    graph_version: str
    base_version: str
    item_count: int
    kept_count: int
    near_duplicate_count: int
    other_language_count: int
    empty_count: int
    invalid_count: int
    engagement_count: int
    interest_count: int
    added_count: int
    retired_count: int
    edge_count: int
    trending: tuple[Interest, ...]


def refresh_progress(operation: operations_pb2.Operation) -> RefreshProgress:
    """How far an operation is."""
    metadata = graph_pb2.RefreshGraphMetadata()
    operation.metadata.Unpack(metadata)
    remaining_s = None
    if metadata.HasField("remaining_duration"):
        remaining_s = metadata.remaining_duration.ToNanoseconds() / 1e9
    return RefreshProgress(
        name=operation.name,
        done=operation.done,
        stage=_stage(metadata.stage),
        done_count=metadata.done_count,
        total_count=metadata.total_count,
        remaining_s=remaining_s,
        base_version=metadata.base_version,
        feed=metadata.feed,
        stage_s={
            _stage(entry.stage): entry.duration.ToNanoseconds() / 1e9
            for entry in metadata.stage_durations
        },
        create_time=utc(metadata.create_time) if metadata.HasField("create_time") else None,
        end_time=utc(metadata.end_time) if metadata.HasField("end_time") else None,
    )


def refresh_outcome(
    operation: operations_pb2.Operation,
) -> RefreshResult | InklingClientError | None:
    """How an operation has ended; None: it runs."""
    if not operation.done:
        return None
    if operation.HasField("error"):
        return from_status(operation.error)
    response = graph_pb2.RefreshGraphResponse()
    operation.response.Unpack(response)
    return RefreshResult(
        graph_version=response.graph_version,
        base_version=response.base_version,
        item_count=response.item_count,
        kept_count=response.kept_count,
        near_duplicate_count=response.near_duplicate_count,
        other_language_count=response.other_language_count,
        empty_count=response.empty_count,
        invalid_count=response.invalid_count,
        engagement_count=response.engagement_count,
        interest_count=response.interest_count,
        added_count=response.added_count,
        retired_count=response.retired_count,
        edge_count=response.edge_count,
        trending=interests_of(response.trending),
    )


REFRESH = OperationKind("refresh", refresh_progress, refresh_outcome)


def _stage(number: graph_pb2.RefreshStage.ValueType) -> str:
    return enum_word(graph_pb2.RefreshStage.DESCRIPTOR, number)
