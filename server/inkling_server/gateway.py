"""Puts the server together, runs it, and takes it down in order.

    listen ─► load (encoder, graph, tag embeddings) ─► first canary ─► serve ─► drain ─► stop
      │ both ports, health NOT_SERVING                    │ SERVING       │ NOT_SERVING

Ports are open from the first moment, so that an orchestrator sees a server that starts rather than
none. The gateway knows every part, and no part knows the gateway.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import inkling_server
from inkling_server.canary import Canary, Health, canary_picture
from inkling_server.data_dir import DataDir
from inkling_server.engine import (
    BackendEvents,
    Engine,
    OpenBackend,
    open_engine,
)
from inkling_server.errors import EncoderDown, VideosNotServed
from inkling_server.freed_memory import settle
from inkling_server.gauges import watch_tagging
from inkling_server.http_server import HttpServer
from inkling_server.limits_from_settings import image_limits
from inkling_server.processes.link import COMMAND
from inkling_server.processes.owner import Owner
from inkling_server.refresh.operation import RefreshOperation
from inkling_server.rollout.operation import RolloutOperation
from inkling_server.rpc.boundary import Boundary
from inkling_server.rpc.content_servicer import ContentServicer
from inkling_server.rpc.converters import ServerDescription
from inkling_server.rpc.draining import Drain, drain_server
from inkling_server.rpc.graph_servicer import GraphServicer
from inkling_server.rpc.health import (
    CONTENT,
    GRAPH,
    INFO,
    MODEL,
    OVERALL,
    PROFILES,
    TAGGING,
    HealthBoard,
    HealthServicer,
)
from inkling_server.rpc.info_servicer import InfoServicer
from inkling_server.rpc.item_stream import StreamPolicy
from inkling_server.rpc.listening import Endpoint
from inkling_server.rpc.model_servicer import ModelServicer
from inkling_server.rpc.operations_servicer import OperationsServicer
from inkling_server.rpc.profile_servicer import ProfileServicer
from inkling_server.rpc.server import Services, build_server
from inkling_server.rpc.tagging_servicer import TaggingServicer
from inkling_server.settings import Settings
from inkling_server.telemetry import Metrics
from inkling_server.video_from_settings import video_limits
from inkling_server.video_tagging import VideoTagger

_log = logging.getLogger(__name__)


class Gateway:
    """One server, from its ports to its encoder.

    Args:
        settings: all of them.
        data_dir: held by this process.
        open_backend: what encodes.
        follower_command: a further process of this server, where there are to be several.

    Attributes:
        grpc_port: the port that it has; known once constructed.
        http_port: the same; known once `listening` is set.
        listening: set when both ports answer.
    """

    def __init__(
        self,
        settings: Settings,
        data_dir: DataDir,
        open_backend: OpenBackend,
        follower_command: Sequence[str] = COMMAND,
    ) -> None:
        self._settings = settings
        self._data_dir = data_dir
        self._open_backend = open_backend
        self._started = time.monotonic()
        self._metrics = Metrics()
        self._drain = Drain()
        self._board = HealthBoard()
        self._engine: Engine | None = None
        self._stopping = asyncio.Event()
        self._hurried = asyncio.Event()
        self.listening = asyncio.Event()
        self._owner = Owner(
            settings, data_dir, self._metrics, lambda: self._board.serving, follower_command
        )
        picture = canary_picture()
        self._canary = Canary(
            lambda: self._require_engine().tagger.check(
                picture, timeout_s=settings.canary_timeout_s
            ),
            progress=lambda: self._metrics.picture_count,
            on_change=self._on_health,
            observer=self._metrics,
            period_s=settings.canary_period_s,
        )
        streams = StreamPolicy(
            settings.max_stream_in_flight, self._drain, self._metrics.stream_answered
        )
        self._boundary = Boundary(self._metrics, max_unary_calls=settings.max_queue_count)
        self._grpc, self.grpc_port = build_server(
            Endpoint(
                host=settings.host,
                port=settings.grpc_port,
                max_image_bytes=settings.max_image_bytes,
                max_connection_streams=settings.max_connection_streams,
                tls_cert=settings.tls_cert,
                tls_key=settings.tls_key,
                sharing=self._owner.sharing,
            ),
            Services(
                tagging=TaggingServicer(
                    lambda: self._require_engine().tagger, streams, self._require_videos
                ),
                info=InfoServicer(self._describe),
                health=HealthServicer(self._board, self._drain),
                graph=GraphServicer(
                    lambda: self._require_engine().library,
                    lambda: self._require_engine().refresher,
                ),
                model=ModelServicer(lambda: self._require_engine().rollouts),
                content=ContentServicer(lambda: self._require_engine().people, streams),
                profiles=ProfileServicer(lambda: self._require_engine().people),
                operations=OperationsServicer(
                    lambda: self._require_engine().operations, drain=self._drain
                ),
            ),
            self._boundary,
        )
        self._http = HttpServer(
            metrics=self._owner.render_metrics, health=lambda: self.health, facts=self._facts
        )
        self.http_port = 0
        watch_tagging(
            self._metrics, settings, lambda: self._engine.tagger if self._engine else None
        )
        self._metrics.watch(
            "inkling_videos_under_way",
            "Videos between their first byte and their answer.",
            lambda: self._engine.videos.used if self._engine and self._engine.videos else 0,
        )
        self._metrics.watch(
            "inkling_database_up",
            "1 while there is a database for content and people.",
            lambda: float(self._engine is not None and self._engine.people.has_storage),
        )

    @property
    def health(self) -> Health:
        """What readiness says now."""
        if self._drain.begun:
            return Health(serving=False, problem="shutting down")
        return self._canary.health

    @property
    def follower_pids(self) -> Mapping[int, int]:
        """Process ids of the further processes of this server, by number."""
        return self._owner.followers.pids

    @property
    def serves_people(self) -> bool:
        """The services of content and people serve: the database is up."""
        return self._board.serving[CONTENT]

    async def run(self) -> None:
        """Listens, loads and serves until `stop` is called; then drains and closes everything.

        Raises:
            EncoderDown: the encoders did not come up in time.
            SnapshotDamaged: no graph can be read.
            OSError: the HTTP port is taken.
        """
        try:
            await self._listen()
            serving = asyncio.create_task(self._load_and_watch())
            stopping = asyncio.create_task(self._stopping.wait())
            try:
                await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
                await self._drain_calls()
            finally:
                # Cancelling frees model and Triton, in reverse order of their opening.
                stopping.cancel()
                serving.cancel()
                await asyncio.wait({serving, stopping})
            if not serving.cancelled():
                serving.result()
        finally:
            self._announce_end()
            self._data_dir.retract()
            await self._grpc.stop(0)
            self._owner.close()
            await self._http.stop()
            _log.info("stopped")

    def stop(self) -> None:
        """Begins the end: drain, then stop. Idempotent."""
        self._stopping.set()

    def hurry(self) -> None:
        """Stops without waiting for calls under way any longer."""
        self._stopping.set()
        self._hurried.set()
        self._owner.followers.hurry()

    def interrupt(self) -> None:
        """What a signal does: the first one stops, a further one hurries."""
        if self._stopping.is_set():
            self.hurry()
        self.stop()

    async def wait_until_serving(self) -> bool:
        """Returns when the tagging service is SERVING (True) or never will be (False)."""
        while not (self._board.serving[TAGGING] or self._drain.begun):
            await self._board.wait_for_change()
        return self._board.serving[TAGGING]

    async def wait_until_all_serve(self) -> bool:
        """Returns when every process of this server serves (True), or it begins to stop (False)."""
        await self._drain.unless_begun(self._owner.followers.wait_until_serving())
        return not self._drain.begun

    async def wait_until_stopping(self) -> None:
        """Returns when the server begins to stop, for whatever reason."""
        await self._drain.wait()

    async def _listen(self) -> None:
        settings = self._settings
        self.http_port = await self._http.start(settings.host, settings.http_port)
        self._owner.bind(self._grpc)
        await self._grpc.start()
        ports = {"grpc_port": self.grpc_port, "http_port": self.http_port}
        self._data_dir.announce(host=settings.host, **ports)
        self.listening.set()
        # CPU time since the process began: what Python and the imports took.
        cpu_s = round(time.process_time(), 3)
        _log.info("listening", extra={"host": settings.host, **ports, "cpu_s": cpu_s})

    async def _load_and_watch(self) -> None:
        """Runs as long as the server has a model: its end is the server's end."""
        events = BackendEvents(
            down=self._canary.doubt,
            recovered=self._on_recovery,
            unloading=self._owner.followers.left,
        )
        async with open_engine(
            self._settings, self._data_dir, self._open_backend, events, self._metrics
        ) as engine:
            self._engine = engine
            await asyncio.to_thread(settle)
            state = engine.states.current
            self._metrics.versions(
                server=inkling_server.__version__,
                model=state.model_version,
                graph=state.graph_version,
            )
            self._board.set([INFO, GRAPH, MODEL], serving=True)
            watching = asyncio.create_task(self._watch_storage(engine), name="storage-health")
            _log.info(
                "loaded",
                extra={
                    "model_version": state.model_version,
                    "graph_version": state.graph_version,
                    "interest_count": len(state.graph.interests),
                    **{f"{phase}_s": seconds for phase, seconds in engine.phases_s.items()},
                },
            )
            try:
                async with self._owner.running(engine, self.grpc_port):
                    await self._canary.run()
            finally:
                watching.cancel()

    async def _watch_storage(self, engine: Engine) -> None:
        """The services that need the database serve from when it is up."""
        await engine.people.wait_until_up()
        self._board.set([CONTENT, PROFILES], serving=True)

    async def _drain_calls(self) -> None:
        """Tells everyone to go elsewhere, and waits for what is under way."""
        self._announce_end()
        grace_s = self._settings.drain_s
        _log.info("draining", extra={"grace_s": grace_s})
        self._owner.followers.drain()
        await drain_server(self._grpc, self._boundary.idle(), self._hurried, grace_s=grace_s)

    def _announce_end(self) -> None:
        self._drain.begin()
        self._board.end()

    def _on_health(self, health: Health) -> None:
        self._board.set([OVERALL, TAGGING], serving=health.serving)
        self._metrics.serving(health.serving)
        if health.serving:
            since_start_s = round(time.monotonic() - self._started, 3)
            _log.info("serving", extra={"since_start_s": since_start_s})
        else:
            _log.error("not serving", extra={"problem": health.problem})

    def _on_recovery(self) -> None:
        self._metrics.encoder_restarted()
        self._canary.hurry()

    def _require_engine(self) -> Engine:
        if self._engine is None:
            raise EncoderDown("the server is starting: its model is not loaded yet")
        return self._engine

    def _require_videos(self) -> VideoTagger:
        videos = self._require_engine().videos
        if videos is None:
            raise VideosNotServed
        return videos

    def _describe(self) -> ServerDescription:
        engine = self._require_engine()
        settings = self._settings
        return ServerDescription(
            server_version=inkling_server.__version__,
            state=engine.states.current,
            encoders=engine.encoders,
            image_limits=image_limits(settings),
            max_top_n=settings.max_top_n,
            max_stream_in_flight=settings.max_stream_in_flight,
            max_queue_count=settings.max_queue_count,
            video_limits=None if engine.videos is None else video_limits(settings),
            reads_text=engine.text_reader is not None,
            speech_recognizer="" if engine.videos is None else engine.speech_name,
        )

    def _facts(self) -> Mapping[str, str]:
        """What the page for people lists."""
        facts = {"server": inkling_server.__version__, "gRPC port": str(self.grpc_port)}
        if self._engine is None:
            return facts
        state = self._engine.states.current
        return facts | {
            "model": state.model_version,
            "graph": f"{state.graph_version}, {len(state.graph.interests):,} interests",
            **{f"{e.name} {e.version}": f"{e.runtime}, {e.backend}" for e in self._engine.encoders},
            "refresh": _last_one(self._engine.refresher.list()),
            "rollout": _last_one(self._engine.rollouts.list()),
            "database": self._engine.people.storage_state,
            **self._owner.facts,
            "pictures tagged since the start": f"{self._metrics.picture_count:,}",
            "pictures under way": str(self._engine.tagger.used),
        }


