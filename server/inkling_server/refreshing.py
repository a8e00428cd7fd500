"""Ties refreshes to what serves: whose feeds, whose encoder, which folders.

    Settings, DataDir ─┐
    database ──────────┤
    StateHolder ───────┼─► RefreshManager
    phrase embeddings ─┘

It does not know how a refresh works (`refresh`), nor RPCs.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from inkling_server.canary import canary_pictures
from inkling_server.data_dir import DataDir
from inkling_server.embedding_cache import CacheKey, EmbeddingCache
from inkling_server.encoders import Embeddings
from inkling_server.errors import RefreshFailed, StorageDown
from inkling_server.images import ImageLimits
from inkling_server.interests.stages import Stage
from inkling_server.interests.store import GraphStore
from inkling_server.refresh.job import JobResult, run_job
from inkling_server.refresh.manager import OpenState, RefreshManager, RefreshObserver, RefreshPolicy
from inkling_server.refresh.operation_files import OperationFiles
from inkling_server.serving_state import StateHolder, embed_phrases
from inkling_server.settings import Settings
from inkling_server.storage.feed import has_feed_begun
from inkling_server.turn import Turn

_log = logging.getLogger(__name__)
_DATABASE_TIMEOUT_S = 5.0
SHIPPED_GRAPHS = Path(__file__).parent / "interests" / "default_graph"
_DEMO_FEED = Path(__file__).parent / "interests" / "demo_feed"


class ContentDatabase(Protocol):
    """Where content is that was taken in over the network; comes up in its own time."""

    @property
    def is_off(self) -> bool:
        """There is none, and none is to come."""

    @property
    def url(self) -> str | None:
        """A secret; None while it is not up."""

    async def wait_until_up(self) -> None:
        """Returns when it is up."""


def graph_store(settings: Settings, data_dir: DataDir) -> GraphStore:
    """The versions that this server may serve."""
    # Absolute: the refresh process gets these paths, too.
    return GraphStore((settings.graph_dir or data_dir.graphs).resolve(), SHIPPED_GRAPHS)


def make_refresher(
    settings: Settings,
    data_dir: DataDir,
    store: GraphStore,
    states: StateHolder,
    database: ContentDatabase,
    *,
    open_state: OpenState,
    cache: EmbeddingCache,
    image_limits: ImageLimits,
    observer: RefreshObserver,
    turn: Turn,
) -> RefreshManager:
    """A manager that reads this server's feeds.

    Args:
        settings: folder of content, other folders, schedule.
        data_dir: where refreshes are remembered and logged.
        store: versions.
        states: what serves.
        database: of what was taken in over the network.
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
        feeds = await choose_feeds(settings, data_dir, database)
        if feeds.database_url is None and not database.is_off:
            _log.warning("the database is not up: this refresh reads the content folder alone")
        with states.lease() as state:
            key = CacheKey.of(state.manifest)
            orders = refresh_orders(
                settings,
                root=store.root,
                base=base,
                feed=feeds.folder,
                database_url=feeds.database_url,
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

    async def feed_name() -> str:
        return (await choose_feeds(settings, data_dir, database)).name

    return RefreshManager(
        store,
        states,
        open_state=open_state,
        run_job=run,
        files=OperationFiles(data_dir.root / "operations"),
        canaries=canary_pictures(),
        image_limits=image_limits,
        feed_name=feed_name,
        observer=observer,
        policy=RefreshPolicy(
            period_s=settings.refresh_period_s,
            poll_s=settings.graph_poll_s,
            keep_count=settings.graph_keep_count,
            prove_timeout_s=settings.encoder_timeout_s,
        ),
        turn=turn,
    )


@dataclass(frozen=True, slots=True)
class Feeds:
    """What a refresh reads.

    Attributes:
        name: see `RefreshOperation.feed`.
        folder: of files; may be missing.
        database_url: a secret; None: no database is read.
    """

    name: str
    folder: Path
    database_url: str | None = field(repr=False)


async def choose_feeds(settings: Settings, data_dir: DataDir, database: ContentDatabase) -> Feeds:
    """The demo's folder stands in until there is a folder of content, or a database was used.

    A database that is not up may have been used: the demo must not get into somebody's graph.
    """
    url, is_used = await _database(database)
    own = data_dir.root / "content"
    if settings.content_dir is not None:
        return Feeds("content", settings.content_dir.resolve(), url)
    if is_used or await asyncio.to_thread(own.is_dir):
        return Feeds("content", own, url)
    return Feeds("demo", _DEMO_FEED, url)


async def _database(database: ContentDatabase) -> tuple[str | None, bool]:
    """The database's URL, and whether anything was, or may have been, stored in it."""
    if database.is_off:
        return None, False
    with suppress(TimeoutError):
        # A server's first seconds are its database's, too.
        async with asyncio.timeout(_DATABASE_TIMEOUT_S):
            await database.wait_until_up()
    url = database.url
    if url is None:
        return None, True
    try:
        return url, await asyncio.to_thread(has_feed_begun, url)
    except StorageDown:
        return None, True


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
