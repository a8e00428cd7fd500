"""A scripted GraphService with its operations, for `RunningServer`'s `add_more`.

Interests are made by `interest`; a refresh stands still until the test moves it.
"""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NoReturn

import grpc
from google.longrunning import operations_pb2, operations_pb2_grpc
from google.protobuf import empty_pb2
from google.rpc import status_pb2
from grpc_status import rpc_status

from inkling.v1 import graph_pb2, graph_pb2_grpc
from tests.client.fake_server import status

VERSION, OLD_VERSION = "2026-11-02-3352e7c3", "2026-11-01-f4ee1174"
OPERATION = "operations/refresh-1"
CANCELLED = status(grpc.StatusCode.CANCELLED, "REFRESH_CANCELLED", "the refresh was cancelled")


def interest(phrase: str, count: int = 0, **fields: Any) -> graph_pb2.Interest:
    """An interest whose id is made of its phrase."""
    name = "-".join(phrase.lower().split())
    made = graph_pb2.Interest(interest_id=name, phrase=phrase, document_count=count, **fields)
    made.first_seen_time.FromDatetime(datetime(2026, 10, 1, tzinfo=UTC))
    return made


INTERESTS = [
    interest("cat", 12_345, aliases=["kitty", "cats"], rank=0.01, community_number=0),
    interest("catering", 90, rank=0.002, community_number=3),
    interest(
        "Northern Lights", 1_234, aliases=["aurora"], trending=True, trend_z=8.53, rank=0.0123
    ),
    interest("sourdough bread with quite a long name that has to wrap somewhere", 77),
    interest("zebra", 5, trending=True, trend_z=3.1, topic_number=2, community_number=1),
]


def version(name: str = VERSION) -> graph_pb2.GraphVersion:
    """A version in a few numbers."""
    made = graph_pb2.GraphVersion(
        graph_version=name,
        interest_count=5_432,
        edge_count=45_678,
        document_count=1_200_000,
        current=name == VERSION,
    )
    made.created_time.FromDatetime(datetime(2026, 11, 2, 10, 30, tzinfo=UTC))
    return made