def _last_one(operations: Sequence[RefreshOperation] | Sequence[RolloutOperation]) -> str:
    """The latest refresh or rollout in a few words."""
    if not operations:
        return "none yet"
    last = operations[0]
    if last.end_time is None:
        return f"running since {last.create_time:%Y-%m-%d %H:%M} UTC: {last.progress.stage}"
    outcome = "done" if last.error is None else str(last.error)
    return f"{last.end_time:%Y-%m-%d %H:%M} UTC: {outcome}"


@asynccontextmanager
async def running_gateway(
    settings: Settings, open_backend: OpenBackend, follower_command: Sequence[str] = COMMAND
) -> AsyncIterator[Gateway]:
    """A gateway that listens (and may still be loading) during the block, and is stopped after it.

    Raises:
        DataDirInUse, PortTaken, OSError: it cannot listen.
        EncoderDown, SnapshotDamaged: after the block, where loading failed.
    """
    with DataDir.hold(settings.data_dir) as data_dir:
        gateway = Gateway(settings, data_dir, open_backend, follower_command)
        running = asyncio.create_task(gateway.run())
        listening = asyncio.create_task(gateway.listening.wait())
        try:
            await asyncio.wait({running, listening}, return_when=asyncio.FIRST_COMPLETED)
            if gateway.listening.is_set():
                yield gateway
        finally:
            listening.cancel()
            gateway.stop()
            await running
