"""A server of two processes that nothing happens to: to a caller it is one."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import grpc
import pytest
import pytest_asyncio
from google.longrunning import operations_pb2, operations_pb2_grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from inkling.v1 import info_pb2, info_pb2_grpc
from tests.server.processes.several_kit import Server, several
from tests.server.rpc.rpc_kit import metric, refusal
from tests.serving import until

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    async with several(tmp_path_factory.mktemp("server")) as made:
        yield made


async def test_both_tag_alike_and_each_counts_its_own(server: Server) -> None:
    before = {process: await server.tags_of(process) for process in "01"}
    first, second = await server.tag("0"), await server.tag("1")
    assert [tag.phrase for tag in first.tags] == [tag.phrase for tag in second.tags]
    assert (first.graph_version, first.model_version) == (
        second.graph_version,
        second.model_version,
    )
    assert first.tags[0].score == pytest.approx(second.tags[0].score, abs=1e-5)
    assert {p: await server.tags_of(p) - before[p] for p in "01"} == {"0": 1, "1": 1}
    assert await metric(server.gateway, "inkling_processes_serving") == 2


async def test_what_is_not_tagging_is_answered_by_the_first_process(server: Server) -> None:
    infos = {}
    for process, channel in server.channels.items():
        stub: Any = info_pb2_grpc.InfoServiceStub(channel)
        infos[process] = await stub.GetInfo(info_pb2.GetInfoRequest(), timeout=10)
    assert infos["0"] == infos["1"]
    name = 'inkling_rpcs_total{{code="OK",process="{}",reason="",rpc="GetInfo"}}'
    assert await metric(server.gateway, name.format(0)) == 2
    assert await metric(server.gateway, name.format(1)) == 0


async def test_errors_of_the_first_process_keep_their_details(server: Server) -> None:
    refusals = {}
    for process, channel in server.channels.items():
        stub: Any = operations_pb2_grpc.OperationsStub(channel)
        request = operations_pb2.GetOperationRequest(name="operations/refresh-none")
        refusals[process] = await refusal(stub.GetOperation(request, timeout=10))
    assert refusals["0"] == refusals["1"]
    assert (refusals["1"].code, refusals["1"].reason) == ("NOT_FOUND", "UNKNOWN_OPERATION")


async def test_both_say_the_same_of_every_service(server: Server) -> None:
    async def healths(process: str) -> dict[str, int]:
        stub: Any = health_pb2_grpc.HealthStub(server.channels[process])
        names = ("", "inkling.v1.TaggingService", "inkling.v1.GraphService", "no.Such")
        found = {}
        for name in names:
            try:
                reply = await stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=10)
                found[name] = reply.status
            except grpc.aio.AioRpcError as error:
                found[name] = error.code().value[0]
        return found

    expected = await healths("0")
    assert list(expected.values()) == [1, 1, 1, 5]

    async def same() -> bool:
        return await healths("1") == expected

    await until(same)


async def test_the_page_says_how_many_tag(server: Server) -> None:
    url = f"http://127.0.0.1:{server.gateway.http_port}/"
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        assert "<dt>processes that tag<dd>2 of 2" in await response.text()
