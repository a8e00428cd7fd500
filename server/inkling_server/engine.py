"""Everything between a decoded request and its tags, opened and closed as one.

    graph snapshot ─┐
    encoder ────────┼─► tag embeddings ─► ServingState ─► StateHolder ─► Tagger
    calibration ────┘                                          └─► RefreshManager, GraphLibrary

What is opened is closed in reverse order, also where opening fails half-way. This module does not
know gRPC, HTTP, health or signals: `gateway.py` does.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from inkling_server.data_dir import DataDir
from inkling_server.embedding_cache import EmbeddingCache
from inkling_server.encoders import Encoder, EncoderDescription
from inkling_server.images import ImageLimits
from inkling_server.interests.graph import GraphSnapshot
from inkling_server.interests.library import GraphLibrary
from inkling_server.interests.snapshot import SnapshotDamaged
from inkling_server.interests.store import GraphStore
from inkling_server.interests.vectors import Vectors, load_vectors
from inkling_server.model_manifest import load_calibration
from inkling_server.observers import TagObserver
from inkling_server.refresh.manager import RefreshManager, RefreshObserver
from inkling_server.refreshing import graph_store, make_refresher
from inkling_server.serving_state import ServingState, StateHolder, build_state
from inkling_server.settings import Settings
from inkling_server.tag_index import SearchThread
from inkling_server.tagging import Tagger, TaggerLimits

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BackendEvents:
    """What a backend reports about its life, on the event loop.

    Attributes:
        down: it knows that it cannot encode, and why.
        recovered: it was brought back and should be tried.
    """

    down: Callable[[str], None]
    recovered: Callable[[], None]


# Opens whatever encodes, ready for use, and ends it after the block. Raises EncoderDown where that
# does not work within `start_timeout_s`.
OpenEncoder = Callable[[Settings, DataDir, BackendEvents], AbstractAsyncContextManager[Encoder]]


class EngineObserver(TagObserver, RefreshObserver, Protocol):
    """Told what goes on, on the event loop; must not block or raise."""


@dataclass(frozen=True, slots=True)
class Engine:
    """What serves.

    Attributes:
        states: the current graph, model and index.
        tagger: tags pictures with them.
        library: the graph's versions.
        refresher: makes and swaps versions.
        encoders: what runs the model, as it said itself.
        phases_s: how long each phase of opening took, in seconds.
    """

    states: StateHolder
    tagger: Tagger
    library: GraphLibrary
    refresher: RefreshManager
    encoders: tuple[EncoderDescription, ...]
    phases_s: dict[str, float]


@asynccontextmanager
async def open_engine(
    settings: Settings,
    data_dir: DataDir,
    open_encoder: OpenEncoder,
    events: BackendEvents,
    observer: EngineObserver,
) -> AsyncIterator[Engine]:
    """Loads model and graph, embeds the tags, and closes it all after the block.

    Args:
        settings: which model, which limits.
        data_dir: graph and caches.
        open_encoder: what encodes.
        events: handed to the encoder's backend.
        observer: told about the tagger's stages, and about refreshes.

    Raises:
        EncoderDown: the encoder did not come up in time.
        SnapshotDamaged: no graph can be read.
    """
    phases = _Phases()
    store = graph_store(settings, data_dir)
    graph, vectors = await asyncio.to_thread(load_graph, store)
    phases.end("graph")
    async with AsyncExitStack() as stack:
        encoder = await stack.enter_async_context(open_encoder(settings, data_dir, events))
        phases.end("encoder")
        calibration = await asyncio.to_thread(
            load_calibration, settings.model_repository, encoder.manifest.version
        )
        search_thread = SearchThread()
        stack.callback(search_thread.close)
        cache = EmbeddingCache(data_dir.embeddings)

        async def open_state(graph: GraphSnapshot, vectors: Vectors | None) -> ServingState:
            return await build_state(
                graph,
                encoder,
                calibration,
                search_thread=search_thread,
                vectors=vectors,
                cache=cache,
                timeout_s=settings.encoder_timeout_s,
            )

        states = StateHolder(await open_state(graph, vectors))
        stack.push_async_callback(states.close)
        tagger = Tagger(
            states,
            limits=tagger_limits(settings),
            image_limits=image_limits(settings),
            observer=observer,
        )
        stack.push_async_callback(tagger.close)
        refresher = make_refresher(
            settings,
            data_dir,
            store,
            states,
            open_state=open_state,
            cache=cache,
            image_limits=image_limits(settings),
            observer=observer,
        )
        await stack.enter_async_context(_running(refresher))
        library = GraphLibrary(lambda: states.current.graph, store.roots)
        encoders = tuple(await encoder.describe())
        phases.end("tags")
        yield Engine(states, tagger, library, refresher, encoders, phases.seconds)


def load_graph(store: GraphStore) -> tuple[GraphSnapshot, Vectors | None]:
    """The graph to serve and its embeddings, where it has some that can be read.

    Raises:
        SnapshotDamaged: not even the shipped graph can be read.
    """
    graph, folder = store.load_current()
    try:
        return graph, load_vectors(folder, len(graph.interests))
    except SnapshotDamaged as error:
        _log.error("embeddings are computed anew: %s", error)
        return graph, None


@asynccontextmanager
async def _running(refresher: RefreshManager) -> AsyncIterator[None]:
    """Follows and refreshes during the block; a refresh that runs at its end is cancelled."""
    task = asyncio.create_task(refresher.run(), name="refresher")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


def image_limits(settings: Settings) -> ImageLimits:
    """What one picture may be."""
    return ImageLimits(
        max_bytes=settings.max_image_bytes,
        max_pixels=settings.max_image_pixels,
        max_side=settings.max_image_side,
    )


def tagger_limits(settings: Settings) -> TaggerLimits:
    """How much work is taken in."""
    return TaggerLimits(
        capacity=settings.max_queue_count,
        # A quarter stays free of bulk streams, for callers who wait for one answer.
        reserved_for_unary=settings.max_queue_count // 4,
        max_batch_size=settings.max_batch_count,
        max_batch_delay_s=settings.max_batch_delay_s,
        decode_threads=settings.decode_threads,
        encode_timeout_s=settings.encoder_timeout_s,
        max_top_n=settings.max_top_n,
    )


class _Phases:
    """Measures one phase after another."""

    def __init__(self) -> None:
        self._last = time.monotonic()
        self.seconds: dict[str, float] = {}

    def end(self, name: str) -> None:
        """The phase that ran since the last call is over."""
        now = time.monotonic()
        self.seconds[name], self._last = round(now - self._last, 3), now
