"""What clients hand out about content: plain frozen values, made from messages of `inkling.v1`.

This module does not know connections, and nothing in it can fail.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from inkling.v1 import content_pb2
from inkling_client.content_values import GeoPoint
from inkling_client.context import Context, context_of
from inkling_client.errors import InklingClientError, from_status
from inkling_client.graph_results import utc
from inkling_client.results import Tag, tag_of

ReasonKind = Literal["interest", "visual", "co_engagement", "popularity", "freshness", "other"]


@dataclass(frozen=True, slots=True)
class IngestedContent:
    """An item that is stored durably.

    Args:
        content_id: the caller's.
        tags: joined from picture and texts, descending by score.
        graph_version: whose interests they are.
        model_version: what looked at the picture.
        created: False where an item of this id was replaced. An item that was sent again after a
            lost answer counts as replaced, too.
    """

    content_id: str = field(repr=False)
    tags: tuple[Tag, ...]
    graph_version: str
    model_version: str
    created: bool


IngestOutcome = IngestedContent | InklingClientError


@dataclass(frozen=True, slots=True)
class StoredContent:
    """An item as it is stored.

    Args:
        content_id: the caller's.
        context: its texts.
        author_id: "": nobody is named.
        created_time: when it was posted (UTC).
        point: where it was made; None where not known.
        tags: as they were when the item was taken in, with explanations.
        graph_version: whose interests they are.
        model_version: what looked at the picture.
        has_embedding: whether there is a picture's embedding.
    """

    content_id: str = field(repr=False)
    context: Context
    author_id: str = field(repr=False)
    created_time: datetime | None
    point: GeoPoint | None = field(repr=False)
    tags: tuple[Tag, ...]
    graph_version: str
    model_version: str
    has_embedding: bool


@dataclass(frozen=True, slots=True)
class EngagementError:
    """An engagement that was not recorded; `index`: its place among those that were given."""

    index: int
    error: InklingClientError


@dataclass(frozen=True, slots=True)
class Recorded:
    """What has become of engagements.

    Args:
        recorded_count: recorded by this call. What was recorded although its answer was lost, and
            was sent again, counts as duplicate.
        duplicate_count: had been recorded before.
        errors: of those that were not recorded; the others are.
    """

    recorded_count: int
    duplicate_count: int
    errors: tuple[EngagementError, ...] = ()

    def __add__(self, other: "Recorded") -> "Recorded":
        return Recorded(
            self.recorded_count + other.recorded_count,
            self.duplicate_count + other.duplicate_count,
            self.errors + other.errors,
        )

    def shifted(self, offset: int) -> "Recorded":
        """The same, where the first of these engagements is number `offset` of more."""
        errors = (replace(error, index=error.index + offset) for error in self.errors)
        return replace(self, errors=tuple(errors))


@dataclass(frozen=True, slots=True)
class Reason:
    """Why an item is recommended.

    Args:
        kind: "interest": the person cares for an interest that the item has; "visual": it looks
            like what they keep; "co_engagement": who engaged with the same items engaged with this
            one, too; "popularity"; "freshness"; "other": a reason that this version does not know.
        contribution: its part of the score; parts sum to the score.
        interest_id: of an "interest".
        phrase: what a person reads of it.
        cluster: the visual cluster that says most, of "visual".
        content_ids: items that the person engaged with, of "co_engagement"; at most 3.
    """

    kind: ReasonKind
    contribution: float
    interest_id: str = ""
    phrase: str = ""
    cluster: int | None = None
    content_ids: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Recommendation:
    """An item for somebody. `score` is comparable within one answer only."""

    content_id: str = field(repr=False)
    score: float
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class Recommendations:
    """What to show somebody next, the best first.

    Args:
        items: with diversity above 0 their scores need not fall.
        cold_start: nothing is known about the person that could be used.
        graph_version: whose interests they are.
        model_version: whose embeddings.
        clusters_version: "": there are no visual clusters yet.
    """

    items: tuple[Recommendation, ...]
    cold_start: bool
    graph_version: str
    model_version: str
    clusters_version: str


def ingested_content(message: content_pb2.IngestedContent) -> IngestedContent:
    """The plain value of an IngestedContent."""
    return IngestedContent(
        content_id=message.content_id,
        tags=tuple(tag_of(tag) for tag in message.tags),
        graph_version=message.graph_version,
        model_version=message.model_version,
        created=message.created,
    )


def stored_content(response: content_pb2.GetContentResponse) -> StoredContent:
    """The plain value of a GetContentResponse."""
    item = response.item
    point = None
    if item.HasField("point"):
        point = GeoPoint(item.point.latitude_deg, item.point.longitude_deg)
    return StoredContent(
        content_id=item.content_id,
        context=context_of(item.context),
        author_id=item.author_id,
        created_time=utc(item.created_time) if item.HasField("created_time") else None,
        point=point,
        tags=tuple(tag_of(tag) for tag in response.tags),
        graph_version=response.graph_version,
        model_version=response.model_version,
        has_embedding=response.has_embedding,
    )


def recorded(response: content_pb2.RecordEngagementsResponse) -> Recorded:
    """The plain value of a RecordEngagementsResponse."""
    return Recorded(
        recorded_count=response.recorded_count,
        duplicate_count=response.duplicate_count,
        errors=tuple(
            EngagementError(error.index, from_status(error.error)) for error in response.errors
        ),
    )


def recommendations(response: content_pb2.RecommendResponse) -> Recommendations:
    """The plain value of a RecommendResponse."""
    return Recommendations(
        items=tuple(
            Recommendation(item.content_id, item.score, _reasons(item.reasons))
            for item in response.recommendations
        ),
        cold_start=response.cold_start,
        graph_version=response.graph_version,
        model_version=response.model_version,
        clusters_version=response.clusters_version,
    )


def _reasons(messages: Iterable[content_pb2.Reason]) -> tuple[Reason, ...]:
    return tuple(_reason(message) for message in messages)


def _reason(message: content_pb2.Reason) -> Reason:
    parts = message.contribution
    match message.WhichOneof("reason"):
        case "interest":
            interest = message.interest
            return Reason("interest", parts, interest.interest_id, interest.phrase)
        case "visual":
            return Reason("visual", parts, cluster=message.visual.cluster)
        case "co_engagement":
            ids = tuple(message.co_engagement.content_ids)
            return Reason("co_engagement", parts, content_ids=ids)
        case "popularity":
            return Reason("popularity", parts)
        case "freshness":
            return Reason("freshness", parts)
        case _:
            return Reason("other", parts)
