"""What requests of GraphService ask for: checked, with the place where their page begins.

    request ─► InterestQuery, NeighborQuery ─► rows of one GraphView

A query whose request carries a page token stays with the version that the token names, also where
another one serves by now. This module makes no messages of interests and does not await.
"""

from dataclasses import dataclass
from typing import TypeVar

from google.protobuf.message import Message

from inkling.v1 import graph_pb2
from inkling_server.errors import ArgumentOutOfRange, UnknownInterest
from inkling_server.interests.export import ExportFormat
from inkling_server.interests.view import EdgeKind, GraphView, InterestOrder, Rows
from inkling_server.rpc.paging import count_in_range, make_token, read_token

MAX_PREFIX_LENGTH = 100
_ORDERS: dict[int, InterestOrder] = {
    graph_pb2.INTEREST_ORDER_UNSPECIFIED: InterestOrder.PHRASE,
    graph_pb2.INTEREST_ORDER_PHRASE: InterestOrder.PHRASE,
    graph_pb2.INTEREST_ORDER_COUNT: InterestOrder.COUNT,
    graph_pb2.INTEREST_ORDER_TREND: InterestOrder.TREND,
    graph_pb2.INTEREST_ORDER_RANK: InterestOrder.RANK,
}
_KINDS: dict[int, EdgeKind] = {
    graph_pb2.EDGE_KIND_UNSPECIFIED: EdgeKind.COMBINED,
    graph_pb2.EDGE_KIND_SEMANTIC: EdgeKind.SEMANTIC,
    graph_pb2.EDGE_KIND_ENGAGEMENT: EdgeKind.ENGAGEMENT,
}
_FORMATS: dict[int, ExportFormat] = {
    graph_pb2.EXPORT_FORMAT_GRAPHML: ExportFormat.GRAPHML,
    graph_pb2.EXPORT_FORMAT_GEXF: ExportFormat.GEXF,
    graph_pb2.EXPORT_FORMAT_JSON: ExportFormat.JSON,
}
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Page:
    """Where a page lies.

    Attributes:
        request: that asks for it.
        graph_version: to read; "" is the current one.
        offset: entries before it.
        size: most entries of it.
    """

    request: Message
    graph_version: str
    offset: int
    size: int

    @classmethod
    def of(cls, request: graph_pb2.ListInterestsRequest | graph_pb2.ListNeighborsRequest) -> "Page":
        """Raises ArgumentOutOfRange, BadPageToken."""
        size = count_in_range("page_size", request.page_size)
        place = read_token(request.page_token, request, 2)
        version, offset = place or (request.graph_version, "0")
        return cls(request, version, int(offset), size)

    @property
    def entries(self) -> slice:
        """Of everything that was found."""
        return slice(self.offset, self.offset + self.size)

    def next_token(self, version: str, total_count: int) -> str:
        """The token of the page after it; "": there is none."""
        end = self.offset + self.size
        return make_token(self.request, version, str(end)) if end < total_count else ""


@dataclass(frozen=True, slots=True)
class InterestQuery:
    """A ListInterestsRequest; attributes as in `GraphView.select`."""

    page: Page
    order: InterestOrder
    prefix: str
    trending_only: bool
    community: int | None

    @classmethod
    def of(cls, request: graph_pb2.ListInterestsRequest) -> "InterestQuery":
        """Raises ArgumentOutOfRange, BadPageToken."""
        if len(request.prefix) > MAX_PREFIX_LENGTH:
            raise ArgumentOutOfRange(
                "prefix", f"{len(request.prefix):,} characters", f"at most {MAX_PREFIX_LENGTH}"
            )
        return cls(
            Page.of(request),
            _choose("order", request.order, _ORDERS),
            request.prefix,
            request.trending_only,
            request.community_number if request.HasField("community_number") else None,
        )

    def rows(self, view: GraphView) -> Rows:
        """Of all pages."""
        return view.select(
            self.order,
            prefix=self.prefix,
            trending_only=self.trending_only,
            community=self.community,
        )


@dataclass(frozen=True, slots=True)
class NeighborQuery:
    """A ListNeighborsRequest."""

    page: Page
    interest_id: str
    kind: EdgeKind

    @classmethod
    def of(cls, request: graph_pb2.ListNeighborsRequest) -> "NeighborQuery":
        """Raises ArgumentOutOfRange, BadPageToken."""
        return cls(Page.of(request), request.interest_id, _choose("kind", request.kind, _KINDS))

    def row(self, view: GraphView) -> int:
        """Of the interest. Raises UnknownInterest."""
        row = view.row_of(self.interest_id)
        if row is None:
            raise UnknownInterest(view.snapshot.version)
        return row


def export_format(number: int) -> ExportFormat:
    """Raises ArgumentOutOfRange."""
    return _choose("format", number, _FORMATS)


def _choose(field: str, number: int, values: dict[int, V]) -> V:
    if number not in values:
        raise ArgumentOutOfRange(field, f"{number} means nothing here", "see graph.proto")
    return values[number]
