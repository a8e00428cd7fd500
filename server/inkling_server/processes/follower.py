"""`python -m inkling_server.processes.follower`: one more process of a server; it only tags.

    orders ─► graph, encoder, index ─► first canary ─► listen ─► SIGTERM ─► drain ─► end

The owner starts it (`link`); nobody types it. It talks over the socket that is its standard input:

    {"type": "orders", "orders": {...}}                      owner -> follower, once
    {"type": "follow", "id": 7, "target": ..., ...}          owner -> follower
    {"type": "report", "id": 7, "report": {...}}             follower -> owner
    {"type": "metrics", "id": 8} ─► {"type": "metrics", "id": 8, "families": [...]}

It opens the port only when it can tag, so that no caller lands on a process that is not ready. What
is not Tag or TagStream it hands on to the owner. It ends with the owner. No settings are read here.
"""

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from functools import partial
from typing import Any

import grpc
import uvloop

import inkling_server.blas_threads  # noqa: F401 - before whatever imports numpy
from inkling_server import __version__
from inkling_server.canary import STARTING, Canary, Health, canary_picture
from inkling_server.child_process import end_with_parent
from inkling_server.data_dir import DataDir
from inkling_server.embedding_cache import EmbeddingCache
from inkling_server.encoders import Encoder
from inkling_server.errors import InklingError, VideosNotServed
from inkling_server.freed_memory import settle
from inkling_server.gauges import watch_tagging
from inkling_server.interests.snapshot import SnapshotDamaged
from inkling_server.limits_from_settings import image_limits, tagger_limits, text_limits
from inkling_server.model_manifest import CalibrationUnusable, load_manifest
from inkling_server.near_channels import CHANNEL_OPTIONS
from inkling_server.processes.following import Following, OpenEncoder, following
from inkling_server.processes.joined_metrics import families_to_json
from inkling_server.processes.orders import (
    SOCKET,
    Orders,
    Report,
    Target,
    orders_from_json,
    target_from_json,
    to_json,
)
from inkling_server.refresh.pipe import MAX_LINE_BYTES, GatewayPipe, PipeBroken
from inkling_server.rpc import health
from inkling_server.rpc.boundary import Boundary
from inkling_server.rpc.draining import Drain, drain_server
from inkling_server.rpc.forwarding import Forwarder
from inkling_server.rpc.health import HealthBoard, HealthServicer
from inkling_server.rpc.item_stream import StreamPolicy
from inkling_server.rpc.listening import Endpoint, PortTaken, PrivateSocket
from inkling_server.rpc.tagging_server import OWN_METHODS, build_tagging_server
from inkling_server.rpc.tagging_servicer import TaggingServicer
from inkling_server.serving_state import ServingState
from inkling_server.tagging import Tagger
from inkling_server.telemetry import Metrics, set_up_logging
from inkling_server.text_reading import open_text_reader
from inkling_server.triton.encoder import TritonEncoder
from inkling_server.video_tagging import VideoTagger

_log = logging.getLogger("inkling_server.follower")
OpenEncoders = Callable[[Orders], OpenEncoder]
_CANNOT_SERVE = (
    InklingError,
    SnapshotDamaged,
    CalibrationUnusable,
    PortTaken,
    OSError,
    ValueError,
)


