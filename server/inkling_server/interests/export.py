"""A version of the graph as a file for other programs: GraphML, GEXF (Gephi opens both), JSON.

    GraphSnapshot ─► networkx.Graph ─► NetworkX's writer ─► temporary file ─► pieces of bytes

    node, named by the interest's id: label, count, trend, trending, rank, community, topic
    edge:                             semantic, engagement, weight

JSON is node-link data, as `networkx.node_link_graph` reads it and D3's force layout takes it. It
does not know who asks, or where the bytes go.
"""

import json
import math
import re
import tempfile
from collections.abc import Iterator
from enum import StrEnum
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    import networkx as nx

from inkling_server.interests.graph import GraphSnapshot, Interest

PIECE_BYTES = 64 * 1024
# What XML 1.0 cannot hold, and control characters that it can.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


class ExportFormat(StrEnum):
    """What NetworkX writes."""

    GRAPHML = "graphml"
    GEXF = "gexf"
    JSON = "json"


def export_graph(snapshot: GraphSnapshot, export_format: ExportFormat) -> Iterator[bytes]:
    """The file, in pieces of at most `PIECE_BYTES`.

    The graph is built when the first piece is asked for; the file's bytes wait on disk.

    Args:
        snapshot: the version.
        export_format: of the file.
    """
    with tempfile.TemporaryFile() as file:
        _write(to_networkx(snapshot), export_format, file)
        file.seek(0)
        while piece := file.read(PIECE_BYTES):
            yield piece


def to_networkx(snapshot: GraphSnapshot) -> "nx.Graph":
    """The version as a NetworkX graph. No attribute is None: GraphML has no such thing."""
    # Late: most servers never export, and it costs ten megabytes.
    import networkx as nx

    graph = nx.Graph(name=_clean(snapshot.version))
    communities = {community.number: community.name for community in snapshot.communities}
    topics = {topic.number: ", ".join(topic.words) for topic in snapshot.topics}
    ids = [_clean(interest.id) for interest in snapshot.interests]
    for name, interest in zip(ids, snapshot.interests, strict=True):
        graph.add_node(name, **_attributes(interest, communities, topics))
    edges = snapshot.edges
    columns = (edges.ends_E2, edges.semantic_E, edges.engagement_E, edges.weight_E)
    for (first, second), semantic, engagement, weight in zip(
        *(column.tolist() for column in columns), strict=True
    ):
        graph.add_edge(
            ids[first], ids[second], semantic=semantic, engagement=engagement, weight=weight
        )
    return graph


def _attributes(
    interest: Interest, communities: dict[int, str], topics: dict[int, str]
) -> dict[str, str | int | float | bool]:
    community, topic = interest.community, interest.topic
    return {
        "label": _clean(interest.phrase),
        "count": interest.count,
        "trend": _finite(interest.trend_z),
        "trending": interest.is_trending,
        "rank": _finite(interest.rank),
        "community": "" if community is None else _clean(communities.get(community, "")),
        "topic": "" if topic is None else _clean(topics.get(topic, "")),
    }


def _write(graph: "nx.Graph", export_format: ExportFormat, file: IO[bytes]) -> None:
    import networkx as nx

    match export_format:
        case ExportFormat.GRAPHML:
            nx.write_graphml(graph, file)
        case ExportFormat.GEXF:
            nx.write_gexf(graph, file)
        case ExportFormat.JSON:
            # The name is spelt out: NetworkX changed its default once.
            data = nx.node_link_data(graph, edges="edges")
            file.write(json.dumps(data, ensure_ascii=False, allow_nan=False).encode())


def _clean(text: str) -> str:
    return _UNPRINTABLE.sub("", text)


def _finite(value: float) -> float:
    """JSON has no infinity."""
    return value if math.isfinite(value) else 0.0
