"""GraphService: answers about versions of the interest graph, and starts refreshes.

Everything that one RPC reads comes from one immutable `GraphView`, so no answer mixes versions. It
knows no files, processes or indexes, and holds no `try` (see `boundary.py`).
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from google.longrunning import operations_pb2

from inkling.v1 import graph_pb2, graph_pb2_grpc
from inkling_server.errors import ArgumentOutOfRange, Overloaded
from inkling_server.interests.diff import diff_graphs
from inkling_server.interests.export import export_graph
from inkling_server.interests.library import GraphLibrary
from inkling_server.refresh.operation import Refresher
from inkling_server.rpc.boundary import Context
from inkling_server.rpc.graph_converters import (
    to_diff,
    to_graph,
    to_interest,
    to_neighbors,
    to_operation,
    to_version,
)
from inkling_server.rpc.graph_queries import InterestQuery, NeighborQuery, export_format
from inkling_server.rpc.paging import count_in_range

# Each holds a whole graph as a file, for as long as its reader takes.
_MAX_EXPORTS = 8
_RETRY_AFTER_S = 5.0


class GraphServicer(graph_pb2_grpc.GraphServiceServicer):
    """All RPCs of the graph.

    Args:
        library: finds versions; raises EncoderDown while nothing has been loaded yet.
        refresher: what runs refreshes; raises the same.
    """

    def __init__(
        self, library: Callable[[], GraphLibrary], refresher: Callable[[], Refresher]
    ) -> None:
        self._library = library
        self._refresher = refresher
        self._export_count = 0
        self._exporting = asyncio.Lock()

    async def GetGraph(  # noqa: N802
        self, request: graph_pb2.GetGraphRequest, context: Context
    ) -> graph_pb2.GetGraphResponse:
        del context
        library = self._library()
        view = await library.view(request.graph_version)
        return to_graph(view, is_current=view.snapshot.version == library.current_version)

    async def ListInterests(  # noqa: N802
        self, request: graph_pb2.ListInterestsRequest, context: Context
    ) -> graph_pb2.ListInterestsResponse:
        del context
        query = InterestQuery.of(request)
        view = await self._library().view(query.page.graph_version)
        rows, version = query.rows(view), view.snapshot.version
        return graph_pb2.ListInterestsResponse(
            interests=[
                to_interest(view.snapshot.interests[row]) for row in rows[query.page.entries]
            ],
            next_page_token=query.page.next_token(version, len(rows)),
            graph_version=version,
            total_count=len(rows),
        )

    async def ListNeighbors(  # noqa: N802
        self, request: graph_pb2.ListNeighborsRequest, context: Context
    ) -> graph_pb2.ListNeighborsResponse:
        del context
        query = NeighborQuery.of(request)
        view = await self._library().view(query.page.graph_version)
        row, graph = query.row(view), view.snapshot
        found = view.neighbors(row, query.kind)
        return graph_pb2.ListNeighborsResponse(
            interest=to_interest(graph.interests[row]),
            neighbors=to_neighbors(graph, found, query.page.entries),
            next_page_token=query.page.next_token(graph.version, len(found)),
            graph_version=graph.version,
            total_count=len(found),
        )

    async def ListGraphVersions(  # noqa: N802
        self, request: graph_pb2.ListGraphVersionsRequest, context: Context
    ) -> graph_pb2.ListGraphVersionsResponse:
        del request, context
        versions = await self._library().versions()
        return graph_pb2.ListGraphVersionsResponse(versions=[to_version(v) for v in versions])

    async def DiffGraphs(  # noqa: N802
        self, request: graph_pb2.DiffGraphsRequest, context: Context
    ) -> graph_pb2.DiffGraphsResponse:
        del context
        max_entry_count = count_in_range("max_entry_count", request.max_entry_count)
        library = self._library()
        old = (await library.view(request.from_version)).snapshot
        new = (await library.view(request.to_version)).snapshot
        diff = await asyncio.to_thread(diff_graphs, old, new)
        return to_diff(old.version, new.version, diff, max_entry_count)

    async def ExportGraph(  # type: ignore[override]  # noqa: N802
        self, request: graph_pb2.ExportGraphRequest, context: Context
    ) -> None:
        # A coroutine that writes by itself; the generated base knows only generators.
        form = export_format(request.format)
        graph = (await self._library().view(request.graph_version)).snapshot
        version = graph.version
        with self._room_for_export():
            pieces = export_graph(graph, form)
            # The first piece takes seconds of a whole core: one export at a time.
            async with self._exporting:
                piece = await asyncio.to_thread(next, pieces, b"")
            while piece:
                await context.write(
                    graph_pb2.ExportGraphResponse(graph_version=version, data=piece)
                )
                version = ""
                piece = await asyncio.to_thread(next, pieces, b"")

    async def RefreshGraph(  # noqa: N802
        self, request: graph_pb2.RefreshGraphRequest, context: Context
    ) -> operations_pb2.Operation:
        del context
        return to_operation(await self._refresher().start(force=request.force))

    async def RollbackGraph(  # noqa: N802
        self, request: graph_pb2.RollbackGraphRequest, context: Context
    ) -> graph_pb2.RollbackGraphResponse:
        del context
        if not request.graph_version:
            raise ArgumentOutOfRange("graph_version", "empty", "one of ListGraphVersions")
        previous = await self._refresher().roll_back(request.graph_version)
        return graph_pb2.RollbackGraphResponse(
            graph_version=request.graph_version, previous_version=previous
        )

    @contextmanager
    def _room_for_export(self) -> Iterator[None]:
        if self._export_count >= _MAX_EXPORTS:
            raise Overloaded(_RETRY_AFTER_S)
        self._export_count += 1
        try:
            yield
        finally:
            self._export_count -= 1
