"""Content, engagements and recommendations: messages <-> domain values, and checks of messages.

Nothing here awaits or logs.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from google.protobuf import timestamp_pb2

from inkling.v1 import common_pb2, content_pb2
from inkling_server.errors import ArgumentOutOfRange, InklingError
from inkling_server.interests.content import ContentItem
from inkling_server.people.ingesting import Ingested, IngestOrder
from inkling_server.people.reasons import (
    CoEngagementReason,
    FreshnessReason,
    InterestReason,
    PopularityReason,
    VisualReason,
)
from inkling_server.people.recommending import Recommended, RecommendedItem, RecommendQuery
from inkling_server.rpc.converters import to_context, to_tag
from inkling_server.rpc.people_limits import check_count, check_id, check_ids, to_datetime
from inkling_server.rpc.status import to_status
from inkling_server.storage.records import EngagementKind, EngagementRow, StoredContent
from inkling_server.tagging import ScoredTag, explanation_of

_MAX_ENGAGEMENTS = 10_000
_MAX_DELETED = 1_000
_MAX_RECOMMENDED = 100
_MAX_WANTED_INTERESTS = 64
_MAX_EXCLUDED = 1_000
_DEFAULT_RECOMMENDED = 20
_DEFAULT_DIVERSITY = 0.3
_KINDS = frozenset(map(int, EngagementKind))


def to_order(request: content_pb2.IngestContentRequest, *, deadline: float | None) -> IngestOrder:
    """One item to take in.

    Raises:
        ArgumentOutOfRange: a field is over its limit.
    """
    item = request.item
    content_id = check_id("item.content_id", item.content_id)
    author_id = check_id("item.author_id", item.author_id) if item.author_id else None
    context = to_context(item.context, field="item.context") or ContentItem(id=content_id)
    created_time = datetime.now(UTC)
    if item.HasField("created_time"):
        created_time = to_datetime("item.created_time", item.created_time)
    return IngestOrder(
        replace(
            context,
            id=content_id,
            author_id=author_id,
            created_time=created_time,
            location=item.context.location,
            source=item.context.source or context.source,
        ),
        point=_point(item.point) if item.HasField("point") else None,
        image=request.image or None,
        deadline=deadline,
        read_text=item.context.read_text,
    )


def to_ingested(order: IngestOrder, ingested: Ingested) -> content_pb2.IngestedContent:
    """The acknowledgement of an item."""
    return content_pb2.IngestedContent(
        content_id=order.item.id,
        tags=[to_tag(tag) for tag in ingested.tags.tags],
        graph_version=ingested.tags.graph_version,
        model_version=ingested.tags.model_version,
        created=ingested.created,
    )


def to_content(stored: StoredContent, phrases: Mapping[str, str]) -> content_pb2.GetContentResponse:
    """One item as it is stored.

    Args:
        stored: the item.
        phrases: what the graph that serves calls its interests; others are called by their id.
    """
    texts = stored.texts
    item = content_pb2.ContentItem(
        content_id=stored.content_id,
        context=common_pb2.ContentContext(
            caption=texts.get("caption", ""),
            hashtags=texts.get("hashtags", []),
            overlay_text=texts.get("overlay_text", ""),
            comments=texts.get("comments", []),
            title=texts.get("title", ""),
            transcript=texts.get("transcript", ""),
            location=stored.location,
            body=texts.get("body", ""),
            source=stored.source,
        ),
        author_id=stored.author_id or "",
    )
    item.created_time.CopyFrom(to_timestamp(stored.created_time))
    if stored.point is not None:
        item.point.latitude_deg, item.point.longitude_deg = stored.point
    tags = [
        ScoredTag(
            tag.interest_id,
            phrases.get(tag.interest_id, tag.interest_id),
            tag.score,
            explanation_of(tag.explanation) if tag.explanation else None,
        )
        for tag in stored.tags
    ]
    return content_pb2.GetContentResponse(
        item=item,
        tags=[to_tag(tag) for tag in tags],
        graph_version=stored.graph_version,
        model_version=stored.model_version,
        has_embedding=stored.embedding_D is not None,
    )


def to_deleted_ids(request: content_pb2.DeleteContentRequest) -> tuple[str, ...]:
    """Items to delete. Raises ArgumentOutOfRange."""
    return check_ids("content_ids", request.content_ids, _MAX_DELETED)


def to_engagements(
    request: content_pb2.RecordEngagementsRequest,
) -> tuple[list[EngagementRow], list[int], dict[int, InklingError]]:
    """Entries that can be recorded with their places, and what is wrong with the others.

    Raises:
        ArgumentOutOfRange: there are none, or too many.
    """
    count = len(request.engagements)
    if not 1 <= count <= _MAX_ENGAGEMENTS:
        raise ArgumentOutOfRange("engagements", f"{count:,} of them", f"1 to {_MAX_ENGAGEMENTS:,}")
    rows: list[EngagementRow] = []
    places: list[int] = []
    problems: dict[int, InklingError] = {}
    now = datetime.now(UTC)
    for place, message in enumerate(request.engagements):
        try:
            rows.append(_engagement(message, now))
            places.append(place)
        except ArgumentOutOfRange as error:
            problems[place] = error
    return rows, places, problems


def to_recorded(
    recorded_count: int, duplicate_count: int, problems: dict[int, InklingError]
) -> content_pb2.RecordEngagementsResponse:
    """What became of each entry."""
    return content_pb2.RecordEngagementsResponse(
        recorded_count=recorded_count,
        duplicate_count=duplicate_count,
        errors=[
            content_pb2.EngagementError(index=place, error=to_status(problems[place]))
            for place in sorted(problems)
        ],
    )


def to_recommend_query(request: content_pb2.RecommendRequest) -> RecommendQuery:
    """What is wanted. Raises ArgumentOutOfRange."""
    limit = request.limit if request.HasField("limit") else _DEFAULT_RECOMMENDED
    diversity = request.diversity if request.HasField("diversity") else _DEFAULT_DIVERSITY
    if not 0 <= diversity <= 1:  # NaN fails, too
        raise ArgumentOutOfRange("diversity", str(diversity), "0 to 1")
    return RecommendQuery(
        user_id=check_id("user_id", request.user_id),
        limit=check_count("limit", limit, 1, _MAX_RECOMMENDED),
        diversity=diversity,
        explain=request.explain,
        interest_ids=check_ids(
            "interest_ids", request.interest_ids, _MAX_WANTED_INTERESTS, least=0
        ),
        excluded_content_ids=check_ids(
            "excluded_content_ids", request.excluded_content_ids, _MAX_EXCLUDED, least=0
        ),
    )


def to_recommendations(
    recommended: Recommended,
    phrases: Mapping[str, str],
    *,
    graph_version: str,
    model_version: str,
    clusters_version: str,
) -> content_pb2.RecommendResponse:
    """The answer to Recommend."""
    return content_pb2.RecommendResponse(
        recommendations=[_recommendation(item, phrases) for item in recommended.items],
        cold_start=recommended.cold_start,
        graph_version=graph_version,
        model_version=model_version,
        clusters_version=clusters_version,
    )


def to_timestamp(time: datetime) -> timestamp_pb2.Timestamp:
    """A moment as a message."""
    message = timestamp_pb2.Timestamp()
    message.FromDatetime(time)
    return message


def _recommendation(
    item: RecommendedItem, phrases: Mapping[str, str]
) -> content_pb2.Recommendation:
    message = content_pb2.Recommendation(content_id=item.content_id, score=item.score)
    for why in item.reasons:
        reason = message.reasons.add(contribution=why.contribution)
        if isinstance(why, InterestReason):
            reason.interest.interest_id = why.interest_id
            reason.interest.phrase = phrases.get(why.interest_id, why.interest_id)
        elif isinstance(why, VisualReason):
            reason.visual.cluster = why.cluster
        elif isinstance(why, CoEngagementReason):
            reason.co_engagement.content_ids.extend(why.content_ids)
        elif isinstance(why, PopularityReason):
            reason.popularity.SetInParent()
        elif isinstance(why, FreshnessReason):
            reason.freshness.SetInParent()
    return message


def _engagement(message: content_pb2.Engagement, now: datetime) -> EngagementRow:
    if int(message.kind) not in _KINDS:
        allowed = ", ".join(kind.name for kind in EngagementKind)
        raise ArgumentOutOfRange("engagements.kind", "not set, or not known", allowed)
    time = now
    if message.HasField("time"):
        time = to_datetime("engagements.time", message.time)
    return EngagementRow(
        request_id=check_id("engagements.request_id", message.request_id),
        user_id=check_id("engagements.user_id", message.user_id),
        content_id=check_id("engagements.content_id", message.content_id),
        kind=EngagementKind(message.kind),
        time=time,
    )


def _point(point: content_pb2.GeoPoint) -> tuple[float, float]:
    if not -90 <= point.latitude_deg <= 90:
        raise ArgumentOutOfRange("item.point.latitude_deg", "outside", "-90 to 90")
    if not -180 <= point.longitude_deg <= 180:
        raise ArgumentOutOfRange("item.point.longitude_deg", "outside", "-180 to 180")
    return point.latitude_deg, point.longitude_deg