class FakeGraph(graph_pb2_grpc.GraphServiceServicer, operations_pb2_grpc.OperationsServicer):  # type: ignore[misc]  # untyped
    """The servicers, and what they saw.

    Attributes:
        interests: of every version.
        requests: every request, in order.
        operation: the refresh; running from the moment that somebody starts it.
        refuse: statuses that the next calls of an RPC get, by its name.
        answers_early: waiting is answered at once.
    """

    def __init__(self) -> None:
        self.interests = list(INTERESTS)
        self.requests: list[Any] = []
        self.changed = threading.Condition()
        self.operation: operations_pb2.Operation | None = None
        self.refuse: dict[str, list[status_pb2.Status]] = {}
        self.waiting_count = 0
        self.answers_early = False

    def add_to(self, server: grpc.Server) -> None:
        """For `RunningServer`."""
        graph_pb2_grpc.add_GraphServiceServicer_to_server(self, server)
        operations_pb2_grpc.add_OperationsServicer_to_server(self, server)

    def seen(self, kind: type) -> list[Any]:
        """Requests of one kind."""
        return [request for request in self.requests if isinstance(request, kind)]

    def move(self, stage: str, done: int = 0, total: int = 0, left_s: float | None = None) -> None:
        """Puts the refresh into a stage; whoever waits hears of it at their next question."""
        with self.changed:
            assert self.operation is not None
            metadata = graph_pb2.RefreshGraphMetadata(
                stage=graph_pb2.RefreshStage.Value(f"REFRESH_STAGE_{stage.upper()}"),
                done_count=done,
                total_count=total,
                base_version=OLD_VERSION,
                feed="demo",
            )
            metadata.create_time.FromDatetime(datetime(2026, 11, 2, 10, 0, 0, tzinfo=UTC))
            loading = metadata.stage_durations.add(stage=graph_pb2.REFRESH_STAGE_LOADING)
            loading.duration.FromMilliseconds(300)
            if left_s is not None:
                metadata.remaining_duration.FromMilliseconds(int(left_s * 1e3))
            if self.operation.done:
                metadata.end_time.FromDatetime(datetime(2026, 11, 2, 10, 3, 20, tzinfo=UTC))
            self.operation.metadata.Pack(metadata)
            self.changed.notify_all()

    def succeed(self, **fields: Any) -> None:
        """Ends the refresh well."""
        values: dict[str, Any] = {
            "graph_version": VERSION,
            "base_version": OLD_VERSION,
            "item_count": 1_200,
            "kept_count": 1_000,
            "near_duplicate_count": 150,
            "other_language_count": 50,
            "invalid_count": 3,
            "engagement_count": 8_000,
            "interest_count": 5_432,
            "added_count": 12,
            "retired_count": 3,
            "edge_count": 45_678,
            "trending": [i for i in self.interests if i.trending],
        }
        with self.changed:
            assert self.operation is not None
            self.operation.done = True
            self.operation.response.Pack(graph_pb2.RefreshGraphResponse(**(values | fields)))
            self.move("done")

    def fail(self, why: status_pb2.Status) -> None:
        """Ends it badly."""
        with self.changed:
            assert self.operation is not None
            self.operation.done = True
            self.operation.error.CopyFrom(why)
            self.move("reading")

    def GetGraph(self, request: Any, context: Any) -> graph_pb2.GetGraphResponse:  # noqa: N802
        self._begin("GetGraph", request, context)
        return graph_pb2.GetGraphResponse(
            graph=version(request.graph_version or VERSION),
            trending_count=2,
            semantic_edge_count=40_000,
            engagement_edge_count=9_000,
            topics=[graph_pb2.Topic(number=n, words=["cat", "dog", "pet"]) for n in range(12)],
            communities=[
                graph_pb2.Community(number=n, name=f"cats, dogs and {n}", interest_count=900 - n)
                for n in range(14)
            ],
        )

    def ListInterests(  # noqa: N802
        self, request: graph_pb2.ListInterestsRequest, context: Any
    ) -> graph_pb2.ListInterestsResponse:
        self._begin("ListInterests", request, context)
        prefix = request.prefix.casefold()
        found = [
            i
            for i in self.interests
            if any(name.casefold().startswith(prefix) for name in (i.phrase, *i.aliases))
            and (i.trending or not request.trending_only)
            and (
                not request.HasField("community_number")
                or request.community_number == i.community_number
            )
        ]
        begin = int(request.page_token or 0)
        end = begin + (request.page_size or 100)
        return graph_pb2.ListInterestsResponse(
            interests=found[begin:end],
            next_page_token=str(end) if end < len(found) else "",
            graph_version=request.graph_version or VERSION,
            total_count=len(found),
        )

    def ListNeighbors(  # noqa: N802
        self, request: graph_pb2.ListNeighborsRequest, context: Any
    ) -> graph_pb2.ListNeighborsResponse:
        self._begin("ListNeighbors", request, context)
        found = next((i for i in self.interests if i.interest_id == request.interest_id), None)
        if found is None:
            self._abort(context, status(grpc.StatusCode.NOT_FOUND, "UNKNOWN_INTEREST"))
        others = [i for i in self.interests if i is not found]
        begin = int(request.page_token or 0)
        end = begin + (request.page_size or 100)
        return graph_pb2.ListNeighborsResponse(
            interest=found,
            neighbors=[
                graph_pb2.Neighbor(interest=other, semantic=0.5, engagement=0.25, weight=0.75)
                for other in others[begin:end]
            ],
            next_page_token=str(end) if end < len(others) else "",
            total_count=len(others),
        )

    def ListGraphVersions(  # noqa: N802
        self, request: Any, context: Any
    ) -> graph_pb2.ListGraphVersionsResponse:
        self._begin("ListGraphVersions", request, context)
        return graph_pb2.ListGraphVersionsResponse(versions=[version(), version(OLD_VERSION)])

    def DiffGraphs(  # noqa: N802
        self, request: graph_pb2.DiffGraphsRequest, context: Any
    ) -> graph_pb2.DiffGraphsResponse:
        self._begin("DiffGraphs", request, context)
        return graph_pb2.DiffGraphsResponse(
            from_version=request.from_version,
            to_version=request.to_version or VERSION,
            added_count=30,
            removed_count=1,
            renamed_count=1,
            newly_trending_count=2,
            added_edge_count=123,
            removed_edge_count=45,
            added=self.interests[:3],
            removed=self.interests[3:4],
            renamed=[
                graph_pb2.RenamedInterest(
                    interest_id="cat", from_phrase="house cat", to_phrase="cat"
                )
            ],
            newly_trending=[i for i in self.interests if i.trending],
        )

    def ExportGraph(  # noqa: N802
        self, request: graph_pb2.ExportGraphRequest, context: Any
    ) -> Iterator[graph_pb2.ExportGraphResponse]:
        self._begin("ExportGraph", request, context)
        yield graph_pb2.ExportGraphResponse(graph_version=VERSION, data=b"<graph")
        self._begin("ExportGraph, second piece", None, context)
        yield graph_pb2.ExportGraphResponse(data=b"/>")

    def RefreshGraph(self, request: Any, context: Any) -> operations_pb2.Operation:  # noqa: N802
        self._begin("RefreshGraph", request, context)
        self.operation = operations_pb2.Operation(name=OPERATION)
        self.move("loading")
        return self.operation

    def RollbackGraph(  # noqa: N802
        self, request: graph_pb2.RollbackGraphRequest, context: Any
    ) -> graph_pb2.RollbackGraphResponse:
        self._begin("RollbackGraph", request, context)
        return graph_pb2.RollbackGraphResponse(
            graph_version=request.graph_version, previous_version=VERSION
        )

    def GetOperation(self, request: Any, context: Any) -> operations_pb2.Operation:  # noqa: N802
        self._begin("GetOperation", request, context)
        return self._found(request.name, context)

    def WaitOperation(self, request: Any, context: Any) -> operations_pb2.Operation:  # noqa: N802
        self._begin("WaitOperation", request, context)
        operation = self._found(request.name, context)
        with self.changed:
            self.waiting_count += 1
            self.changed.notify_all()
            if not self.answers_early:
                timeout_s = request.timeout.ToNanoseconds() / 1e9
                self.changed.wait_for(lambda: operation.done, timeout_s)
            answer = operations_pb2.Operation()
            answer.CopyFrom(operation)
            return answer

    def CancelOperation(self, request: Any, context: Any) -> empty_pb2.Empty:  # noqa: N802
        self._begin("CancelOperation", request, context)
        if not self._found(request.name, context).done:
            self.fail(CANCELLED)
        return empty_pb2.Empty()

    def wait_until_watched(self, times: int = 1) -> None:
        """Returns when somebody has asked so often for the refresh's end; fails after 10 s."""
        with self.changed:
            assert self.changed.wait_for(lambda: self.waiting_count >= times, timeout=10)

    def _begin(self, rpc: str, request: Any, context: Any) -> None:
        with self.changed:
            if request is not None:
                kept = type(request)()
                kept.CopyFrom(request)
                self.requests.append(kept)
            refusals = self.refuse.get(rpc)
            why = refusals.pop(0) if refusals else None
        if why is not None:
            self._abort(context, why)

    def _found(self, name: str, context: Any) -> operations_pb2.Operation:
        if self.operation is None or self.operation.name != name:
            self._abort(context, status(grpc.StatusCode.NOT_FOUND, "UNKNOWN_OPERATION"))
        return self.operation

    def _abort(self, context: Any, why: status_pb2.Status) -> NoReturn:
        context.abort_with_status(rpc_status.to_status(why))
        raise AssertionError("abort raises")