class Follower:
    """One process that tags, from its first graph to its end. One event loop owns it.

    Args:
        orders: the owner's.
        open_encoder: of a model version.
    """

    def __init__(self, orders: Orders, open_encoder: OpenEncoder) -> None:
        self._orders = orders
        self._open_encoder = open_encoder
        self._settings = settings = orders.shared.settings
        self._metrics = Metrics()
        self._drain = Drain()
        self._board = HealthBoard()
        self._boundary = Boundary(self._metrics, max_unary_calls=settings.max_queue_count)
        self._following: Following | None = None
        self._tagger: Tagger | None = None
        self._verdict = Health(serving=False, problem=STARTING)
        self._well = asyncio.Event()
        self._listens = False
        self._model_version = ""
        self._stopping = asyncio.Event()
        self._hurried = asyncio.Event()
        self._target = orders.target
        watch_tagging(self._metrics, settings, lambda: self._tagger)

    @property
    def report(self) -> Report:
        """How it is."""
        followed = self._following
        opening = (self._orders.target.model, self._target.model)
        return Report(
            serving=self._listens and self._verdict.serving,
            problem=self._verdict.problem,
            target=None if followed is None else followed.target,
            models=opening if followed is None else followed.models,
        )

    def follow(self, target: Target, services: dict[str, bool]) -> None:
        """What the owner serves now, and which of its services are well."""
        self._target = target
        if self._following is not None:
            self._following.follow(target)
        for name, serving in services.items():
            if name not in (health.OVERALL, health.TAGGING, health.HEALTH):
                self._board.set([name], serving=serving)

    def families(self) -> list[dict[str, object]]:
        """What it counts."""
        return families_to_json(self._metrics.families())

    def interrupt(self) -> None:
        """What a signal does: the first one drains, a further one does not wait."""
        if self._stopping.is_set():
            self._hurried.set()
        self._stopping.set()

    def hurry(self) -> None:
        """Ends without waiting for anything."""
        self._stopping.set()
        self._hurried.set()

    async def run(self) -> None:
        """Serves until interrupted.

        Raises:
            InklingError, SnapshotDamaged, CalibrationUnusable, OSError, ValueError: it cannot.
            PortTaken: the port is not to be had.
        """
        settings = self._settings
        folder = DataDir(settings.data_dir.expanduser().resolve())
        async with AsyncExitStack() as stack:
            self._following = followed = await stack.enter_async_context(
                following(
                    self._orders,
                    EmbeddingCache(folder.embeddings),
                    self._open_encoder,
                    self._on_swap,
                )
            )
            state = followed.states.current
            self._model_version = state.model_version
            self._metrics.versions(
                server=__version__,
                model=state.model_version,
                graph=state.graph_version,
            )
            followed.follow(self._target)  # it may have changed meanwhile
            reader = open_text_reader(text_limits(settings), image_limits(settings))
            if reader is not None:
                stack.push_async_callback(reader.close)
            self._tagger = tagger = Tagger(
                followed.states,
                limits=tagger_limits(settings),
                image_limits=image_limits(settings),
                observer=self._metrics,
                text_reader=reader,
            )
            stack.push_async_callback(tagger.close)
            await asyncio.to_thread(settle)
            await stack.enter_async_context(self._beside(followed.run()))
            await stack.enter_async_context(self._beside(self._canary(tagger).run()))
            await _first_of(self._well.wait(), self._stopping.wait())
            if not self._stopping.is_set():
                async with self._listening(folder):
                    await self._stopping.wait()

    @asynccontextmanager
    async def _beside(self, work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
        """Does work that never ends by itself during the block; its failure is this process's."""

        def on_end(task: asyncio.Task[None]) -> None:
            if not task.cancelled():
                _log.error("a part of this process has failed", exc_info=task.exception())
                self.interrupt()

        task = asyncio.create_task(work)
        task.add_done_callback(on_end)
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})

    def _canary(self, tagger: Tagger) -> Canary:
        picture = canary_picture()
        timeout_s = self._settings.canary_timeout_s
        return Canary(
            lambda: tagger.check(picture, timeout_s=timeout_s),
            progress=lambda: self._metrics.picture_count,
            on_change=self._on_health,
            observer=self._metrics,
            period_s=self._settings.canary_period_s,
        )

    def _on_swap(self, state: ServingState) -> None:
        if state.model_version != self._model_version:
            self._model_version = state.model_version
            self._metrics.model_swapped(state)
        else:
            self._metrics.graph_swapped(state)

    def _on_health(self, verdict: Health) -> None:
        self._verdict = verdict
        self._board.set([health.OVERALL, health.TAGGING], serving=verdict.serving)
        self._metrics.serving(verdict.serving)
        if verdict.serving:
            self._well.set()
        else:
            _log.error("not serving", extra={"problem": verdict.problem})

    @asynccontextmanager
    async def _listening(self, folder: DataDir) -> AsyncIterator[None]:
        """Takes its share of the port's connections during the block; drains after it."""
        with closing(PrivateSocket(folder.processes, SOCKET)) as owner:
            async with grpc.aio.insecure_channel(owner.address, CHANNEL_OPTIONS) as channel:
                forwarder = Forwarder(
                    channel, OWN_METHODS, max_calls=self._settings.max_queue_count
                )
                server = self._make_server(forwarder)
                await server.start()
                self._listens = True
                _log.info("listening", extra={"grpc_port": self._orders.shared.grpc_port})
                try:
                    yield
                finally:
                    self._listens = False
                    self._drain.begin()
                    self._board.end()
                    await drain_server(
                        server,
                        _all_idle(self._boundary, forwarder),
                        self._hurried,
                        grace_s=self._settings.drain_s,
                    )

    def _make_server(self, forwarder: Forwarder) -> grpc.aio.Server:
        settings = self._settings
        endpoint = Endpoint(
            host=settings.host,
            port=self._orders.shared.grpc_port,
            max_image_bytes=settings.max_image_bytes,
            max_connection_streams=settings.max_connection_streams,
            tls_cert=settings.tls_cert,
            tls_key=settings.tls_key,
            sharing="further",
        )
        streams = StreamPolicy(
            settings.max_stream_in_flight, self._drain, self._metrics.stream_answered
        )
        return build_tagging_server(
            endpoint,
            TaggingServicer(self._require_tagger, streams, _no_videos),
            HealthServicer(self._board, self._drain),
            forwarder,
            self._boundary,
        )

    def _require_tagger(self) -> Tagger:
        assert self._tagger is not None  # it listens only when it has one
        return self._tagger


