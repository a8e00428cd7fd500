"""Everything between a decoded request and its tags, opened and closed as one.

    graph snapshot ─┐
    encoder ────────┼─► tag embeddings ─► ServingState ─► StateHolder ─► Tagger
    calibration ────┘

What is opened is closed in reverse order, also where opening fails half-way. This module does not
know gRPC, HTTP, health or signals: `gateway.py` does.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from inkling_server.data_dir import DataDir
from inkling_server.embedding_cache import EmbeddingCache
from inkling_server.encoders import Encoder, EncoderDescription
from inkling_server.images import ImageLimits
from inkling_server.interests.graph import GraphSnapshot
from inkling_server.interests.snapshot import SnapshotDamaged, load_snapshot, newest_snapshot
from inkling_server.model_manifest import load_calibration
from inkling_server.observers import TagObserver
from inkling_server.serving_state import StateHolder, build_state
from inkling_server.settings import Settings
from inkling_server.tag_index import SearchThread
from inkling_server.tagging import Tagger, TaggerLimits

_log = logging.getLogger(__name__)
_DEFAULT_GRAPHS = Path(__file__).parent / "interests" / "default_graph"


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


@dataclass(frozen=True, slots=True)
class Engine:
    """What serves.

    Attributes:
        states: the current graph, model and index.
        tagger: tags pictures with them.
        encoders: what runs the model, as it said itself.
        phases_s: how long each phase of opening took, in seconds.
    """

    states: StateHolder
    tagger: Tagger
    encoders: tuple[EncoderDescription, ...]
    phases_s: dict[str, float]


@asynccontextmanager
async def open_engine(
    settings: Settings,
    data_dir: DataDir,
    open_encoder: OpenEncoder,
    events: BackendEvents,
    observer: TagObserver,
) -> AsyncIterator[Engine]:
    """Loads model and graph, embeds the tags, and closes it all after the block.

    Args:
        settings: which model, which limits.
        data_dir: graph and caches.
        open_encoder: what encodes.
        events: handed to the encoder's backend.
        observer: told about the tagger's stages.

    Raises:
        EncoderDown: the encoder did not come up in time.
        SnapshotDamaged: no graph can be read.
    """
    phases = _Phases()
    graph = await asyncio.to_thread(load_graph, data_dir.graphs)
    phases.end("graph")
    async with AsyncExitStack() as stack:
        encoder = await stack.enter_async_context(open_encoder(settings, data_dir, events))
        phases.end("encoder")
        version = encoder.manifest.version
        search_thread = SearchThread()
        stack.callback(search_thread.close)
        state = await build_state(
            graph,
            encoder,
            await asyncio.to_thread(load_calibration, settings.model_repository, version),
            search_thread=search_thread,
            cache=EmbeddingCache(data_dir.embeddings),
            timeout_s=settings.encoder_timeout_s,
        )
        states = StateHolder(state)
        stack.push_async_callback(states.close)
        tagger = Tagger(
            states,
            limits=tagger_limits(settings),
            image_limits=image_limits(settings),
            observer=observer,
        )
        stack.push_async_callback(tagger.close)
        encoders = tuple(await encoder.describe())
        phases.end("tags")
        yield Engine(states, tagger, encoders, phases.seconds)


def load_graph(graphs: Path) -> GraphSnapshot:
    """The newest graph below `graphs`, or the one that ships with the server.

    Raises:
        SnapshotDamaged: the shipped one cannot be read either.
    """
    if any(graphs.glob("*/manifest.json")):
        try:
            return load_snapshot(newest_snapshot(graphs))
        except (SnapshotDamaged, OSError, ValueError, KeyError) as error:
            # Worse tags for a while are better than none; the log says what to mend.
            _log.error("the newest graph is unusable, serving the shipped one: %s", error)
    return load_snapshot(newest_snapshot(_DEFAULT_GRAPHS))


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
