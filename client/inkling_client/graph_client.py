"""The blocking client of the interest graph: `InklingClient.graph`.

    graph = client.graph
    for interest in graph.interests(trending_only=True, order="trend"):
        ...
    handle = graph.refresh()
    result = handle.wait(on_progress=print)

This module does not know the rules of retrying (`retry.py`). The same for asyncio
is `graph_aio.py`.
"""

import time
from collections.abc import Callable, Generator
from typing import Protocol, TypeVar

import grpc
from google.longrunning import operations_pb2, operations_pb2_grpc

from inkling.v1 import graph_pb2, graph_pb2_grpc
from inkling_client.errors import InklingClientError, from_rpc_error, refresh_not_done
from inkling_client.graph_calls import (
    CANCEL_TIMEOUT_S,
    EXPORT_TIMEOUT_S,
    FORMATS,
    PAGE_SIZE,
    POLL_S,
    ROLLBACK_TIMEOUT_S,
    EdgeKind,
    ExportFormat,
    Order,
    choose,
    interests_request,
    neighbors_request,
    wait_request,
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
from inkling_client.refresh_results import (
    RefreshProgress,
    RefreshResult,
    refresh_outcome,
    refresh_progress,
)

T = TypeVar("T")


class Caller(Protocol):
    """Calls `call(seconds left)` and turns its errors into typed ones."""

    def __call__(
        self, call: Callable[[float], T], timeout_s: float | None = None, *, once: bool = False
    ) -> T:
        """Tries until it works, its error is final, or time is up; `once`: a single time."""


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


class RefreshHandle:
    """One refresh, running or ended.

    Attributes:
        name: of its operation.
    """

    def __init__(
        self, name: str, operations: operations_pb2_grpc.OperationsStub, caller: Caller
    ) -> None:
        self.name = name
        self._operations = operations
        self._call = caller

    def progress(self) -> RefreshProgress:
        """How far it is. Raises UnknownOperation where the server has forgotten it."""
        request = operations_pb2.GetOperationRequest(name=self.name)
        operation = self._call(lambda s: self._operations.GetOperation(request, timeout=s))
        return refresh_progress(operation)

    def wait(
        self,
        on_progress: Callable[[RefreshProgress], object] | None = None,
        *,
        timeout_s: float = float("inf"),
    ) -> RefreshResult:
        """Returns when it has succeeded.

        Args:
            on_progress: told how far it is, about twice a second and at the end.
            timeout_s: how long to wait; the refresh goes on after it.

        Raises:
            RefreshFailed, RefreshCancelled: it has ended otherwise.
            DeadlineExceeded: it runs longer than `timeout_s`.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            asked_s = time.monotonic()
            operation = self._wait_a_moment(deadline - asked_s)
            if on_progress is not None:
                on_progress(refresh_progress(operation))
            outcome = refresh_outcome(operation)
            if isinstance(outcome, InklingClientError):
                raise outcome
            if outcome is not None:
                return outcome
            now_s = time.monotonic()
            if now_s >= deadline:
                raise refresh_not_done(timeout_s)
            # Servers may answer early.
            time.sleep(max(min(asked_s + POLL_S, deadline) - now_s, 0.0))

    def cancel(self) -> None:
        """Ends it, and returns when it has ended; does nothing where it is too late."""
        request = operations_pb2.CancelOperationRequest(name=self.name)
        self._call(lambda s: self._operations.CancelOperation(request, timeout=s), CANCEL_TIMEOUT_S)

    def _wait_a_moment(self, left_s: float) -> operations_pb2.Operation:
        request, call_s = wait_request(self.name, left_s)
        return self._call(lambda s: self._operations.WaitOperation(request, timeout=s), call_s)