def _no_videos() -> VideoTagger:
    raise VideosNotServed  # never asked: videos are handed on


async def _all_idle(boundary: Boundary, forwarder: Forwarder) -> None:
    await boundary.idle()
    await forwarder.idle()
    await boundary.idle()


async def _first_of(*works: Coroutine[Any, Any, object]) -> None:
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


def open_triton_encoders(orders: Orders) -> OpenEncoder:
    """Encoders on the owner's Triton. Nothing is loaded or mended there: the owner does that."""
    shared = orders.shared
    settings = shared.settings

    async def open_encoder(version: int) -> Encoder:
        manifest = await asyncio.to_thread(load_manifest, settings.model_repository, version)
        return await TritonEncoder.connect(
            shared.encoder_address,
            settings.model_repository,
            manifest,
            shared_memory=shared.encoder_is_local,
            timeout_s=settings.encoder_timeout_s,
        )

    return open_encoder


async def converse(pipe: GatewayPipe, follower: Follower) -> None:
    """Answers the owner until it is gone."""
    while (message := await pipe.receive()) is not None:
        number = message.get("id")
        if message["type"] == "follow":
            services = {str(name): bool(up) for name, up in message["services"].items()}
            follower.follow(target_from_json(message["target"]), services)
            await pipe.send({"type": "report", "id": number, "report": to_json(follower.report)})
        else:
            await pipe.send({"type": "metrics", "id": number, "families": follower.families()})


async def serve(connection: socket.socket, open_encoders: OpenEncoders) -> int:
    """Follows the owner at the other end of a connection; returns the exit code."""
    connection.setblocking(False)
    reader, writer = await asyncio.open_connection(sock=connection, limit=MAX_LINE_BYTES)
    pipe = GatewayPipe(reader, writer)
    message = await pipe.receive()
    if message is None:
        return 1
    orders = orders_from_json(message["orders"])
    settings = orders.shared.settings
    set_up_logging(settings.log_level, settings.log_format)
    for handler in logging.getLogger().handlers:
        handler.addFilter(partial(_name_follower, orders.number))
    follower = Follower(orders, open_encoders(orders))
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, follower.interrupt)
    talking = asyncio.create_task(converse(pipe, follower))
    talking.add_done_callback(lambda _: follower.hurry())
    try:
        await follower.run()
    except _CANNOT_SERVE as error:
        _log.error("cannot serve: %s", error)
        return 1
    finally:
        talking.cancel()
        with suppress(asyncio.CancelledError, PipeBroken):
            await talking
        writer.transport.abort()
    return 0


def _name_follower(number: int, record: logging.LogRecord) -> bool:
    record.follower = number
    return True


def main(open_encoders: OpenEncoders = open_triton_encoders) -> int:
    """What runs in the process."""
    end_with_parent()
    # What libraries print must not get into the conversation.
    connection = socket.socket(fileno=os.dup(0))
    os.dup2(2, 1)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(serve(connection, open_encoders))


if __name__ == "__main__":
    sys.exit(main())
