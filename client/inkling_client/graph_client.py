"""The blocking client of the interest graph: `InklingClient.graph`.

    graph = client.graph
    for interest in graph.interests(trending_only=True, order="trend"):
        ...
    handle = graph.refresh()
    result = handle.wait(on_progress=print)

This module does not know the rules of retrying (`retry.py`). The same for asyncio
is `graph_aio.py`.
"""

from collections.abc import Generator

import grpc
from google.longrunning import operations_pb2_grpc

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
from inkling_client.operation_handle import Caller, OperationHandle
from inkling_client.refresh_results import REFRESH, RefreshProgress, RefreshResult


class GraphClient:
    """Reads the interest graph of one server, and refreshes it.

    `graph_version`: "" is the one that serves now. Errors are `InklingClientError`s.
    """

    def __init__(self, channel: grpc.Channel, caller: Caller) -> None:
        self._graph = graph_pb2_grpc.GraphServiceStub(channel)
        self._operations = operations_pb2_grpc.OperationsStub(channel)
        self._call = caller

    def get(self, graph_version: str = "") -> GraphInfo:
        """One version as a whole: its size, topics and communities."""
        request = graph_pb2.GetGraphRequest(graph_version=graph_version)
        return self._call(lambda s: graph_info(self._graph.GetGraph(request, timeout=s)))

    def interests(
        self,
        *,
        prefix: str = "",
        trending_only: bool = False,
        community: int | None = None,
        order: Order = "phrase",
        graph_version: str = "",
        page_size: int = PAGE_SIZE,
    ) -> Generator[Interest]:
        """Yields the interests that fulfil every condition. Pages are fetched as you go on; all are
        of one version, whatever is refreshed meanwhile.

        Args:
            prefix: the phrase or an alias begins so; letter case does not matter.
            trending_only: only trending ones.
            community: only those of the community with this number.
            order: "phrase", "count" (most documents first), "trend" (z-score) or "rank" (PageRank).
            graph_version: to read.
            page_size: 1 to 1,000.
        """
        request = interests_request(
            prefix=prefix,
            trending_only=trending_only,
            community=community,
            order=order,
            graph_version=graph_version,
            page_size=page_size,
        )
        while True:
            page = self._call(lambda s: self._graph.ListInterests(request, timeout=s))
            yield from map(interest_of, page.interests)
            request.page_token = page.next_page_token
            if not request.page_token:
                return

    def interest(self, interest_id: str, *, graph_version: str = "") -> Interest:
        """One interest by its id. Raises UnknownInterest where the version does not have it."""
        request = graph_pb2.ListNeighborsRequest(
            interest_id=interest_id, graph_version=graph_version, page_size=1
        )
        answer = self._call(lambda s: self._graph.ListNeighbors(request, timeout=s))
        return interest_of(answer.interest)

    def neighbors(
        self,
        interest_id: str,
        *,
        kind: EdgeKind = "combined",
        graph_version: str = "",
        page_size: int = PAGE_SIZE,
    ) -> Generator[Neighbor]:
        """Yields what an interest is joined with, the strongest first, all of one version.

        Args:
            interest_id: UnknownInterest where the version does not have it.
            kind: "combined", "semantic" or "engagement".
            graph_version: to read.
            page_size: 1 to 1,000.
        """
        request = neighbors_request(
            interest_id, kind=kind, graph_version=graph_version, page_size=page_size
        )
        while True:
            page = self._call(lambda s: self._graph.ListNeighbors(request, timeout=s))
            yield from map(neighbor_of, page.neighbors)
            request.page_token = page.next_page_token
            if not request.page_token:
                return

    def versions(self) -> list[GraphVersion]:
        """Every version that the server keeps, newest first."""
        request = graph_pb2.ListGraphVersionsRequest()
        answer = self._call(lambda s: self._graph.ListGraphVersions(request, timeout=s))
        return [graph_version_of(version) for version in answer.versions]

    def diff(
        self, from_version: str, to_version: str = "", *, max_entry_count: int = PAGE_SIZE
    ) -> GraphDiff:
        """What changed between two versions; each list has at most `max_entry_count` entries."""
        request = graph_pb2.DiffGraphsRequest(
            from_version=from_version, to_version=to_version, max_entry_count=max_entry_count
        )
        return self._call(lambda s: graph_diff(self._graph.DiffGraphs(request, timeout=s)))

    def export(
        self,
        export_format: ExportFormat,
        *,
        graph_version: str = "",
        timeout_s: float = EXPORT_TIMEOUT_S,
    ) -> Generator[bytes]:
        """Yields a version as a file, in pieces: "graphml", "gexf" (Gephi opens both) or "json"."""
        request = graph_pb2.ExportGraphRequest(
            graph_version=graph_version, format=choose("export_format", export_format, FORMATS)
        )
        call = self._graph.ExportGraph(request, timeout=timeout_s)
        try:
            for piece in call:
                yield piece.data
        except grpc.RpcError as error:
            raise from_rpc_error(error) from error
        finally:
            call.cancel()

    def refresh(self, *, force: bool = False) -> "RefreshHandle":
        """Starts to build the next version from what is new; the server goes on serving.

        Args:
            force: build one also where nothing is new.

        Raises:
            RefreshRunning: there is one at a time; `handle(error.metadata["operation"])` is it.
        """
        request = graph_pb2.RefreshGraphRequest(force=force)
        operation = self._call(lambda s: self._graph.RefreshGraph(request, timeout=s), once=True)
        return self.handle(operation.name)

    def handle(self, name: str) -> "RefreshHandle":
        """A refresh that somebody has started."""
        return RefreshHandle(name, self._operations, self._call)

    def rollback(self, graph_version: str) -> str:
        """Serves a version that the server keeps; returns the one that served before."""
        request = graph_pb2.RollbackGraphRequest(graph_version=graph_version)
        answer = self._call(
            lambda s: self._graph.RollbackGraph(request, timeout=s), ROLLBACK_TIMEOUT_S, once=True
        )
        return answer.previous_version


class RefreshHandle(OperationHandle[RefreshProgress, RefreshResult]):
    """One refresh, running or ended; `wait` raises RefreshFailed, RefreshCancelled."""

    _kind = REFRESH
