"""A video that arrives in pieces -> a private file, which is gone when its request is.

    write(chunk) ... ─► count, look at the first bytes ─► FOLDER/*.video ─► finish() ─► path

What is no video, or is longer than allowed, is refused by the chunk that shows it. The disk is
written aside, so that a slow one holds up its own request only. This module does not know what is
in a video beyond its first bytes, nor who sends it.
"""

import asyncio
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from inkling_server.errors import VideoInvalid, VideoTooLarge
from inkling_server.video.containers import PROBE_BYTES, container_of
from inkling_server.video.records import VideoLimits

_SUFFIX = ".video"
# Chunks are joined up to this much before the disk is troubled.
_WRITE_BYTES = 1024 * 1024


class VideoSpool:
    """Receives one video; use it as an asynchronous context manager.

    Args:
        folder: where the file lies meanwhile; made, for this user only, where it is missing.
        limits: `max_bytes` counts here.
    """

    def __init__(self, folder: Path, limits: VideoLimits) -> None:
        self._folder = folder
        self._limits = limits
        self._descriptor = -1
        self._path: Path | None = None
        self._pending = bytearray()
        self._known = False
        self.size = 0

    async def __aenter__(self) -> Self:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # mkstemp makes it 0600.
        self._descriptor, name = tempfile.mkstemp(suffix=_SUFFIX, dir=self._folder)
        self._path = Path(name)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pending.clear()
        # First the name, so that nothing is left whatever happens to the rest.
        if self._path is not None:
            with suppress(FileNotFoundError):
                self._path.unlink()
        self._close()

    async def write(self, chunk: bytes) -> None:
        """Takes the next piece.

        Raises:
            VideoTooLarge: it is more than `max_bytes` by now.
            VideoInvalid: the first bytes are not those of a video.
        """
        self.size += len(chunk)
        if self.size > self._limits.max_bytes:
            raise VideoTooLarge("video bytes", self.size, self._limits.max_bytes)
        self._pending += chunk
        if not self._known and len(self._pending) >= PROBE_BYTES:
            container_of(bytes(self._pending[:PROBE_BYTES]))
            self._known = True
        if len(self._pending) >= _WRITE_BYTES:
            await self._flush()

    async def finish(self) -> Path:
        """The whole file; it is there until the block ends.

        Raises:
            VideoInvalid: there was nothing, or too little for a video.
        """
        if self.size == 0:
            raise VideoInvalid("empty: no bytes were sent")
        if not self._known:
            container_of(bytes(self._pending))
        await self._flush()
        self._close()
        assert self._path is not None
        return self._path

    @staticmethod
    def clean(folder: Path) -> None:
        """Removes what a killed server left. Nobody else may use the folder."""
        for path in folder.glob(f"*{_SUFFIX}"):
            with suppress(OSError):
                path.unlink()

    async def _flush(self) -> None:
        data, self._pending = bytes(self._pending), bytearray()
        if data:
            # A descriptor of its own: a cancelled call may leave the thread writing after `_close`.
            await asyncio.to_thread(_write_and_close, os.dup(self._descriptor), data)

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _write_and_close(descriptor: int, data: bytes) -> None:
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
    finally:
        os.close(descriptor)
