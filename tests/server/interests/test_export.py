"""Other programs read what is exported."""

import io
import json
from dataclasses import replace
from typing import Any

import networkx as nx
import pytest

from inkling_server.interests.export import PIECE_BYTES, ExportFormat, export_graph, to_networkx
from inkling_server.interests.graph import Community, Interest, Topic
from tests.server.interests.graph_kit import plain, snapshot_of

SNAPSHOT = snapshot_of(
    [
        Interest("dog", "dog & <puppy>", (), 50, False, 1.5, True, 0.4, 0, 0),
        Interest("café", "café \N{HOT BEVERAGE}", (), 20, rank=0.3),
        Interest("fox", 'a "fox"', (), 1, trend_z=-2.25, rank=0.3, community=0),
    ],
    {("dog", "café"): (0.5, 0.25), ("dog", "fox"): (0.7, 0.0)},
    topics=[Topic(0, ("pets", "walks"))],
    communities=[Community(0, "dog, fox", 3)],
)
EXPECTED_DOG = {
    "label": "dog & <puppy>",
    "count": 50,
    "trend": 1.5,
    "trending": True,
    "rank": 0.4,
    "community": "dog, fox",
    "topic": "pets, walks",
}
EDGE_KEYS = ("semantic", "engagement", "weight")


def read_back(data: bytes, export_format: ExportFormat) -> Any:
    match export_format:
        case ExportFormat.GRAPHML:
            return nx.read_graphml(io.BytesIO(data))
        case ExportFormat.GEXF:
            return nx.read_gexf(io.BytesIO(data))
        case ExportFormat.JSON:
            return nx.node_link_graph(json.loads(data))


@pytest.mark.parametrize("export_format", ExportFormat)
def test_networkx_reads_back_the_same_graph(export_format: ExportFormat) -> None:
    found = read_back(b"".join(export_graph(SNAPSHOT, export_format)), export_format)
    assert not found.is_directed()
    assert not found.is_multigraph()
    original = to_networkx(SNAPSHOT)
    assert original.nodes["dog"] == EXPECTED_DOG
    assert dict(found.nodes(data=True)) == dict(original.nodes(data=True))
    # GEXF numbers its edges.
    edges = {
        frozenset((a, b)): {key: data[key] for key in EDGE_KEYS}
        for a, b, data in found.edges(data=True)
    }
    assert edges == {frozenset((a, b)): data for a, b, data in original.edges(data=True)}
    assert edges[frozenset(("dog", "fox"))]["weight"] == float(SNAPSHOT.edges.weight_E[1])


@pytest.mark.parametrize("export_format", ExportFormat)
def test_no_text_or_number_breaks_the_file(export_format: ExportFormat) -> None:
    """Control characters, lone surrogates and non-characters go; infinity is no JSON."""
    nasty = Interest("x", "a\x00b\x1b[31m\ud800c\uffff\x85]]>", trend_z=float("inf"), topic=9)
    data = b"".join(export_graph(snapshot_of([nasty]), export_format))
    node = read_back(data, export_format).nodes["x"]
    assert node["label"] == "ab[31mc]]>"
    assert node["trend"] == 0
    assert node["topic"] == ""


@pytest.mark.parametrize("export_format", ExportFormat)
def test_file_comes_in_small_pieces(export_format: ExportFormat) -> None:
    many = [replace(i, count=3) for i in plain(*(f"interest {n:04d}" for n in range(1_500)))]
    pieces = list(export_graph(snapshot_of(many), export_format))
    assert len(pieces) > 1
    assert all(0 < len(piece) <= PIECE_BYTES for piece in pieces)
    assert len(read_back(b"".join(pieces), export_format)) == 1_500


@pytest.mark.parametrize("export_format", ExportFormat)
def test_empty_graph_is_a_file_too(export_format: ExportFormat) -> None:
    data = b"".join(export_graph(snapshot_of([]), export_format))
    assert len(read_back(data, export_format)) == 0
