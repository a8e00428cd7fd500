"""Both clients of the graph against a scripted server on a real socket."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest

from inkling.v1 import graph_pb2
from inkling_client import (
    DeadlineExceeded,
    GraphVersionNotServed,
    RefreshCancelled,
    RefreshFailed,
    RefreshProgress,
    RefreshRunning,
    Unavailable,
    UnknownInterest,
    UnknownOperation,
)
from inkling_client.operation_calls import wait_request
from tests.client.conftest import QUICK
from tests.client.fake_graph import OLD_VERSION, OPERATION, VERSION, FakeGraph
from tests.client.fake_server import DOWN, RunningServer, status
from tests.client.graph_face import AsyncGraphFace, GraphFace, SyncGraphFace

FAILED = status(grpc.StatusCode.INTERNAL, "REFRESH_FAILED", "the worker died")
RUNNING = status(grpc.StatusCode.ABORTED, "REFRESH_RUNNING", metadata={"operation": OPERATION})


@pytest.fixture
def fake() -> FakeGraph:
    return FakeGraph()


@pytest.fixture
def server(fake: FakeGraph) -> Iterator[RunningServer]:
    running = RunningServer(add_more=fake.add_to)
    yield running
    running.stop()


@pytest.fixture(params=["sync", "async"])
async def graph(request: pytest.FixtureRequest, server: RunningServer) -> AsyncIterator[GraphFace]:
    face = (SyncGraphFace if request.param == "sync" else AsyncGraphFace)(
        server.target, timeout_s=5.0, retry=QUICK
    )
    yield face
    await face.close()


async def test_a_version_as_a_whole(graph: GraphFace) -> None:
    info = await graph.call("get")
    assert info.graph.graph_version == VERSION
    assert info.graph.current
    assert info.graph.created_time == datetime(2026, 11, 2, 10, 30, tzinfo=UTC)
    assert (info.graph.interest_count, info.trending_count) == (5_432, 2)
    assert (info.semantic_edge_count, info.engagement_edge_count) == (40_000, 9_000)
    assert info.topics[0].words == ("cat", "dog", "pet")
    assert info.communities[1].name == "cats, dogs and 1"
    assert (await graph.call("get", OLD_VERSION)).graph.graph_version == OLD_VERSION


async def test_interests_come_from_all_pages_of_one_request(
    graph: GraphFace, fake: FakeGraph
) -> None:
    found = await graph.collect("interests", page_size=2, order="rank")
    assert [i.phrase for i in found] == [i.phrase for i in fake.interests]
    first, *others = fake.seen(graph_pb2.ListInterestsRequest)
    assert [request.page_token for request in others] == ["2", "4"]
    for request in others:  # all that a token is bound to stays as it was
        request.page_token = ""
        assert request == first


async def test_an_interest_is_a_plain_value(graph: GraphFace) -> None:
    lights = (await graph.collect("interests", prefix="north"))[0]
    assert (lights.interest_id, lights.aliases) == ("northern-lights", ("aurora",))
    assert (lights.trending, lights.trend_z) == (True, 8.53)
    assert (lights.topic_number, lights.community_number) == (None, None)
    assert lights.first_seen_time == datetime(2026, 10, 1, tzinfo=UTC)
    assert lights.last_seen_time is None


async def test_filters_reach_the_server(graph: GraphFace, fake: FakeGraph) -> None:
    await graph.collect(
        "interests",
        prefix="z",
        trending_only=True,
        community=0,
        order="trend",
        graph_version=OLD_VERSION,
    )
    (request,) = fake.seen(graph_pb2.ListInterestsRequest)
    assert request.HasField("community_number")
    assert request == graph_pb2.ListInterestsRequest(
        prefix="z",
        trending_only=True,
        community_number=0,
        order=graph_pb2.INTEREST_ORDER_TREND,
        graph_version=OLD_VERSION,
        page_size=1_000,
    )


@pytest.mark.parametrize(
    ("name", "args", "options"),
    [
        ("interests", (), {"order": "colour"}),
        ("neighbors", ("cat",), {"kind": "friendly"}),
        ("export", ("pdf",), {}),
    ],
)
async def test_a_word_that_means_nothing_is_a_mistake_of_the_caller(
    graph: GraphFace, name: str, args: tuple[str], options: dict[str, str]
) -> None:
    with pytest.raises(ValueError, match="one of"):
        await graph.collect(name, *args, **options)


async def test_neighbours_come_from_all_pages(graph: GraphFace, fake: FakeGraph) -> None:
    found = await graph.collect("neighbors", "cat", kind="engagement", page_size=3)
    assert len(found) == 4
    assert (found[0].semantic, found[0].engagement, found[0].weight) == (0.5, 0.25, 0.75)
    for request in fake.seen(graph_pb2.ListNeighborsRequest):
        assert request.kind == graph_pb2.EDGE_KIND_ENGAGEMENT
    assert (await graph.call("interest", "zebra")).topic_number == 2
    with pytest.raises(UnknownInterest):
        await graph.collect("neighbors", "unicorn")


async def test_versions_and_what_changed(graph: GraphFace, fake: FakeGraph) -> None:
    versions = await graph.call("versions")
    assert [(v.graph_version, v.current) for v in versions] == [
        (VERSION, True),
        (OLD_VERSION, False),
    ]
    diff = await graph.call("diff", OLD_VERSION, max_entry_count=5)
    assert (diff.from_version, diff.to_version) == (OLD_VERSION, VERSION)
    assert (diff.added_count, len(diff.added), diff.added_edge_count) == (30, 3, 123)
    assert diff.renamed[0].from_phrase == "house cat"
    assert fake.requests[-1].max_entry_count == 5


async def test_an_export_comes_in_pieces(graph: GraphFace) -> None:
    assert await graph.collect("export", "graphml") == [b"<graph", b"/>"]


async def test_an_export_that_breaks_says_why(graph: GraphFace, fake: FakeGraph) -> None:
    fake.refuse["ExportGraph, second piece"] = [DOWN]
    with pytest.raises(Unavailable):
        await graph.collect("export", "graphml")


async def test_reading_is_tried_again_and_writing_is_not(graph: GraphFace, fake: FakeGraph) -> None:
    fake.refuse = {"GetGraph": [DOWN], "RefreshGraph": [DOWN], "RollbackGraph": [DOWN]}
    await graph.call("get")
    for call in (("refresh",), ("rollback", OLD_VERSION)):
        with pytest.raises(Unavailable):
            await graph.call(*call)
    assert await graph.call("rollback", OLD_VERSION) == VERSION


async def test_a_refresh_is_watched_to_its_end(graph: GraphFace, fake: FakeGraph) -> None:
    handle = await graph.call("refresh", force=True)
    assert handle.name == OPERATION
    assert fake.requests[-1].force
    fake.move("reading", 5, 10, left_s=2.5)
    heard: list[RefreshProgress] = []
    waiting = asyncio.create_task(graph.wait(handle, heard.append))
    await asyncio.to_thread(fake.wait_until_watched)
    fake.succeed()
    result = await waiting
    assert (result.graph_version, result.base_version) == (VERSION, OLD_VERSION)
    assert (result.item_count, result.near_duplicate_count, result.added_count) == (1_200, 150, 12)
    assert [i.phrase for i in result.trending] == ["Northern Lights", "zebra"]
    assert (heard[-1].stage, heard[-1].done, heard[-1].feed) == ("done", True, "demo")
    assert heard[-1].stage_s == {"loading": 0.3}


async def test_progress_is_a_plain_value(graph: GraphFace, fake: FakeGraph) -> None:
    handle = await graph.call("refresh")
    fake.move("reading", 5, 10, left_s=2.5)
    progress = await graph.on_refresh(handle, "progress")
    assert (progress.stage, progress.done_count, progress.total_count) == ("reading", 5, 10)
    assert (progress.remaining_s, progress.done, progress.end_time) == (2.5, False, None)
    assert progress.base_version == OLD_VERSION


@pytest.mark.parametrize("answers_early", [False, True])
async def test_waiting_has_an_end_and_the_refresh_goes_on(
    graph: GraphFace, fake: FakeGraph, answers_early: bool
) -> None:
    fake.answers_early = answers_early
    handle = await graph.call("refresh")
    with pytest.raises(DeadlineExceeded, match="goes on"):
        await graph.on_refresh(handle, "wait", timeout_s=0.05)
    # A server that answers at once is not asked in a hot loop.
    assert fake.waiting_count <= 2
    assert not (await graph.on_refresh(handle, "progress")).done


async def test_a_refresh_that_fails_raises_why(graph: GraphFace, fake: FakeGraph) -> None:
    handle = await graph.call("refresh")
    fake.fail(FAILED)
    with pytest.raises(RefreshFailed, match="the worker died"):
        await graph.wait(handle)


async def test_a_refresh_can_be_cancelled(graph: GraphFace, fake: FakeGraph) -> None:
    handle = await graph.call("refresh")
    await graph.on_refresh(handle, "cancel")
    with pytest.raises(RefreshCancelled):
        await graph.wait(handle)


async def test_a_refresh_that_runs_already_can_be_joined(graph: GraphFace, fake: FakeGraph) -> None:
    await graph.call("refresh")
    fake.refuse["RefreshGraph"] = [RUNNING]
    with pytest.raises(RefreshRunning) as caught:
        await graph.call("refresh")
    client: Any = graph
    handle = client.client.graph.handle(caught.value.metadata["operation"])
    fake.succeed()
    assert (await graph.wait(handle)).graph_version == VERSION
    with pytest.raises(UnknownOperation):
        await graph.wait(client.client.graph.handle("operations/other"))


async def test_a_version_that_is_gone_is_typed(graph: GraphFace, fake: FakeGraph) -> None:
    fake.refuse["GetGraph"] = [
        status(grpc.StatusCode.FAILED_PRECONDITION, "GRAPH_VERSION_NOT_SERVED")
    ]
    with pytest.raises(GraphVersionNotServed):
        await graph.call("get", "x")


def test_a_waiting_call_outlives_what_it_asks_for() -> None:
    request, call_s = wait_request("x", float("inf"))
    assert 0 < request.timeout.ToNanoseconds() / 1e9 < call_s
    request, _ = wait_request("x", -1.0)
    assert request.timeout.ToNanoseconds() == 0
