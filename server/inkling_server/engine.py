"""Everything between a decoded request and its tags, opened and closed as one.

    graph snapshot ─┐
    encoder ────────┼─► tag embeddings ─► ServingState ─► StateHolder ─► Tagger
    calibration ────┘                                          └─► RefreshManager, RolloutManager,
    database (in its own time) ───────────────────────────────────► GraphLibrary, People

What is opened is closed in reverse order, also where opening fails half-way. This module does not
know gRPC, HTTP, health or signals: `gateway.py` does.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from inkling_server.data_dir import DataDir
from inkling_server.embedding_cache import EmbeddingCache
from inkling_server.encoders import Encoder, EncoderAddress, EncoderBackend, EncoderDescription
from inkling_server.interests.graph import GraphSnapshot
from inkling_server.interests.library import GraphLibrary
from inkling_server.interests.mentions.reading import TextReaders
from inkling_server.interests.store import GraphStore
from inkling_server.interests.vectors import Vectors, load_sound_vectors
from inkling_server.limits_from_settings import image_limits, tagger_limits, text_limits
from inkling_server.model_manifest import Calibration, load_calibration
from inkling_server.observers import TagObserver
from inkling_server.operations import JoinedOperations
from inkling_server.people.from_settings import people_settings, storage_keeper
from inkling_server.people.service import People, open_people
from inkling_server.people.storage_keeper import keeping
from inkling_server.refresh.manager import RefreshManager, RefreshObserver
from inkling_server.refreshing import graph_store, make_refresher
from inkling_server.rollout.from_settings import first_version, make_rollouts
from inkling_server.rollout.manager import RolloutManager, RolloutObserver
from inkling_server.rollout.sample import LiveSample
from inkling_server.serving_state import OnBatch, ServingState, StateHolder, build_state
from inkling_server.settings import Settings
from inkling_server.speech import open_speech
from inkling_server.tag_index import SearchThread
from inkling_server.tagging import Tagger
from inkling_server.text_reading import TextReader, open_text_reader
from inkling_server.turn import Turn
from inkling_server.typical_pictures import typical_pictures_of
from inkling_server.video_from_settings import open_videos
from inkling_server.video_tagging import VideoTagger

_log = logging.getLogger(__name__)


async def _at_once(_version: int) -> None:
    """Nobody else uses the version."""


@dataclass(frozen=True, slots=True)
class BackendEvents:
    """What a backend reports about its life, on the event loop.

    Attributes:
        down: it knows that it cannot encode, and why.
        recovered: it was brought back and should be tried.
        unloading: awaited before it lets a version go that this process has left.
    """

    down: Callable[[str], None]
    recovered: Callable[[], None]
    unloading: Callable[[int], Awaitable[None]] = _at_once


# Whatever encodes, and its end after the block. Opening its first version raises EncoderDown where
# that does not work within `start_timeout_s`.
OpenBackend = Callable[
    [Settings, DataDir, BackendEvents], AbstractAsyncContextManager[EncoderBackend]
]
# Phrases of a batch while a model is being rolled out: few, so that pictures wait for less.
_TEXTS_PER_ROLLOUT_CALL = 16


class EngineObserver(TagObserver, RefreshObserver, RolloutObserver, Protocol):
    """Told what goes on, on the event loop; must not block or raise."""


@dataclass(frozen=True, slots=True)
class Engine:
    """What serves.

    Attributes:
        states: the current graph, model and index.
        tagger: tags pictures with them.
        videos: tags videos; None where the packages for it are missing.
        text_reader: reads what is written in pictures; None: switched off, or the packages for it
            are missing.
        speech_name: what recognises speech in videos; "": nothing does.
        library: the graph's versions.
        refresher: makes and swaps versions of the graph.
        rollouts: swaps versions of the model.
        people: content and people.
        operations: of all of them.
        encoder_address: where other processes of this server find the encoders.
        phases_s: how long each phase of opening took, in seconds.
    """

    states: StateHolder
    tagger: Tagger
    library: GraphLibrary
    refresher: RefreshManager
    rollouts: RolloutManager
    people: People
    operations: JoinedOperations
    encoder_address: EncoderAddress
    phases_s: dict[str, float]
    videos: VideoTagger | None = None
    text_reader: TextReader | None = None
    speech_name: str = ""

    @property
    def encoders(self) -> tuple[EncoderDescription, ...]:
        """What runs the model that serves, as it said itself."""
        return self.rollouts.encoders


@asynccontextmanager
async def open_engine(
    settings: Settings,
    data_dir: DataDir,
    open_backend: OpenBackend,
    events: BackendEvents,
    observer: EngineObserver,
) -> AsyncIterator[Engine]:
    """Loads model and graph, embeds the tags, and closes it all after the block.

    Args:
        settings: which model, which limits.
        data_dir: graph and caches.
        open_backend: what encodes.
        events: handed to the backend.
        observer: told about the tagger's stages, about refreshes and rollouts.

    Raises:
        EncoderDown: the encoder did not come up in time.
        SnapshotDamaged: no graph can be read.
        OSError: no model version can be read.
        CalibrationUnusable: the version's calibration cannot be used.
    """
    phases = _Phases()
    store = graph_store(settings, data_dir)
    graph, vectors = await asyncio.to_thread(load_graph, store)
    phases.end("graph")
    async with AsyncExitStack() as stack:
        storage = await stack.enter_async_context(keeping(storage_keeper(settings, data_dir)))
        version = await asyncio.to_thread(first_version, settings, data_dir)
        calibration = await asyncio.to_thread(load_calibration, settings.model_repository, version)
        backend = await stack.enter_async_context(open_backend(settings, data_dir, events))
        encoder = await backend.open(version)
        phases.end("encoder")
        search_thread = SearchThread()
        stack.callback(search_thread.close)
        cache = EmbeddingCache(data_dir.embeddings)
        readers = TextReaders()
        stack.callback(readers.close)

        build = partial(
            build_state,
            search_thread=search_thread,
            cache=cache,
            readers=readers,
            timeout_s=settings.encoder_timeout_s,
            typical_pictures=typical_pictures_of(settings.model_repository),
            exact_up_to=settings.exact_search_up_to,
        )

        async def open_graph(graph: GraphSnapshot, vectors: Vectors | None) -> ServingState:
            current = states.current
            return await build(graph, current.encoder, current.calibration, vectors=vectors)

        async def open_model(
            encoder: Encoder, calibration: Calibration, on_batch: OnBatch
        ) -> ServingState:
            return await build(
                states.current.graph,
                encoder,
                calibration,
                texts_per_call=_TEXTS_PER_ROLLOUT_CALL,
                on_batch=on_batch,
            )

        try:
            first = await build(graph, encoder, calibration, vectors=vectors)
        except BaseException:
            await encoder.close()
            raise
        # As large as the index, and this frame lives as long as the server.
        del vectors
        states = StateHolder(first)
        stack.push_async_callback(states.close)
        text_reader = open_text_reader(text_limits(settings), image_limits(settings))
        if text_reader is not None:
            stack.push_async_callback(text_reader.close)
        sample = LiveSample(settings.canary_sample_count)
        tagger = Tagger(
            states,
            limits=tagger_limits(settings),
            image_limits=image_limits(settings),
            observer=observer,
            on_tagged=sample.offer if settings.canary_sample_count else None,
            text_reader=text_reader,
        )
        stack.push_async_callback(tagger.close)
        speech = open_speech(settings.speech_recognizer)
        if speech is not None:
            stack.push_async_callback(speech.close)
        videos = await stack.enter_async_context(
            open_videos(settings, data_dir, tagger, states, overlays=text_reader, speech=speech)
        )
        turn = Turn()
        refresher = make_refresher(
            settings,
            data_dir,
            store,
            states,
            storage,
            open_state=open_graph,
            cache=cache,
            image_limits=image_limits(settings),
            observer=observer,
            turn=turn,
        )
        await stack.enter_async_context(_running(refresher))
        rollouts = make_rollouts(
            settings,
            data_dir,
            states,
            backend,
            open_state=open_model,
            sample=sample,
            image_limits=image_limits(settings),
            turn=turn,
            observer=observer,
            encoders=await encoder.describe(),
        )
        stack.push_async_callback(rollouts.close)
        library = GraphLibrary(lambda: states.current.graph, store.roots)
        people = await stack.enter_async_context(
            open_people(storage, states, tagger, people_settings(settings, data_dir))
        )
        phases.end("tags")
        operations = JoinedOperations(
            {"refresh": refresher, "rollout": rollouts, "people": people.refresher}
        )
        yield Engine(
            states,
            tagger,
            library,
            refresher,
            rollouts,
            people,
            operations,
            backend.address,
            phases.seconds,
            videos=videos,
            text_reader=text_reader,
            speech_name="" if speech is None else speech.name,
        )


def load_graph(store: GraphStore) -> tuple[GraphSnapshot, Vectors | None]:
    """The graph to serve and its embeddings, where it has some that can be read.

    Raises:
        SnapshotDamaged: not even the shipped graph can be read.
    """
    graph, folder = store.load_current()
    return graph, load_sound_vectors(folder, len(graph.interests))


@asynccontextmanager
async def _running(refresher: RefreshManager) -> AsyncIterator[None]:
    """Follows and refreshes during the block; a refresh that runs at its end is cancelled."""
    task = asyncio.create_task(refresher.run(), name="refresher")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


class _Phases:
    """Measures one phase after another."""

    def __init__(self) -> None:
        self._last = time.monotonic()
        self.seconds: dict[str, float] = {}

    def end(self, name: str) -> None:
        """The phase that ran since the last call is over."""
        now = time.monotonic()
        self.seconds[name], self._last = round(now - self._last, 3), now
