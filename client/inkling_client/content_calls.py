"""What both clients of content share: requests, how items travel over a stream, and batches.

This module does not know connections: `content_client.py` and `content_aio.py` have them.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import TypeVar

from google.protobuf import timestamp_pb2

from inkling.v1 import content_pb2
from inkling_client.content_results import IngestedContent, IngestOutcome, ingested_content
from inkling_client.content_values import Engagement, EngagementKind, IngestItem
from inkling_client.errors import from_status
from inkling_client.local_errors import not_sendable
from inkling_client.requests import Image
from inkling_client.stream_kind import StreamKind

# Engagements of one request: few enough that even the longest ids stay under the 4 MiB that every
# gRPC server takes. The server takes 10,000.
BATCH_SIZE = 1_000
MAX_BATCH_SIZE = 10_000
_DELETE_SIZE = 1_000
# A request with engagements sits out a restarted server or database, as streams do.
RECORD_TIMEOUT_S = 60.0

KINDS: Mapping[EngagementKind, content_pb2.EngagementKind.ValueType] = {
    "view": content_pb2.ENGAGEMENT_KIND_VIEW,
    "like": content_pb2.ENGAGEMENT_KIND_LIKE,
    "save": content_pb2.ENGAGEMENT_KIND_SAVE,
    "share": content_pb2.ENGAGEMENT_KIND_SHARE,
    "hide": content_pb2.ENGAGEMENT_KIND_HIDE,
}

T = TypeVar("T")


def content_item(item: IngestItem) -> content_pb2.ContentItem:
    """The message of an item. Raises ValueError or TypeError where no message can hold it."""
    message = content_pb2.ContentItem(
        content_id=item.content_id,
        context=item.context.message(),
        author_id=item.author_id,
        created_time=_timestamp(item.created_time),
    )
    if item.point is not None:
        message.point.latitude_deg = item.point.latitude_deg
        message.point.longitude_deg = item.point.longitude_deg
    return message


def _ingest_message(item: IngestItem, image: bytes) -> content_pb2.IngestContentRequest:
    try:
        return content_pb2.IngestContentRequest(item=content_item(item), image=image)
    except (ValueError, TypeError):
        # Protobuf's own text repeats what it cannot hold.
        why = "an id or a text of the item is not text, or holds half a character"
        raise not_sendable(why) from None


def _ingest_outcome(reply: content_pb2.IngestContentResponse) -> IngestOutcome:
    if reply.WhichOneof("result") == "content":
        return ingested_content(reply.content)
    return from_status(reply.error)


def _image_of(item: IngestItem) -> Image:
    return b"" if item.image is None else item.image


def _image_bytes(message: content_pb2.IngestContentRequest) -> int:
    return len(message.image)


INGEST: StreamKind[IngestItem, IngestedContent] = StreamKind(
    _image_of, _ingest_message, _image_bytes, _ingest_outcome
)


def batches(engagements: Iterable[Engagement], size: int) -> Iterator[list[Engagement]]:
    """Yields them in lists of at most `size`. Raises ValueError where no request takes so many."""
    if not 1 <= size <= MAX_BATCH_SIZE:
        raise ValueError(f"batch_size must be in 1 to {MAX_BATCH_SIZE:,}")
    yield from _in_lists(engagements, size)


def delete_requests(content_ids: Iterable[str]) -> Iterator[content_pb2.DeleteContentRequest]:
    """Yields the requests that delete these."""
    for ids in _in_lists(content_ids, _DELETE_SIZE):
        yield content_pb2.DeleteContentRequest(content_ids=ids)


def _in_lists(values: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(values)
    while some := list(itertools.islice(rest, size)):
        yield some


def record_request(engagements: Iterable[Engagement]) -> content_pb2.RecordEngagementsRequest:
    """The request that records these."""
    return content_pb2.RecordEngagementsRequest(
        engagements=(
            content_pb2.Engagement(
                request_id=engagement.request_id,
                user_id=engagement.user_id,
                content_id=engagement.content_id,
                kind=KINDS[engagement.kind],
                time=_timestamp(engagement.time),
            )
            for engagement in engagements
        )
    )


def recommend_request(
    user_id: str,
    *,
    limit: int | None,
    diversity: float | None,
    explain: bool,
    interest_ids: Iterable[str],
    excluded_content_ids: Iterable[str],
) -> content_pb2.RecommendRequest:
    """The request; arguments as in `ContentClient.recommend`."""
    return content_pb2.RecommendRequest(
        user_id=user_id,
        limit=limit,
        diversity=diversity,
        explain=explain,
        interest_ids=interest_ids,
        excluded_content_ids=excluded_content_ids,
    )


def _timestamp(time: datetime | None) -> timestamp_pb2.Timestamp | None:
    if time is None:
        return None
    stamp = timestamp_pb2.Timestamp()
    stamp.FromDatetime(time)
    return stamp
