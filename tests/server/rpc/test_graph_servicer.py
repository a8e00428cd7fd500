"""GraphService over a real connection."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import grpc
import pytest

from inkling.v1 import graph_pb2, graph_pb2_grpc
from inkling_server.errors import RefreshFailed
from inkling_server.interests.graph import Interest, make_snapshot
from inkling_server.rpc import graph_servicer
from tests.server.rpc.graph_kit import (
    NEW_TIME,
    GraphServer,
    graph_stub,
    new_graph,
    old_graph,
)
from tests.server.rpc.rpc_kit import refusal

Stub: TypeAlias = "graph_pb2_grpc.GraphServiceAsyncStub"
Order = graph_pb2.InterestOrder
NEW, OLD = new_graph().version, old_graph().version


@pytest.fixture
async def server(tmp_path: Path) -> GraphServer:
    return GraphServer(tmp_path)


@pytest.fixture
async def channel(server: GraphServer) -> AsyncIterator[grpc.aio.Channel]:
    async with server.running() as channel:
        yield channel


@pytest.fixture
def graph(channel: grpc.aio.Channel) -> Stub:
    return graph_stub(channel)


async def ids(graph: Stub, **fields: object) -> list[str]:
    response = await graph.ListInterests(graph_pb2.ListInterestsRequest(**fields))  # type: ignore[arg-type]
    assert response.total_count == len(response.interests)
    return [interest.interest_id for interest in response.interests]


async def test_graph_tells_the_current_version_as_a_whole(graph: Stub) -> None:
    answer = await graph.GetGraph(graph_pb2.GetGraphRequest())
    assert answer.graph.graph_version == NEW
    assert answer.graph.current
    assert answer.graph.created_time.ToDatetime().isoformat() == "2026-11-02T00:00:00"
    assert (answer.graph.interest_count, answer.graph.edge_count) == (4, 3)
    assert answer.graph.document_count == 2_000
    assert answer.trending_count == 1
    assert (answer.semantic_edge_count, answer.engagement_edge_count) == (2, 2)
    assert [list(topic.words) for topic in answer.topics] == [["cat", "dog"]]
    assert [(c.number, c.name, c.interest_count) for c in answer.communities] == [
        (0, "cats and kitchens", 2),
        (1, "the north", 1),
    ]


async def test_older_versions_can_be_read(graph: Stub) -> None:
    answer = await graph.GetGraph(graph_pb2.GetGraphRequest(graph_version=OLD))
    assert answer.graph.graph_version == OLD
    assert not answer.graph.current
    assert "dodo" in await ids(graph, graph_version=OLD)


@pytest.mark.parametrize("version", ["2026-11-03-00000000", "../etc", "."])
async def test_a_version_that_is_not_kept_is_refused(graph: Stub, version: str) -> None:
    refused = await refusal(graph.GetGraph(graph_pb2.GetGraphRequest(graph_version=version)))
    assert (refused.code, refused.reason) == ("FAILED_PRECONDITION", "GRAPH_VERSION_NOT_SERVED")
    assert refused.metadata["served"] == NEW


async def test_an_interest_carries_everything_that_is_known(graph: Stub) -> None:
    answer = await graph.ListInterests(graph_pb2.ListInterestsRequest(prefix="northern"))
    (lights,) = answer.interests
    assert (lights.interest_id, lights.phrase) == ("northern-lights", "Northern Lights")
    assert list(lights.aliases) == ["aurora"]
    assert (lights.document_count, lights.trending, lights.trend_z) == (70, True, 8.5)
    assert (lights.pinned, lights.rank, lights.community_number) == (False, 0.3, 1)
    assert not lights.HasField("topic_number")
    assert lights.first_seen_time.ToJsonString() == "2026-10-30T00:00:00Z"
    assert lights.last_seen_time.ToJsonString() == "2026-11-02T01:00:00Z"
    assert list(lights.extractors) == ["rake", "yake"]
    (kitchen,) = (
        await graph.ListInterests(graph_pb2.ListInterestsRequest(prefix="kitc"))
    ).interests
    assert not kitchen.HasField("first_seen_time")


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (Order.INTEREST_ORDER_UNSPECIFIED, ["cat", "kitchen", "northern-lights", "zebra"]),
        (Order.INTEREST_ORDER_COUNT, ["cat", "zebra", "kitchen", "northern-lights"]),
        (Order.INTEREST_ORDER_TREND, ["northern-lights", "cat", "kitchen", "zebra"]),
        (Order.INTEREST_ORDER_RANK, ["cat", "northern-lights", "kitchen", "zebra"]),
    ],
)
async def test_interests_come_in_the_order_asked_for(
    graph: Stub, order: int, expected: list[str]
) -> None:
    assert await ids(graph, order=order) == expected


async def test_filters_narrow_the_list(graph: Stub) -> None:
    assert await ids(graph, prefix="KIT") == ["cat", "kitchen"]  # cat's alias is Kitty
    assert await ids(graph, trending_only=True) == ["northern-lights"]
    assert await ids(graph, community_number=0) == ["cat", "kitchen"]
    assert await ids(graph, community_number=7) == []
    assert await ids(graph, prefix="kit", community_number=1) == []


async def test_pages_follow_each_other_to_the_end(graph: Stub) -> None:
    request = graph_pb2.ListInterestsRequest(page_size=3)
    first = await graph.ListInterests(request)
    assert [i.interest_id for i in first.interests] == ["cat", "kitchen", "northern-lights"]
    assert (first.total_count, first.graph_version) == (4, NEW)
    request.page_token = first.next_page_token
    last = await graph.ListInterests(request)
    assert [i.interest_id for i in last.interests] == ["zebra"]
    assert last.next_page_token == ""


async def test_pages_stay_with_the_version_of_the_first(server: GraphServer, graph: Stub) -> None:
    request = graph_pb2.ListInterestsRequest(page_size=3)
    request.page_token = (await graph.ListInterests(request)).next_page_token
    server.current = replace(old_graph(), created_time=NEW_TIME)
    second = await graph.ListInterests(request)
    assert second.graph_version == NEW
    assert [i.interest_id for i in second.interests] == ["zebra"]


async def test_a_token_is_good_for_its_own_request_only(graph: Stub) -> None:
    request = graph_pb2.ListInterestsRequest(page_size=1, prefix="kit")
    token = (await graph.ListInterests(request)).next_page_token
    requests = [
        graph_pb2.ListInterestsRequest(page_size=1, prefix="ki", page_token=token),
        graph_pb2.ListInterestsRequest(page_size=2, prefix="kit", page_token=token),
        graph_pb2.ListInterestsRequest(
            page_size=1, prefix="kit", order=Order.INTEREST_ORDER_COUNT, page_token=token
        ),
        graph_pb2.ListInterestsRequest(
            page_size=1, prefix="kit", graph_version=OLD, page_token=token
        ),
        graph_pb2.ListInterestsRequest(
            page_size=1, prefix="kit", community_number=0, page_token=token
        ),
        graph_pb2.ListInterestsRequest(page_size=1, prefix="kit", page_token=token[:-1]),
        graph_pb2.ListInterestsRequest(page_size=1, prefix="kit", page_token="?" + token),
        graph_pb2.ListInterestsRequest(page_size=1, prefix="kit", page_token="x" * 5_000),
        graph_pb2.ListInterestsRequest(page_size=1, prefix="kit", page_token="\N{SNOWMAN}"),
    ]
    for altered in requests:
        refused = await refusal(graph.ListInterests(altered))
        assert (refused.code, refused.reason) == ("INVALID_ARGUMENT", "BAD_PAGE_TOKEN"), altered
    other = graph_pb2.ListNeighborsRequest(interest_id="cat", page_size=1, page_token=token)
    assert (await refusal(graph.ListNeighbors(other))).reason == "BAD_PAGE_TOKEN"


@pytest.mark.parametrize(
    ("field", "value"),
    [("page_size", -1), ("page_size", 1_001), ("prefix", "x" * 101), ("order", 9)],
)
async def test_a_field_outside_its_range_is_named(graph: Stub, field: str, value: object) -> None:
    request = graph_pb2.ListInterestsRequest(**{field: value})  # type: ignore[arg-type]
    refused = await refusal(graph.ListInterests(request))
    assert (refused.code, refused.reason) == ("INVALID_ARGUMENT", "ARGUMENT_OUT_OF_RANGE")
    assert refused.metadata["field"] == field


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("EDGE_KIND_UNSPECIFIED", ["kitchen", "zebra", "northern-lights"]),
        ("EDGE_KIND_SEMANTIC", ["zebra", "kitchen"]),
        ("EDGE_KIND_ENGAGEMENT", ["northern-lights", "kitchen"]),
    ],
)
async def test_neighbours_come_strongest_first_by_kind(
    graph: Stub, kind: str, expected: list[str]
) -> None:
    request = graph_pb2.ListNeighborsRequest(interest_id="cat", kind=graph_pb2.EdgeKind.Value(kind))
    answer = await graph.ListNeighbors(request)
    assert answer.interest.interest_id == "cat"
    assert [n.interest.interest_id for n in answer.neighbors] == expected
    kitchen = answer.neighbors[expected.index("kitchen")]
    assert (kitchen.semantic, kitchen.engagement, kitchen.weight) == (0.5, 0.25, 0.5)
    assert answer.total_count == len(expected)


async def test_neighbours_come_in_pages(graph: Stub) -> None:
    request = graph_pb2.ListNeighborsRequest(interest_id="cat", page_size=2)
    first = await graph.ListNeighbors(request)
    request.page_token = first.next_page_token
    last = await graph.ListNeighbors(request)
    found = [n.interest.interest_id for page in (first, last) for n in page.neighbors]
    assert found == ["kitchen", "zebra", "northern-lights"]
    assert (last.next_page_token, last.total_count) == ("", 3)


async def test_neighbours_of_nothing_known_are_refused(graph: Stub) -> None:
    request = graph_pb2.ListNeighborsRequest(interest_id="unicorn")
    refused = await refusal(graph.ListNeighbors(request))
    assert (refused.code, refused.reason) == ("NOT_FOUND", "UNKNOWN_INTEREST")
    assert refused.metadata == {"graph_version": NEW}


async def test_versions_come_newest_first_and_name_the_current(graph: Stub) -> None:
    answer = await graph.ListGraphVersions(graph_pb2.ListGraphVersionsRequest())
    assert [(v.graph_version, v.current) for v in answer.versions] == [(NEW, True), (OLD, False)]


async def test_a_diff_lists_what_changed(graph: Stub) -> None:
    diff = await graph.DiffGraphs(graph_pb2.DiffGraphsRequest(from_version=OLD))
    assert (diff.from_version, diff.to_version) == (OLD, NEW)
    assert [i.interest_id for i in diff.added] == ["zebra"]
    assert [i.interest_id for i in diff.removed] == ["dodo"]
    assert [i.interest_id for i in diff.newly_trending] == ["northern-lights"]
    assert [(r.interest_id, r.from_phrase, r.to_phrase) for r in diff.renamed] == [
        ("cat", "house cat", "cat")
    ]
    assert (diff.added_edge_count, diff.removed_edge_count) == (3, 0)
    back = await graph.DiffGraphs(graph_pb2.DiffGraphsRequest(from_version=NEW, to_version=OLD))
    assert [i.interest_id for i in back.no_longer_trending] == ["northern-lights"]
    refused = await refusal(graph.DiffGraphs(graph_pb2.DiffGraphsRequest(max_entry_count=2_000)))
    assert refused.metadata["field"] == "max_entry_count"


async def test_a_diff_counts_also_what_it_does_not_list(server: GraphServer, graph: Stub) -> None:
    server.current = make_snapshot(
        [Interest(f"i{n}", f"i{n}", count=n) for n in range(5)], NEW_TIME
    )
    request = graph_pb2.DiffGraphsRequest(from_version=OLD, max_entry_count=2)
    diff = await graph.DiffGraphs(request)
    assert (diff.added_count, [i.interest_id for i in diff.added]) == (5, ["i4", "i3"])
    assert (diff.removed_count, len(diff.removed)) == (4, 2)


@pytest.mark.parametrize("form", ["GRAPHML", "GEXF", "JSON"])
async def test_an_export_is_a_whole_file_in_pieces(graph: Stub, form: str) -> None:
    request = graph_pb2.ExportGraphRequest(
        format=graph_pb2.ExportFormat.Value(f"EXPORT_FORMAT_{form}")
    )
    pieces = [piece async for piece in graph.ExportGraph(request)]
    assert [piece.graph_version for piece in pieces] == [NEW] + [""] * (len(pieces) - 1)
    data = b"".join(piece.data for piece in pieces)
    assert b"Northern Lights" in data
    if form == "JSON":
        assert len(json.loads(data)["nodes"]) == 4


async def test_an_export_needs_a_format(graph: Stub) -> None:
    call = graph.ExportGraph(graph_pb2.ExportGraphRequest())
    refused = await refusal(call.read())
    assert refused.metadata["field"] == "format"


async def test_too_many_exports_are_refused_and_readers_that_leave_make_room(
    server: GraphServer, graph: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Endless, so that flow control and not the file's end stops it.
    monkeypatch.setattr(graph_servicer, "export_graph", lambda *_: itertools.repeat(bytes(65_536)))
    request = graph_pb2.ExportGraphRequest(format=graph_pb2.EXPORT_FORMAT_GRAPHML)
    calls = [graph.ExportGraph(request) for _ in range(8)]
    for call in calls:
        assert await call.read() is not grpc.aio.EOF
    refused = await refusal(graph.ExportGraph(request).read())
    assert (refused.code, refused.reason) == ("RESOURCE_EXHAUSTED", "OVERLOADED")
    for call in calls:
        call.cancel()
    await asyncio.wait_for(server.boundary.idle(), 10)
    assert server.finished.count(("ExportGraph", "CANCELLED", "")) == 8
    call = graph.ExportGraph(request)
    assert await call.read() is not grpc.aio.EOF
    call.cancel()


async def test_a_refresh_is_an_operation_and_there_is_one_at_a_time(
    server: GraphServer, graph: Stub
) -> None:
    operation = await graph.RefreshGraph(graph_pb2.RefreshGraphRequest(force=True))
    assert operation.name == "operations/refresh-0"
    assert not operation.done
    assert server.refresher.forced == [True]
    refused = await refusal(graph.RefreshGraph(graph_pb2.RefreshGraphRequest()))
    assert (refused.code, refused.reason) == ("ABORTED", "REFRESH_RUNNING")
    assert refused.metadata["operation"] == "operations/refresh-0"


async def test_a_version_can_be_rolled_back_to(server: GraphServer, graph: Stub) -> None:
    answer = await graph.RollbackGraph(graph_pb2.RollbackGraphRequest(graph_version=OLD))
    assert (answer.graph_version, answer.previous_version) == (OLD, NEW)
    assert server.refresher.rolled_back == [OLD]
    refused = await refusal(graph.RollbackGraph(graph_pb2.RollbackGraphRequest()))
    assert (refused.reason, refused.metadata["field"]) == ("ARGUMENT_OUT_OF_RANGE", "graph_version")
    server.refresher.failure = RefreshFailed("no good")
    request = graph_pb2.RollbackGraphRequest(graph_version=OLD)
    assert (await refusal(graph.RollbackGraph(request))).reason == "REFRESH_FAILED"


async def test_a_server_that_is_starting_says_so(server: GraphServer, graph: Stub) -> None:
    server.loaded = False
    for call in (
        graph.GetGraph(graph_pb2.GetGraphRequest()),
        graph.ListInterests(graph_pb2.ListInterestsRequest()),
        graph.RefreshGraph(graph_pb2.RefreshGraphRequest()),
        graph.ExportGraph(graph_pb2.ExportGraphRequest(format=graph_pb2.EXPORT_FORMAT_GEXF)).read(),
    ):
        refused = await refusal(call)
        assert (refused.code, refused.reason) == ("UNAVAILABLE", "ENCODER_DOWN")
