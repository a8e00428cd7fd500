"""The folder of graph versions: which one is current, how another takes its place, what is kept.

    <root>/current          the version that serves, replaced by one atomic rename
           <version>/       a snapshot, see `snapshot`
           .draft-…/        one that is being written; left behind only by a crash
           .refresh.lock    held (flock) by the gateway that refreshes

Several gateways may share the folder: one refreshes at a time, all follow `current`. A version that
`current` does not name is kept, but serves nobody. It blocks: call it off the event loop.
"""

import fcntl
import logging
import os
import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from inkling_server.errors import GraphVersionNotServed, RefreshRunning
from inkling_server.interests.graph import GraphSnapshot, is_version
from inkling_server.interests.snapshot import (
    DRAFT_PREFIX,
    SnapshotDamaged,
    created_time,
    fsync,
    load_snapshot,
    name_draft,
    newest_snapshot,
    snapshot_folders,
)

_log = logging.getLogger(__name__)
_CURRENT = "current"
_LOCK = ".refresh.lock"


class GraphStore:
    """Versions below one folder, and the shipped ones behind them.

    Args:
        root: made when something is written first.
        shipped: folder of the snapshots that come with the server; never written.
    """

    def __init__(self, root: Path, shipped: Path) -> None:
        self.root = root
        self.shipped = shipped

    @property
    def roots(self) -> tuple[Path, ...]:
        """Where versions are looked for, in this order."""
        return self.root, self.shipped

    def current_version(self) -> str:
        """What `current` names; "" where it names nothing."""
        try:
            version = (self.root / _CURRENT).read_text(encoding="utf-8", errors="replace").strip()
        except FileNotFoundError:
            return ""
        return version if is_version(version) else ""

    def load_current(self) -> tuple[GraphSnapshot, Path]:
        """The version to serve, and its folder: the current one, else the newest sound one, else
        the shipped one; this also where none was ever made current.

        Raises:
            SnapshotDamaged: the shipped one cannot be read either.
        """
        for folder in self._candidates():
            try:
                return load_snapshot(folder), folder
            except SnapshotDamaged as error:
                # Worse tags for a while are better than none; the log says what to mend.
                _log.error(
                    "a graph version is unusable: %s; an older or the shipped one serves", error
                )
        folder = newest_snapshot(self.shipped)
        return load_snapshot(folder), folder

    def folder(self, version: str) -> Path:
        """Where a version lies.

        Raises:
            GraphVersionNotServed: it is not kept.
        """
        # A version becomes part of a path, so it must be a name and nothing else.
        if is_version(version):
            for root in self.roots:
                if (root / version).is_dir():
                    return root / version
        raise GraphVersionNotServed(self.current_version())

    def publish(self, draft: Path) -> Path:
        """Gives a draft its name and makes it current; returns its folder."""
        folder = name_draft(draft, self.root)
        self.make_current(folder.name)
        return folder

    def make_current(self, version: str) -> None:
        """Makes a version that is kept the current one, atomically.

        Raises:
            GraphVersionNotServed: it is not kept.
        """
        self.folder(version)
        self.root.mkdir(parents=True, exist_ok=True)
        descriptor, draft = tempfile.mkstemp(prefix=DRAFT_PREFIX, dir=self.root)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(f"{version}\n")
                file.flush()
                os.fsync(file.fileno())
            Path(draft).chmod(0o644)
            Path(draft).replace(self.root / _CURRENT)
        except BaseException:
            Path(draft).unlink(missing_ok=True)
            raise
        fsync(self.root)

    def clean(self, *, keep_count: int, in_use: Collection[str]) -> None:
        """Deletes what is too old and what a crash left behind. Only while the lock is held.

        Args:
            keep_count: newest versions that stay, >= 1.
            in_use: versions that stay whatever their age; so does the current one.
        """
        for draft in self.root.glob(f"{DRAFT_PREFIX}*"):
            if draft.is_dir():
                shutil.rmtree(draft, ignore_errors=True)
            else:
                draft.unlink(missing_ok=True)
        kept = {*in_use, self.current_version()}
        sound, _ = self._newest_first()  # a damaged one stays for a person to look at
        for folder in sound[keep_count:]:
            if folder.name not in kept:
                # Out of sight first: half a version never has the name of a whole one.
                doomed = self.root / f"{DRAFT_PREFIX}{folder.name}"
                with suppress(OSError):
                    folder.rename(doomed)
                shutil.rmtree(doomed, ignore_errors=True)

    @contextmanager
    def refresh_lock(self) -> Iterator[None]:
        """Keeps other refreshes of this folder out, on other machines that share it too.

        Raises:
            RefreshRunning: someone else holds it.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / _LOCK).open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RefreshRunning("") from None
            yield

    def _candidates(self) -> Iterator[Path]:
        if not (self.root / _CURRENT).exists():
            return  # what lies here was not published: a first refresh crashed just before
        current = self.current_version()
        if current:
            try:
                yield self.folder(current)
            except GraphVersionNotServed:
                _log.error("the current graph version is gone; an older or the shipped one serves")
        sound, problems = self._newest_first()
        for problem in problems:
            _log.error("a graph version is unusable: %s", problem)
        yield from (folder for folder in sound if folder.name != current)

    def _newest_first(self) -> tuple[list[Path], list[SnapshotDamaged]]:
        """The versions whose manifest can be read, and what is wrong with the others."""
        dated, problems = [], []
        for folder in snapshot_folders(self.root):
            try:
                dated.append((created_time(folder), folder.name, folder))
            except SnapshotDamaged as error:
                problems.append(error)
        return [folder for _, _, folder in sorted(dated, reverse=True)], problems
