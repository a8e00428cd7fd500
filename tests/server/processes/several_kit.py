"""A gateway with a real follower beside it, both with fake encoders, and connections to each."""

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from inkling.v1 import tagging_pb2, tagging_pb2_grpc
from inkling_server.data_dir import DataDir
from inkling_server.encoders import Encoder, EncoderBackend
from inkling_server.engine import BackendEvents
from inkling_server.fake_encoder import DEFAULT_MANIFEST, FakeEncoder
from inkling_server.gateway import Gateway, running_gateway
from inkling_server.interests.snapshot import save_snapshot
from inkling_server.interests.store import GraphStore
from inkling_server.refreshing import SHIPPED_GRAPHS
from inkling_server.settings import Settings
from tests.server.gateway_kit import FakeBackend, colour_graph, gateway_settings
from tests.server.rpc.rpc_kit import metric, request
from tests.serving import until

FAKE_FOLLOWER = (sys.executable, str(Path(__file__).with_name("fake_follower.py")))


class LeavingEncoder(FakeEncoder):
    """Asks before it lets its version go, as one on Triton does."""

    unloading: Callable[[int], Awaitable[None]]

    async def close(self) -> None:
        """Notes when it was let go."""
        await self.unloading(self.manifest.version)
        await super().close()


class LeavingBackend(FakeBackend):
    """Its encoders are `LeavingEncoder`s."""

    @asynccontextmanager
    async def open(
        self, settings: Settings, data_dir: DataDir, events: BackendEvents
    ) -> AsyncIterator[EncoderBackend]:
        """An `OpenBackend`."""
        assert isinstance(self.encoder, LeavingEncoder)
        self.encoder.unloading = events.unloading
        async with super().open(settings, data_dir, events) as backend:
            yield backend

    async def open_version(self, version: int) -> Encoder:
        """As in production: each asks."""
        encoder = await super().open_version(version)
        assert isinstance(encoder, LeavingEncoder)
        assert self.events is not None
        encoder.unloading = self.events.unloading
        return encoder


@dataclass
class Server:
    """Two processes, and a connection to each: "0" is the owner's."""

    gateway: Gateway
    store: GraphStore
    backend: LeavingBackend
    channels: dict[str, grpc.aio.Channel]

    def stub(self, process: str) -> Any:
        return tagging_pb2_grpc.TaggingServiceStub(self.channels[process])

    async def tag(self, process: str, colour: str = "red") -> tagging_pb2.TagResponse:
        answer: tagging_pb2.TagResponse = await self.stub(process).Tag(request(colour), timeout=10)
        return answer

    async def tags_of(self, process: str) -> float:
        name = f'inkling_rpcs_total{{code="OK",process="{process}",reason="",rpc="Tag"}}'
        return await metric(self.gateway, name)


@asynccontextmanager
async def several(tmp_path: Path, **changes: Any) -> AsyncIterator[Server]:
    """A server of two processes, both of which serve."""
    settings = gateway_settings(tmp_path, processes=2, graph_poll_s=0.05, **changes)
    store = GraphStore(settings.data_dir / "graph", SHIPPED_GRAPHS)
    store.make_current(save_snapshot(colour_graph(), store.root).name)
    backend = LeavingBackend(LeavingEncoder(DEFAULT_MANIFEST))
    async with AsyncExitStack() as stack:
        gateway = await stack.enter_async_context(
            running_gateway(settings, backend.open, FAKE_FOLLOWER)
        )
        async with asyncio.timeout(30):
            assert await gateway.wait_until_all_serve()
            await until(lambda: gateway.health.serving)
        server = Server(gateway, store, backend, {})
        async with asyncio.timeout(20):
            while len(server.channels) < 2:
                await _add_connection(server, stack)
        yield server


async def _add_connection(server: Server, stack: AsyncExitStack) -> None:
    """A new connection, kept where there is none to its process yet."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    channel = grpc.aio.insecure_channel(f"127.0.0.1:{server.gateway.grpc_port}", options)
    before = Counter({p: await server.tags_of(p) for p in "01"})
    await tagging_pb2_grpc.TaggingServiceStub(channel).Tag(request(), timeout=10)
    [process] = [p for p in "01" if await server.tags_of(p) > before[p]]
    if process in server.channels:
        await channel.close()
    else:
        server.channels[process] = await stack.enter_async_context(channel)
