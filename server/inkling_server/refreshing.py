"""Ties refreshes to what serves: whose feed, whose encoder, which folders.

    Settings, DataDir ─┐
    StateHolder ───────┼─► RefreshManager
    phrase embeddings ─┘

It does not know how a refresh works (`refresh`), nor RPCs.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inkling_server.canary import canary_pictures
from inkling_server.data_dir import DataDir
from inkling_server.embedding_cache import CacheKey, EmbeddingCache
from inkling_server.encoders import Embeddings
from inkling_server.errors import RefreshFailed
from inkling_server.images import ImageLimits
from inkling_server.interests.stages import Stage
from inkling_server.interests.store import GraphStore
from inkling_server.refresh.job import JobResult, run_job
from inkling_server.refresh.manager import OpenState, RefreshManager, RefreshObserver, RefreshPolicy
from inkling_server.refresh.operation_files import OperationFiles
from inkling_server.serving_state import StateHolder, embed_phrases
from inkling_server.settings import Settings
from inkling_server.turn import Turn

SHIPPED_GRAPHS = Path(__file__).parent / "interests" / "default_graph"
_DEMO_FEED = Path(__file__).parent / "interests" / "demo_feed"


def graph_store(settings: Settings, data_dir: DataDir) -> GraphStore:
    """The versions that this server may serve."""
    # Absolute: the refresh process gets these paths, too.
    return GraphStore((settings.graph_dir or data_dir.graphs).resolve(), SHIPPED_GRAPHS)


def make_refresher(
    settings: Settings,
    data_dir: DataDir,
    store: GraphStore,
    states: StateHolder,
    *,
    open_state: OpenState,
    cache: EmbeddingCache,
    image_limits: ImageLimits,
    observer: RefreshObserver,
    turn: Turn,
) -> RefreshManager:
    """A manager that reads this server's feed.

    Args:
        settings: feed, folders, schedule.
        data_dir: where refreshes are remembered and logged.
        store: versions.
        states: what serves.
        open_state: makes a graph servable.
        cache: embeddings that are known already.
        image_limits: what a picture may be.
        observer: told about ends and swaps.
        turn: held while versions change hands; shared with rollouts.
    """

    async def run(
        base: Path, force: bool, on_progress: Callable[[Stage, int, int], None]
    ) -> JobResult:
        try:
            # Here, so that a server that never refreshes does without the extra `discovery`.
            from inkling_server.refresh.from_settings import refresh_orders
        except ImportError as error:
            raise RefreshFailed(
                f"refreshing needs the package {error.name}: install the extra 'discovery'"
            ) from error
        with states.lease() as state:
            key = CacheKey.of(state.manifest)
            orders = refresh_orders(
                settings,
                root=store.root,
                base=base,
                feed=_feed(settings, data_dir)[0],
                force=force,
                now=datetime.now(UTC),
                fingerprint=key.digest,
                dimension=state.manifest.dimension,
            )
            phrases = _PhraseEncoder(states, cache, settings.encoder_timeout_s)
            return await run_job(
                orders,
                encode=phrases.encode,
                on_progress=on_progress,
                log=data_dir.root / "refresh.log",
            )

    return RefreshManager(
        store,
        states,
        open_state=open_state,
        run_job=run,
        files=OperationFiles(data_dir.root / "operations"),
        canaries=canary_pictures(),
        image_limits=image_limits,
        feed_name=lambda: _feed(settings, data_dir)[1],
        observer=observer,
        policy=RefreshPolicy(
            period_s=settings.refresh_period_s,
            poll_s=settings.graph_poll_s,
            keep_count=settings.graph_keep_count,
            prove_timeout_s=settings.encoder_timeout_s,
        ),
        turn=turn,
    )


def _feed(settings: Settings, data_dir: DataDir) -> tuple[Path, str]:
    """The folder to read, and what it is called: the demo's until there is content."""
    if settings.content_dir is not None:
        return settings.content_dir.resolve(), "content"
    own = data_dir.root / "content"
    return (own, "content") if own.is_dir() else (_DEMO_FEED, "demo")


class _PhraseEncoder:
    """Embeds phrases for one refresh, those only that nobody has embedded yet.

    Args:
        states: the encoder of the current one is used.
        cache: embeddings that are known already.
        timeout_s: for one batch.
    """

    def __init__(self, states: StateHolder, cache: EmbeddingCache, timeout_s: float) -> None:
        self._states = states
        self._cache = cache
        self._timeout_s = timeout_s
        self._known: dict[str, NDArray[np.float32]] | None = None

    async def encode(self, phrases: Sequence[str]) -> Embeddings:
        """See `Encoder.encode_texts`."""
        with self._states.lease() as state:
            if self._known is None:
                key = CacheKey.of(state.manifest)
                self._known = await asyncio.to_thread(self._cache.load, key)
            return await embed_phrases(
                phrases, state.encoder, self._known, timeout_s=self._timeout_s
            )
