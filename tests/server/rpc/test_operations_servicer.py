"""google.longrunning.Operations over a real connection."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.longrunning import operations_pb2
from google.protobuf.duration_pb2 import Duration
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from inkling.v1 import graph_pb2
from inkling_server.errors import RefreshFailed, RefreshRefused
from inkling_server.refresh.operation import Progress, Stage
from tests.server.rpc.graph_kit import NEW_TIME, SUMMARY, GraphServer, operations_stub
from tests.server.rpc.rpc_kit import decode, refusal
from tests.serving import until

NAME = "operations/refresh-a"


@pytest.fixture
async def server(tmp_path: Path) -> GraphServer:
    return GraphServer(tmp_path)


@pytest.fixture
async def channel(server: GraphServer) -> AsyncIterator[grpc.aio.Channel]:
    async with server.running() as channel:
        yield channel


@pytest.fixture
def operations(channel: grpc.aio.Channel) -> Any:
    return operations_stub(channel)


def get(name: str = NAME) -> operations_pb2.GetOperationRequest:
    return operations_pb2.GetOperationRequest(name=name)


def wait(name: str = NAME, timeout_s: float | None = None) -> operations_pb2.WaitOperationRequest:
    request = operations_pb2.WaitOperationRequest(name=name)
    if timeout_s is not None:
        timeout = Duration()
        timeout.FromNanoseconds(int(timeout_s * 1e9))
        request.timeout.CopyFrom(timeout)
    return request


def metadata_of(operation: operations_pb2.Operation) -> graph_pb2.RefreshGraphMetadata:
    metadata = graph_pb2.RefreshGraphMetadata()
    assert operation.metadata.Unpack(metadata)
    return metadata


async def test_a_running_refresh_tells_stage_counts_and_time(
    server: GraphServer, operations: Any
) -> None:
    server.refresher.put(
        NAME,
        feed="demo",
        progress=Progress(Stage.READING, 10, 40, 2.5),
        stage_s={Stage.LOADING: 0.25},
    )
    operation = await operations.GetOperation(get())
    assert (operation.name, operation.done, operation.WhichOneof("result")) == (NAME, False, None)
    metadata = metadata_of(operation)
    assert metadata.stage == graph_pb2.REFRESH_STAGE_READING
    assert (metadata.done_count, metadata.total_count) == (10, 40)
    assert metadata.remaining_duration.ToNanoseconds() == 2_500_000_000
    assert metadata.create_time.ToDatetime() == NEW_TIME.replace(tzinfo=None)
    assert not metadata.HasField("end_time")
    assert (metadata.base_version, metadata.feed) == ("g1", "demo")
    (loading,) = metadata.stage_durations
    assert loading.stage == graph_pb2.REFRESH_STAGE_LOADING
    assert loading.duration.ToNanoseconds() == 250_000_000


def test_every_stage_has_its_name_in_the_api() -> None:
    names = {f"REFRESH_STAGE_{stage.name}" for stage in Stage}
    assert names | {"REFRESH_STAGE_UNSPECIFIED"} == set(graph_pb2.RefreshStage.keys())


async def test_an_ended_refresh_carries_its_result(server: GraphServer, operations: Any) -> None:
    server.refresher.put(NAME)
    await server.refresher.end(NAME, summary=SUMMARY)
    operation = await operations.GetOperation(get())
    assert operation.done
    response = graph_pb2.RefreshGraphResponse()
    assert operation.response.Unpack(response)
    assert (response.graph_version, response.base_version) == ("g2", "g1")
    counts = (response.item_count, response.kept_count, response.near_duplicate_count)
    assert counts == (10, 6, 1)
    counts = (response.other_language_count, response.empty_count, response.invalid_count)
    assert counts == (1, 2, 3)
    assert (response.engagement_count, response.interest_count) == (40, 4)
    assert (response.added_count, response.retired_count, response.edge_count) == (2, 1, 3)
    assert [i.interest_id for i in response.trending] == ["northern-lights"]
    assert metadata_of(operation).HasField("end_time")


@pytest.mark.parametrize(
    ("error", "code"),
    [(RefreshFailed("broke"), "INTERNAL"), (RefreshRefused("worse"), "FAILED_PRECONDITION")],
)
async def test_a_failed_refresh_says_why(
    server: GraphServer, operations: Any, error: RefreshFailed, code: str
) -> None:
    server.refresher.put(NAME)
    await server.refresher.end(NAME, error=error)
    refused = decode((await operations.GetOperation(get())).error)
    assert (refused.code, refused.reason) == (code, "REFRESH_FAILED")
    assert refused.message == str(error)


async def test_cancelling_ends_a_refresh(server: GraphServer, operations: Any) -> None:
    server.refresher.put(NAME)
    await operations.CancelOperation(operations_pb2.CancelOperationRequest(name=NAME))
    refused = decode((await operations.GetOperation(get())).error)
    assert (refused.code, refused.reason) == ("CANCELLED", "REFRESH_CANCELLED")


async def test_what_has_ended_can_be_forgotten(server: GraphServer, operations: Any) -> None:
    server.refresher.put(NAME)
    delete = operations_pb2.DeleteOperationRequest(name=NAME)
    await operations.DeleteOperation(delete)
    assert not (await operations.GetOperation(get())).done
    await server.refresher.end(NAME, summary=SUMMARY)
    await operations.DeleteOperation(delete)
    assert (await refusal(operations.GetOperation(get()))).reason == "UNKNOWN_OPERATION"


async def test_a_name_that_nobody_gave_is_unknown_everywhere(operations: Any) -> None:
    for call in (
        operations.GetOperation(get("operations/x")),
        operations.WaitOperation(wait("operations/x")),
        operations.CancelOperation(operations_pb2.CancelOperationRequest(name="x")),
        operations.DeleteOperation(operations_pb2.DeleteOperationRequest(name="")),
    ):
        refused = await refusal(call)
        assert (refused.code, refused.reason) == ("NOT_FOUND", "UNKNOWN_OPERATION")


async def test_the_list_is_newest_first_and_can_be_filtered(
    server: GraphServer, operations: Any
) -> None:
    for name in "abc":
        server.refresher.put(name)
    await server.refresher.end("a", summary=SUMMARY)
    assert await names(operations) == ["c", "b", "a"]
    assert await names(operations, name="operations", filter="done=true") == ["a"]
    assert await names(operations, filter="done = False") == ["c", "b"]


async def test_pages_of_the_list_survive_comings_and_goings(
    server: GraphServer, operations: Any
) -> None:
    for name in "abcd":
        server.refresher.put(name)
    request = operations_pb2.ListOperationsRequest(page_size=2)
    first = await operations.ListOperations(request)
    assert [operation.name for operation in first.operations] == ["d", "c"]
    server.refresher.put("e")
    del server.refresher.operations["c"]
    request.page_token = first.next_page_token
    second = await operations.ListOperations(request)
    assert [operation.name for operation in second.operations] == ["b", "a"]
    assert second.next_page_token == ""


@pytest.mark.parametrize(
    ("field", "value"),
    [("filter", "stage=reading"), ("page_size", -1), ("name", "projects/x")],
)
async def test_what_the_list_does_not_know_is_refused(
    operations: Any, field: str, value: object
) -> None:
    request = operations_pb2.ListOperationsRequest(**{field: value})
    refused = await refusal(operations.ListOperations(request))
    assert (refused.reason, refused.metadata["field"]) == ("ARGUMENT_OUT_OF_RANGE", field)


async def test_a_bad_token_of_the_list_is_refused(operations: Any) -> None:
    request = operations_pb2.ListOperationsRequest(page_token="WyJhIl0")
    assert (await refusal(operations.ListOperations(request))).reason == "BAD_PAGE_TOKEN"


async def test_waiting_ends_with_the_refresh(server: GraphServer, operations: Any) -> None:
    server.refresher.put(NAME)
    call = operations.WaitOperation(wait())
    await until(lambda: server.refresher.waiting_count == 1)
    await server.refresher.end(NAME, summary=SUMMARY)
    assert (await call).done
    assert (await operations.WaitOperation(wait())).done


async def test_waiting_ends_with_its_timeout(server: GraphServer, operations: Any) -> None:
    server.refresher.put(NAME)
    assert not (await operations.WaitOperation(wait(timeout_s=0.01), timeout=30)).done
    assert not (await operations.WaitOperation(wait(timeout_s=0), timeout=30)).done
    refused = await refusal(operations.WaitOperation(wait(timeout_s=-1)))
    assert refused.metadata["field"] == "timeout"


async def test_waiting_answers_before_the_callers_deadline(
    server: GraphServer, operations: Any
) -> None:
    server.refresher.put(NAME)
    assert not (await operations.WaitOperation(wait(timeout_s=60), timeout=0.6)).done


async def test_a_draining_server_lets_those_who_wait_go(
    server: GraphServer, operations: Any
) -> None:
    server.refresher.put(NAME)
    call = operations.WaitOperation(wait())
    await until(lambda: server.refresher.waiting_count == 1)
    server.drain.begin()
    assert not (await call).done
    await asyncio.wait_for(server.boundary.idle(), 5)
    assert server.refresher.waiting_count == 0


async def test_a_waiter_that_leaves_is_counted_as_cancelled(
    server: GraphServer, operations: Any
) -> None:
    server.refresher.put(NAME)
    call = operations.WaitOperation(wait())
    await until(lambda: server.refresher.waiting_count == 1)
    call.cancel()
    await until(lambda: server.finished == [("WaitOperation", "CANCELLED", "")])
    assert server.refresher.waiting_count == 0


async def test_reflection_knows_operations_and_graph(channel: grpc.aio.Channel) -> None:
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)  # type: ignore[arg-type]  # the stubs know only synchronous channels
    for symbol in ("google.longrunning.Operations", "inkling.v1.GraphService"):
        call = stub.ServerReflectionInfo()
        request = reflection_pb2.ServerReflectionRequest(file_containing_symbol=symbol)
        await call.write(request)
        reply = await call.read()
        await call.done_writing()
        assert reply.file_descriptor_response.file_descriptor_proto, symbol
        assert await call.read() is grpc.aio.EOF


async def names(operations: Any, **fields: Any) -> list[str]:
    reply = await operations.ListOperations(operations_pb2.ListOperationsRequest(**fields))
    return [operation.name for operation in reply.operations]
