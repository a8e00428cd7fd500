"""What both clients of the graph share: requests, and the words for their choices.

This module does not know connections: `graph_client.py` and `graph_aio.py` have them.
"""

from collections.abc import Mapping
from typing import Literal, TypeVar

from inkling.v1 import graph_pb2

Order = Literal["phrase", "count", "trend", "rank"]
EdgeKind = Literal["combined", "semantic", "engagement"]
ExportFormat = Literal["graphml", "gexf", "json"]
PAGE_SIZE = 1_000

# Longer than a call's usual deadline: they wait for something to be done.
ROLLBACK_TIMEOUT_S = 300.0
EXPORT_TIMEOUT_S = 600.0

ORDERS: Mapping[Order, graph_pb2.InterestOrder.ValueType] = {
    "phrase": graph_pb2.INTEREST_ORDER_PHRASE,
    "count": graph_pb2.INTEREST_ORDER_COUNT,
    "trend": graph_pb2.INTEREST_ORDER_TREND,
    "rank": graph_pb2.INTEREST_ORDER_RANK,
}
KINDS: Mapping[EdgeKind, graph_pb2.EdgeKind.ValueType] = {
    "combined": graph_pb2.EDGE_KIND_UNSPECIFIED,
    "semantic": graph_pb2.EDGE_KIND_SEMANTIC,
    "engagement": graph_pb2.EDGE_KIND_ENGAGEMENT,
}
FORMATS: Mapping[ExportFormat, graph_pb2.ExportFormat.ValueType] = {
    "graphml": graph_pb2.EXPORT_FORMAT_GRAPHML,
    "gexf": graph_pb2.EXPORT_FORMAT_GEXF,
    "json": graph_pb2.EXPORT_FORMAT_JSON,
}
K = TypeVar("K", bound=str)
V = TypeVar("V")


def interests_request(
    *,
    prefix: str,
    trending_only: bool,
    community: int | None,
    order: Order,
    graph_version: str,
    page_size: int,
) -> graph_pb2.ListInterestsRequest:
    """The request for the first page; arguments as in `GraphClient.interests`."""
    return graph_pb2.ListInterestsRequest(
        graph_version=graph_version,
        prefix=prefix,
        trending_only=trending_only,
        community_number=community,
        order=choose("order", order, ORDERS),
        page_size=page_size,
    )


def neighbors_request(
    interest_id: str, *, kind: EdgeKind, graph_version: str, page_size: int
) -> graph_pb2.ListNeighborsRequest:
    """The request for the first page; arguments as in `GraphClient.neighbors`."""
    return graph_pb2.ListNeighborsRequest(
        interest_id=interest_id,
        kind=choose("kind", kind, KINDS),
        graph_version=graph_version,
        page_size=page_size,
    )


def choose(field: str, word: K, values: Mapping[K, V]) -> V:
    """What a word stands for. Raises ValueError."""
    if word not in values:
        raise ValueError(f"{field}: not {word!r} but one of {', '.join(values)}")
    return values[word]
