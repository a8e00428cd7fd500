"""What the process that was started does for its followers; next to nothing where it has none.

    settings.processes = 1     no followers, no socket, metrics as they are
    settings.processes > 1     followers run while there is a model; they hand on over a socket

It knows the engine and which services are well, not how either works.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

import grpc

from inkling_server.data_dir import DataDir
from inkling_server.engine import Engine
from inkling_server.processes.followers import Followers, OwnerNow, Patience
from inkling_server.processes.joined_metrics import render_joined
from inkling_server.processes.link import COMMAND
from inkling_server.processes.orders import SOCKET, Shared, Target
from inkling_server.refreshing import graph_store
from inkling_server.rpc.health import TAGGING
from inkling_server.rpc.listening import PrivateSocket, Sharing
from inkling_server.settings import Settings
from inkling_server.telemetry import Metrics


class Owner:
    """One server's processes. One event loop owns it.

    Args:
        settings: of all of them.
        data_dir: held by this process.
        metrics: of this process.
        services: health by service.
        command: a follower's process.

    Attributes:
        followers: the others.
    """

    def __init__(
        self,
        settings: Settings,
        data_dir: DataDir,
        metrics: Metrics,
        services: Callable[[], Mapping[str, bool]],
        command: Sequence[str] = COMMAND,
    ) -> None:
        self._settings = settings
        self._data_dir = data_dir
        self._metrics = metrics
        self._services = services
        self._socket: PrivateSocket | None = None
        self.followers = Followers(
            settings.processes - 1,
            Patience(move_s=settings.start_timeout_s, drain_s=settings.drain_s),
            command=command,
        )
        if self.followers.count:
            metrics.watch(
                "inkling_processes", "Processes that should tag.", lambda: settings.processes
            )
            metrics.watch(
                "inkling_processes_serving", "Processes that tag now.", lambda: self.serving_count
            )
            metrics.watch(
                "inkling_process_restarts",
                "Processes that were started again.",
                lambda: self.followers.restart_count,
            )

    @property
    def sharing(self) -> Sharing:
        """How this process takes the port."""
        return "first" if self.followers.count else "alone"

    @property
    def serving_count(self) -> int:
        """Processes that tag now, this one included."""
        return self.followers.serving_count + self._services()[TAGGING]

    @property
    def facts(self) -> dict[str, str]:
        """What the page for people says of it."""
        if not self.followers.count:
            return {}
        return {"processes that tag": f"{self.serving_count} of {self._settings.processes}"}

    def bind(self, server: grpc.aio.Server) -> None:
        """Has a server answer what followers hand on, too. Before it starts.

        Raises:
            PortTaken, OSError: there can be no socket in the data folder.
        """
        if self.followers.count:
            folder = self._data_dir.processes
            folder.mkdir(exist_ok=True)
            # Others may look into the data folder, where its owner lets them.
            folder.chmod(0o700)
            self._socket = PrivateSocket(folder, SOCKET)
            self._socket.bind(server)

    def close(self) -> None:
        """After the server has stopped. Idempotent."""
        if self._socket is not None:
            self._socket.close()

    @asynccontextmanager
    async def running(self, engine: Engine, grpc_port: int) -> AsyncIterator[None]:
        """Keeps the followers running during the block.

        Args:
            engine: what they follow.
            grpc_port: that they listen on, too.
        """
        store = graph_store(self._settings, self._data_dir)

        def now() -> OwnerNow:
            state, services = engine.states.current, self._services()
            target = Target(state.manifest.version, state.graph_version)
            return OwnerNow(target, is_well=services[TAGGING], services=services)

        shared = Shared(
            settings=self._settings,
            grpc_port=grpc_port,
            encoder_address=engine.encoder_address.target,
            encoder_is_local=engine.encoder_address.is_local,
            graph_root=store.root,
            shipped_graphs=store.shipped,
        )
        async with self.followers.running(shared, now):
            yield

    async def render_metrics(self) -> bytes:
        """The page that Prometheus scrapes."""
        if not self.followers.count:
            return self._metrics.render()
        others = await self.followers.families()
        return await asyncio.to_thread(render_joined, self._metrics.families(), others)
