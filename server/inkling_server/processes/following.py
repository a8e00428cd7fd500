"""What a follower serves: the owner's graph and model, opened once more in this process.

    target ─► graph from its folder, encoder of the version, tag index ─► StateHolder.swap
                                                                    the old one is freed ◄─┘

The owner has proven a version before it serves, and has left its tag embeddings on disk: following
takes moments. Belongs to one event loop. It does not know how targets arrive, nor gRPC.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from inkling_server.embedding_cache import EmbeddingCache
from inkling_server.encoders import Encoder
from inkling_server.errors import InklingError
from inkling_server.interests.graph import GraphSnapshot
from inkling_server.interests.mentions.reading import TextReaders
from inkling_server.interests.snapshot import SnapshotDamaged, load_snapshot
from inkling_server.interests.store import GraphStore
from inkling_server.interests.vectors import Vectors, load_sound_vectors
from inkling_server.model_manifest import CalibrationUnusable, load_calibration
from inkling_server.processes.orders import Orders, Target
from inkling_server.serving_state import ServingState, StateHolder, build_state
from inkling_server.tag_index import SearchThread
from inkling_server.typical_pictures import typical_pictures_of

_log = logging.getLogger(__name__)
_RETRY_S = 1.0

# An encoder of one model version, on the owner's encoders. Raises EncoderDown, OSError, ValueError.
OpenEncoder = Callable[[int], Awaitable[Encoder]]


class Following:
    """Keeps to the owner's target. `following` makes it.

    Args:
        states: what serves.
        build: makes the state of a target; reuses the encoder of the second argument where it can.
        first: what `states` began with.
        on_swap: told each new state.

    Attributes:
        states: what serves.
    """

    def __init__(
        self,
        states: StateHolder,
        build: Callable[[Target, ServingState | None], Awaitable[ServingState]],
        first: Target,
        on_swap: Callable[[ServingState], None],
    ) -> None:
        self.states = states
        self._build = build
        self._on_swap = on_swap
        self._wanted = first
        self._serving = first
        self._opening = first
        self._living = {first.model: 1}
        self._changed = asyncio.Event()

    @property
    def target(self) -> Target:
        """What new pictures are tagged with."""
        return self._serving

    @property
    def models(self) -> tuple[int, ...]:
        """Every model version that may still be used here."""
        return tuple(sorted({*self._living, self._opening.model, self._wanted.model}))

    def follow(self, target: Target) -> None:
        """Goes there as soon as it can. It never blocks."""
        if target != self._wanted:
            self._wanted = target
            self._changed.set()

    async def run(self) -> None:
        """Follows until cancelled."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            while self._wanted != self._serving:
                if not await self._move(self._wanted):
                    await asyncio.sleep(_RETRY_S)

    async def _move(self, target: Target) -> bool:
        self._opening = target
        try:
            new = await self._build(target, self.states.current)
        except (InklingError, SnapshotDamaged, CalibrationUnusable, OSError, ValueError) as error:
            # The owner has the patience, and starts a process anew that cannot follow.
            _log.warning("cannot follow the main process yet: %s", error)
            self._opening = self._serving
            return False
        old, self._serving = self._serving, target
        self._living[target.model] = self._living.get(target.model, 0) + 1
        freed = self.states.swap(new)
        freed.add_done_callback(lambda _: self._let_go(old.model))
        self._on_swap(new)
        _log.info(
            "followed the main process",
            extra={"model_version": new.model_version, "graph_version": new.graph_version},
        )
        return True

    def _let_go(self, model: int) -> None:
        self._living[model] -= 1
        if not self._living[model]:
            del self._living[model]


@asynccontextmanager
async def following(
    orders: Orders,
    cache: EmbeddingCache,
    open_encoder: OpenEncoder,
    on_swap: Callable[[ServingState], None],
) -> AsyncIterator[Following]:
    """Serves the first target, and is closed after the block.

    Args:
        orders: where everything lies, and what comes first.
        cache: the owner's tag embeddings.
        open_encoder: of a model version.
        on_swap: told each new state.

    Raises:
        InklingError, SnapshotDamaged, CalibrationUnusable, OSError, ValueError: the first target
            cannot be served.
    """
    shared = orders.shared
    settings = shared.settings
    store = GraphStore(shared.graph_root, shared.shipped_graphs)
    thread = SearchThread()
    readers = TextReaders()

    async def build(target: Target, current: ServingState | None) -> ServingState:
        graph, vectors = await asyncio.to_thread(_read, store, target.graph)
        if current is not None and current.manifest.version == target.model:
            encoder, calibration = current.encoder, current.calibration
        else:
            calibration = await asyncio.to_thread(
                load_calibration, settings.model_repository, target.model
            )
            encoder = await open_encoder(target.model)
        try:
            return await build_state(
                graph,
                encoder,
                calibration,
                search_thread=thread,
                vectors=vectors,
                cache=cache,
                readers=readers,
                timeout_s=settings.encoder_timeout_s,
                typical_pictures=typical_pictures_of(settings.model_repository),
                exact_up_to=settings.exact_search_up_to,
            )
        except BaseException:
            if current is None or encoder is not current.encoder:
                await asyncio.shield(encoder.close())
            raise

    try:
        states = StateHolder(await build(orders.target, None))
        try:
            yield Following(states, build, orders.target, on_swap)
        finally:
            await states.close()
    finally:
        readers.close()
        thread.close()


def _read(store: GraphStore, version: str) -> tuple[GraphSnapshot, Vectors | None]:
    folder = store.folder(version)
    graph = load_snapshot(folder)
    return graph, load_sound_vectors(folder, len(graph.interests))
