"""Which visual clusters serve: those fitted to what is stored, else those that came with the model.

    storage (fitted, shared by all gateways) ─┐
    model repository (shipped) ───────────────┴─► ClusterKeeper.current ─► VisualClusters, or None

Clusters belong to a model: a rollout changes what `current` answers by itself. It fits nothing.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from inkling_server.profiles.clusters import ClustersDamaged, VisualClusters, load_shipped
from inkling_server.serving_state import StateHolder
from inkling_server.storage import Storage

_log = logging.getLogger(__name__)
# Another gateway may have fitted new ones: how long that may go unnoticed.
_POLL_S = 5.0


@dataclass(frozen=True, slots=True)
class _Known:
    """What was found for a model, and when (on the loop's clock)."""

    fingerprint: str
    clusters: VisualClusters | None
    time: float


class ClusterKeeper:
    """Finds the clusters that serve; belongs to one event loop.

    Args:
        storage: raises StorageDown while there is none.
        states: says which model serves.
        repository: the model repository.
    """

    def __init__(
        self, storage: Callable[[], Storage], states: StateHolder, repository: Path
    ) -> None:
        self._storage = storage
        self._states = states
        self._repository = repository
        self._known: _Known | None = None

    async def current(self) -> VisualClusters | None:
        """The clusters of the model that serves; None: there are none for it.

        Raises:
            StorageDown: it cannot be asked.
        """
        fingerprint = self._states.current.manifest.fingerprint
        now = asyncio.get_running_loop().time()
        known = self._known
        if known is None or known.fingerprint != fingerprint or now - known.time > _POLL_S:
            clusters = await self._find(fingerprint, known)
            self._known = known = _Known(fingerprint, clusters, now)
        return known.clusters

    def forget(self) -> None:
        """There may be new ones: the next question goes to storage."""
        self._known = None

    async def _find(self, fingerprint: str, known: _Known | None) -> VisualClusters | None:
        version = await self._storage().clusters.current_version(fingerprint)
        clusters = known.clusters if known is not None else None
        if version is None:
            return await asyncio.to_thread(self._shipped, fingerprint)
        if clusters is not None and clusters.version == version:
            return clusters
        record = await self._storage().clusters.load(fingerprint)
        if record is None:  # deleted since
            return await asyncio.to_thread(self._shipped, fingerprint)
        try:
            return await asyncio.to_thread(VisualClusters.from_bytes, record.data)
        except ClustersDamaged as error:
            _log.error("stored clusters cannot be used: %s", error)
            return await asyncio.to_thread(self._shipped, fingerprint)

    def _shipped(self, fingerprint: str) -> VisualClusters | None:
        version = self._states.current.manifest.version
        try:
            return load_shipped(self._repository, version, fingerprint)
        except (ClustersDamaged, OSError) as error:
            _log.error("the model's clusters cannot be used: %s", error)
            return None
