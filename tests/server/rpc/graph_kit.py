"""A graph's server without a gateway: two small versions, and a refresher that obeys the test."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from google.longrunning import operations_pb2_grpc

from inkling.v1 import graph_pb2_grpc
from inkling_server.errors import (
    EncoderDown,
    GraphVersionNotServed,
    InklingError,
    RefreshCancelled,
    RefreshRunning,
    UnknownOperation,
)
from inkling_server.interests.graph import (
    Community,
    Edges,
    GraphSnapshot,
    Interest,
    Topic,
    make_snapshot,
)
from inkling_server.interests.library import GraphLibrary
from inkling_server.interests.snapshot import save_snapshot
from inkling_server.refresh.operation import (
    Progress,
    RefreshOperation,
    RefreshSummary,
    Stage,
)
from inkling_server.rpc.boundary import Boundary
from inkling_server.rpc.content_servicer import ContentServicer
from inkling_server.rpc.draining import Drain
from inkling_server.rpc.graph_servicer import GraphServicer
from inkling_server.rpc.health import HealthBoard, HealthServicer
from inkling_server.rpc.info_servicer import InfoServicer
from inkling_server.rpc.item_stream import StreamPolicy
from inkling_server.rpc.model_servicer import ModelServicer
from inkling_server.rpc.operations_servicer import OperationsServicer
from inkling_server.rpc.profile_servicer import ProfileServicer
from inkling_server.rpc.server import Endpoint, Services, build_server
from inkling_server.rpc.tagging_servicer import TaggingServicer

OLD_TIME = datetime(2026, 11, 1, tzinfo=UTC)
NEW_TIME = datetime(2026, 11, 2, tzinfo=UTC)
# Rows: cat 0, kitchen 1, northern-lights 2, zebra 3.
INTERESTS = (
    Interest("cat", "cat", ("Kitty", "cats"), 500, pinned=True, rank=0.4, topic=0, community=0),
    Interest("kitchen", "kitchen", (), 90, rank=0.2, community=0),
    Interest(
        "northern-lights",
        "Northern Lights",
        ("aurora",),
        70,
        trend_z=8.5,
        is_trending=True,
        rank=0.3,
        community=1,
        first_seen=datetime(2026, 10, 30, tzinfo=UTC),
        last_seen=datetime(2026, 11, 2, 1, tzinfo=UTC),
        extractors=("rake", "yake"),
    ),
    Interest("zebra", "zebra", (), 500, rank=0.1),
)
EDGES = Edges(
    np.array([[0, 1], [0, 2], [0, 3]], np.int32),
    np.array([0.5, 0.0, 0.75], np.float32),
    np.array([0.25, 0.5, 0.0], np.float32),
    np.array([0.5, 0.25, 0.375], np.float32),
)


def new_graph() -> GraphSnapshot:
    """The version that serves."""
    return make_snapshot(
        INTERESTS,
        NEW_TIME,
        edges=EDGES,
        topics=[Topic(0, ("cat", "dog"))],
        communities=[Community(0, "cats and kitchens", 2), Community(1, "the north", 1)],
        document_count=2_000,
    )


def old_graph() -> GraphSnapshot:
    """The one before: no zebra, a dodo, and no northern lights in the news."""
    cat, kitchen, lights, _ = INTERESTS
    return make_snapshot(
        [
            replace(cat, phrase="house cat"),
            Interest("dodo", "dodo", (), 3),
            kitchen,
            replace(lights, is_trending=False, trend_z=0.5),
        ],
        OLD_TIME,
    )


class FakeRefresher:
    """Refreshes that go on until the test says otherwise."""

    def __init__(self) -> None:
        self.operations: dict[str, RefreshOperation] = {}
        self.changed = asyncio.Condition()
        self.forced: list[bool] = []
        self.rolled_back: list[str] = []
        self.waiting_count = 0
        self.failure: InklingError | None = None

    def put(self, name: str, **fields: Any) -> RefreshOperation:
        """An operation that is there from the start."""
        self.operations[name] = RefreshOperation(
            name=name,
            create_time=fields.pop(
                "create_time", NEW_TIME + timedelta(seconds=len(self.operations))
            ),
            base_version="g1",
            feed=fields.pop("feed", "content"),
            **fields,
        )
        return self.operations[name]

    async def end(self, name: str, **fields: Any) -> None:
        """Ends one with a summary or an error."""
        async with self.changed:
            self.operations[name] = replace(
                self.operations[name],
                end_time=NEW_TIME + timedelta(hours=1),
                progress=Progress(Stage.DONE),
                **fields,
            )
            self.changed.notify_all()

    async def start(self, *, force: bool = False) -> RefreshOperation:
        if running := [o.name for o in self.operations.values() if not o.is_done]:
            raise RefreshRunning(running[0])
        self.forced.append(force)
        return self.put(f"operations/refresh-{len(self.operations)}")

    def get(self, name: str) -> RefreshOperation:
        if name not in self.operations:
            raise UnknownOperation
        return self.operations[name]

    def list(self) -> list[RefreshOperation]:
        return sorted(self.operations.values(), key=lambda o: o.create_time, reverse=True)

    async def wait(self, name: str, timeout_s: float | None) -> RefreshOperation:
        self.get(name)
        self.waiting_count += 1
        try:
            async with asyncio.timeout(timeout_s), self.changed:
                await self.changed.wait_for(lambda: self.get(name).is_done)
        except TimeoutError:
            pass
        finally:
            self.waiting_count -= 1
        return self.get(name)

    async def cancel(self, name: str) -> None:
        if not self.get(name).is_done:
            await self.end(name, error=RefreshCancelled())

    def delete(self, name: str) -> None:
        if self.get(name).is_done:
            del self.operations[name]

    async def roll_back(self, version: str) -> str:
        if self.failure is not None:
            raise self.failure
        if version not in {old_graph().version, new_graph().version}:
            raise GraphVersionNotServed(new_graph().version)
        self.rolled_back.append(version)
        return new_graph().version


SUMMARY = RefreshSummary(
    graph_version="g2",
    base_version="g1",
    item_count=10,
    kept_count=6,
    near_duplicate_count=1,
    other_language_count=1,
    empty_count=2,
    invalid_count=3,
    engagement_count=40,
    interest_count=4,
    added_count=2,
    retired_count=1,
    edge_count=3,
    trending=(INTERESTS[2],),
)


@dataclass
class GraphServer:
    """What a test can do to the server, and how it talks to it.

    Attributes:
        loaded: unset it, and the server answers as one that is starting.
        current: the graph that serves.
        finished: (RPC, code, reason) of every call that has ended.
    """

    root: Path
    refresher: FakeRefresher = field(default_factory=FakeRefresher)
    drain: Drain = field(default_factory=Drain)
    loaded: bool = True
    current: GraphSnapshot = field(default_factory=new_graph)
    finished: list[tuple[str, str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for graph in (old_graph(), new_graph()):
            save_snapshot(graph, self.root)
        self._library = GraphLibrary(lambda: self.current, (self.root,))
        self.boundary = Boundary(self, max_unary_calls=16)

    def library(self) -> GraphLibrary:
        library: GraphLibrary = self._needs_model(self._library)
        return library

    def rpc_started(self, rpc: str) -> None:
        pass

    def rpc_finished(self, rpc: str, code: str, reason: str, duration_s: float) -> None:
        self.finished.append((rpc, code, reason))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[grpc.aio.Channel]:
        """The server on a free port, and a connection to it."""
        streams = StreamPolicy(1, self.drain, lambda _: None)
        server, port = build_server(
            Endpoint("127.0.0.1", 0, max_image_bytes=2**20, max_connection_streams=100),
            Services(
                tagging=TaggingServicer(
                    lambda: self._needs_model(None), streams, lambda: self._needs_model(None)
                ),
                content=ContentServicer(lambda: self._needs_model(None), streams),
                profiles=ProfileServicer(lambda: self._needs_model(None)),
                info=InfoServicer(lambda: self._needs_model(None)),
                health=HealthServicer(HealthBoard(), self.drain),
                graph=GraphServicer(self.library, lambda: self._needs_model(self.refresher)),
                model=ModelServicer(lambda: self._needs_model(None)),
                operations=OperationsServicer(
                    lambda: self._needs_model(self.refresher), drain=self.drain
                ),
            ),
            self.boundary,
        )
        await server.start()
        try:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                yield channel
        finally:
            await server.stop(0)

    def _needs_model(self, part: Any) -> Any:
        if not self.loaded:
            raise EncoderDown("starting")
        return part


def graph_stub(channel: grpc.aio.Channel) -> "graph_pb2_grpc.GraphServiceAsyncStub":
    """The graph's service."""
    return graph_pb2_grpc.GraphServiceStub(channel)


def operations_stub(channel: grpc.aio.Channel) -> Any:
    """The operations' service; its generated code has no types."""
    return operations_pb2_grpc.OperationsStub(channel)
