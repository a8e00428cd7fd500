"""The asyncio client of the interest graph, `AsyncInklingClient.graph`: `graph_client.py`, awaited.

    graph = client.graph
    async for interest in graph.interests(trending_only=True, order="trend"):
        ...
    handle = await graph.refresh()
    result = await handle.wait(on_progress=print)

This module does not know the rules of retrying (`retry.py`).
"""

from collections.abc import AsyncGenerator

import grpc
from google.longrunning import operations_pb2_grpc
from grpc import aio

from inkling.v1 import graph_pb2, graph_pb2_grpc
from inkling_client.errors import from_rpc_error
from inkling_client.graph_calls import (
    EXPORT_TIMEOUT_S,
    FORMATS,
    PAGE_SIZE,
    ROLLBACK_TIMEOUT_S,
    EdgeKind,
    ExportFormat,
    Order,
    choose,
    interests_request,
    neighbors_request,
)
from inkling_client.graph_results import (
    GraphDiff,
    GraphInfo,
    GraphVersion,
    Interest,
    Neighbor,
    graph_diff,
    graph_info,
    graph_version_of,
    interest_of,
    neighbor_of,
)
from inkling_client.operation_aio import AsyncCaller, AsyncOperationHandle
from inkling_client.refresh_results import REFRESH, RefreshProgress, RefreshResult


class AsyncGraphClient:
    """Reads the interest graph of one server, and refreshes it; see `GraphClient`."""

    def __init__(self, channel: aio.Channel, caller: AsyncCaller) -> None:
        self._graph = graph_pb2_grpc.GraphServiceStub(channel)
        self._operations = operations_pb2_grpc.OperationsStub(channel)
        self._call = caller

    async def get(self, graph_version: str = "") -> GraphInfo:
        """One version as a whole: its size, topics and communities."""
        request = graph_pb2.GetGraphRequest(graph_version=graph_version)
        return graph_info(await self._call(lambda s: self._graph.GetGraph(request, timeout=s)))

    async def interests(
        self,
        *,
        prefix: str = "",
        trending_only: bool = False,
        community: int | None = None,
        order: Order = "phrase",
        graph_version: str = "",
        page_size: int = PAGE_SIZE,
    ) -> AsyncGenerator[Interest]:
        """Yields interests of one version; arguments are those of `GraphClient.interests`."""
        request = interests_request(
            prefix=prefix,
            trending_only=trending_only,
            community=community,
            order=order,
            graph_version=graph_version,
            page_size=page_size,
        )
        while True:
            page = await self._call(lambda s: self._graph.ListInterests(request, timeout=s))
            for message in page.interests:
                yield interest_of(message)
            request.page_token = page.next_page_token
            if not request.page_token:
                return

    async def interest(self, interest_id: str, *, graph_version: str = "") -> Interest:
        """One interest by its id. Raises UnknownInterest where the version does not have it."""
        request = graph_pb2.ListNeighborsRequest(
            interest_id=interest_id, graph_version=graph_version, page_size=1
        )
        answer = await self._call(lambda s: self._graph.ListNeighbors(request, timeout=s))
        return interest_of(answer.interest)

    async def neighbors(
        self,
        interest_id: str,
        *,
        kind: EdgeKind = "combined",
        graph_version: str = "",
        page_size: int = PAGE_SIZE,
    ) -> AsyncGenerator[Neighbor]:
        """Yields the strongest first; arguments are those of `GraphClient.neighbors`."""
        request = neighbors_request(
            interest_id, kind=kind, graph_version=graph_version, page_size=page_size
        )
        while True:
            page = await self._call(lambda s: self._graph.ListNeighbors(request, timeout=s))
            for message in page.neighbors:
                yield neighbor_of(message)
            request.page_token = page.next_page_token
            if not request.page_token:
                return

    async def versions(self) -> list[GraphVersion]:
        """Every version that the server keeps, newest first."""
        request = graph_pb2.ListGraphVersionsRequest()
        answer = await self._call(lambda s: self._graph.ListGraphVersions(request, timeout=s))
        return [graph_version_of(version) for version in answer.versions]

    async def diff(
        self, from_version: str, to_version: str = "", *, max_entry_count: int = PAGE_SIZE
    ) -> GraphDiff:
        """What changed between two versions; each list has at most `max_entry_count` entries."""
        request = graph_pb2.DiffGraphsRequest(
            from_version=from_version, to_version=to_version, max_entry_count=max_entry_count
        )
        return graph_diff(await self._call(lambda s: self._graph.DiffGraphs(request, timeout=s)))

    async def export(
        self,
        export_format: ExportFormat,
        *,
        graph_version: str = "",
        timeout_s: float = EXPORT_TIMEOUT_S,
    ) -> AsyncGenerator[bytes]:
        """Yields a version as a file, in pieces: "graphml", "gexf" (Gephi opens both) or "json"."""
        request = graph_pb2.ExportGraphRequest(
            graph_version=graph_version, format=choose("export_format", export_format, FORMATS)
        )
        call = self._graph.ExportGraph(request, timeout=timeout_s)
        try:
            async for piece in call:
                yield piece.data
        except grpc.RpcError as error:
            raise from_rpc_error(error) from error
        finally:
            call.cancel()

    async def refresh(self, *, force: bool = False) -> "AsyncRefreshHandle":
        """Starts to build the next version; see `GraphClient.refresh`."""
        request = graph_pb2.RefreshGraphRequest(force=force)
        operation = await self._call(
            lambda s: self._graph.RefreshGraph(request, timeout=s), once=True
        )
        return self.handle(operation.name)

    def handle(self, name: str) -> "AsyncRefreshHandle":
        """A refresh that somebody has started."""
        return AsyncRefreshHandle(name, self._operations, self._call)

    async def rollback(self, graph_version: str) -> str:
        """Serves a version that the server keeps; returns the one that served before."""
        request = graph_pb2.RollbackGraphRequest(graph_version=graph_version)
        answer = await self._call(
            lambda s: self._graph.RollbackGraph(request, timeout=s), ROLLBACK_TIMEOUT_S, once=True
        )
        return answer.previous_version


class AsyncRefreshHandle(AsyncOperationHandle[RefreshProgress, RefreshResult]):
    """One refresh, running or ended; see `RefreshHandle`."""

    _kind = REFRESH
