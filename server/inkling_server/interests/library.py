"""The graph versions that a gateway can answer about: the one that serves, and older ones on disk.

    "" or the current version ─► the serving snapshot, never read again
    another version           ─► read from disk off the event loop, the last few kept

All methods belong to one event loop. It does not know RPCs, indexes or how versions come about.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from inkling_server.errors import GraphVersionNotServed
from inkling_server.interests.graph import GraphSnapshot, is_version
from inkling_server.interests.snapshot import (
    SnapshotDamaged,
    load_snapshot,
    read_manifest,
    snapshot_folders,
)
from inkling_server.interests.view import GraphView

_MAX_VIEWS = 4


@dataclass(frozen=True, slots=True)
class VersionFacts:
    """A version in a few numbers, from its manifest."""

    version: str
    created_time: datetime
    interest_count: int
    edge_count: int
    document_count: int
    is_current: bool

    @classmethod
    def of(cls, snapshot: GraphSnapshot, *, is_current: bool) -> "VersionFacts":
        """The facts of a version that is in memory."""
        return cls(
            snapshot.version,
            snapshot.created_time,
            len(snapshot.interests),
            len(snapshot.edges),
            snapshot.document_count,
            is_current,
        )


class GraphLibrary:
    """Finds versions.

    Args:
        current: the snapshot that serves now.
        roots: folders of snapshots.
    """

    def __init__(self, current: Callable[[], GraphSnapshot], roots: tuple[Path, ...]) -> None:
        self._current = current
        self._roots = roots
        self._views: OrderedDict[str, GraphView] = OrderedDict()
        self._reading = asyncio.Lock()

    @property
    def current_version(self) -> str:
        """The version that serves now."""
        return self._current().version

    async def view(self, version: str) -> GraphView:
        """A version to ask questions of; "" is the current one.

        Raises:
            GraphVersionNotServed: it is not kept (any more), or its files are damaged.
        """
        current = self._current()
        wanted = version or current.version
        if wanted not in self._views:
            async with self._reading:  # one at a time: each takes memory
                if wanted not in self._views:
                    source = current if wanted == current.version else wanted
                    self._views[wanted] = await asyncio.to_thread(self._open, source)
                    while len(self._views) > _MAX_VIEWS:
                        self._views.popitem(last=False)
        self._views.move_to_end(wanted)
        return self._views[wanted]

    async def versions(self) -> list[VersionFacts]:
        """Every version that is kept, newest first, the current one among them."""
        current = self._current()
        found = await asyncio.to_thread(self._facts, current.version)
        found[current.version] = VersionFacts.of(current, is_current=True)
        return sorted(found.values(), key=lambda v: (v.created_time, v.version), reverse=True)

    def _open(self, source: GraphSnapshot | str) -> GraphView:
        if isinstance(source, GraphSnapshot):
            return GraphView(source)
        # A version becomes part of a path, so it must be a name and nothing else.
        folders = [root / source for root in self._roots] if is_version(source) else []
        for folder in folders:
            if folder.is_dir():
                try:
                    return GraphView(load_snapshot(folder))
                except SnapshotDamaged:
                    continue
        raise GraphVersionNotServed(self._current().version)

    def _facts(self, current_version: str) -> dict[str, VersionFacts]:
        facts: dict[str, VersionFacts] = {}
        for folder in (folder for root in self._roots for folder in snapshot_folders(root)):
            try:
                manifest = read_manifest(folder)
                facts[manifest["version"]] = VersionFacts(
                    manifest["version"],
                    datetime.fromisoformat(manifest["created_time"]),
                    manifest["interest_count"],
                    manifest["edge_count"],
                    manifest["document_count"],
                    manifest["version"] == current_version,
                )
            except (SnapshotDamaged, KeyError, ValueError):
                continue  # what cannot be read cannot be served
        return facts
