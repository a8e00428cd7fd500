"""What clients hand out about a refresh of people: plain frozen values, made from operations.

This module does not know connections, and nothing in it can fail.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import grpc
from google.longrunning import operations_pb2

from inkling.v1 import profile_pb2
from inkling_client.errors import (
    InklingClientError,
    PeopleRefreshCancelled,
    PeopleRefreshFailed,
    from_status,
)
from inkling_client.graph_results import utc
from inkling_client.operation_calls import OperationKind


@dataclass(frozen=True, slots=True)
class PeopleRefreshProgress:
    """A refresh of people at one moment.

    Args:
        name: of its operation.
        done: it has succeeded, failed, or was cancelled.
        stage: "clusters", "co-engagement", "popularity", "retention"; "" where the server does not
            say.
        create_time: when it was asked for (UTC).
        end_time: None while it runs.
    """

    name: str
    done: bool
    stage: str
    create_time: datetime | None
    end_time: datetime | None

    @property
    def done_count(self) -> int:
        """0: servers do not count within a stage."""
        return 0

    @property
    def total_count(self) -> int:
        """0: not known."""
        return 0

    @property
    def stage_s(self) -> Mapping[str, float]:
        """Empty: servers do not time the stages."""
        return {}


@dataclass(frozen=True, slots=True)
class PeopleRefreshResult:
    """What a refresh of people has done.

    Args:
        clusters_version: serves now; "": there are too few pictures for clusters.
        clusters_refitted: they were fitted by this refresh.
        co_engaged_content_count: items that have items which the same people engage with.
        popular_content_count: items whose popularity is known.
        expired_engagement_count: engagements older than the retention that were deleted.
    """

    clusters_version: str
    clusters_refitted: bool
    co_engaged_content_count: int
    popular_content_count: int
    expired_engagement_count: int


def people_refresh_progress(operation: operations_pb2.Operation) -> PeopleRefreshProgress:
    """How far an operation is."""
    metadata = profile_pb2.RefreshPeopleMetadata()
    operation.metadata.Unpack(metadata)
    return PeopleRefreshProgress(
        name=operation.name,
        done=operation.done,
        stage=metadata.stage,
        create_time=utc(metadata.create_time) if metadata.HasField("create_time") else None,
        end_time=utc(metadata.end_time) if metadata.HasField("end_time") else None,
    )


def people_refresh_outcome(
    operation: operations_pb2.Operation,
) -> PeopleRefreshResult | InklingClientError | None:
    """How an operation has ended; None: it runs."""
    if not operation.done:
        return None
    if operation.HasField("error"):
        return _ended_with(from_status(operation.error))
    response = profile_pb2.RefreshPeopleResponse()
    operation.response.Unpack(response)
    return PeopleRefreshResult(
        clusters_version=response.clusters_version,
        clusters_refitted=response.clusters_refitted,
        co_engaged_content_count=response.co_engaged_content_count,
        popular_content_count=response.popular_content_count,
        expired_engagement_count=response.expired_engagement_count,
    )


def _ended_with(error: InklingClientError) -> InklingClientError:
    """One of two errors, whatever the server names: a database that was lost on the way, say."""
    if isinstance(error, PeopleRefreshFailed | PeopleRefreshCancelled):
        return error
    cancelled = error.code is grpc.StatusCode.CANCELLED
    kind = PeopleRefreshCancelled if cancelled else PeopleRefreshFailed
    return kind(error.message, reason=error.reason, code=error.code, metadata=error.metadata)


PEOPLE_REFRESH = OperationKind("refresh", people_refresh_progress, people_refresh_outcome)
