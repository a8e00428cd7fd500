"""Files of a folder that is only a cache: replaced whole, the least recently used dropped.

A file is written beside its place and renamed, so that a reader finds the old one or the new one.
What a crash left behind goes with a later `prune`; a neighbour's young draft stays. It blocks: call
it off the event loop. It does not know what the files hold.
"""

import contextlib
import os
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

_DRAFT = ".draft-"
_STALE_DRAFT_S = 3600.0


def replace_file(path: Path, parts: Iterable[bytes | memoryview]) -> None:
    """Writes parts one behind the other, durably, in place of what was there; makes the folder.

    Raises:
        OSError: full or read-only; what was there stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, draft = tempfile.mkstemp(prefix=_DRAFT, dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            for part in parts:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise


def mark_used(path: Path) -> None:
    """Dates a file today: `prune` goes by it. A read-only folder is none of its business."""
    with contextlib.suppress(OSError):
        os.utime(path)


def prune(keep: Path, suffix: str, max_files: int) -> None:
    """Drops files not used for longest, and drafts that a crash left behind.

    Args:
        keep: in the folder; stays, whatever its date.
        suffix: of the files that count.
        max_files: that stay.
    """
    folder = keep.parent
    for draft in folder.glob(f"{_DRAFT}*"):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - draft.stat().st_mtime > _STALE_DRAFT_S:
                draft.unlink()
    dates: list[tuple[int, Path]] = []
    for path in folder.glob(f"*{suffix}"):
        with contextlib.suppress(FileNotFoundError):
            if path != keep:
                dates.append((path.stat().st_mtime_ns, path))
    for _, path in sorted(dates, reverse=True)[max_files - 1 :]:
        path.unlink(missing_ok=True)
