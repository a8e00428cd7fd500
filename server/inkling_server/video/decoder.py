"""Decodes videos in processes of their own: a small pool, for one event loop.

    decode ─► a free process, started where there is none ─► Video, or its refusal
                    └─ fit? ─► back into the pool; otherwise it is ended, and replaced when needed

A process whose video crashed it, hung or ran out of memory costs that video alone. This module does
not know what is in a video.
"""

import asyncio
from importlib.util import find_spec
from pathlib import Path

from inkling_server.batching import deadline_scope
from inkling_server.errors import ShuttingDown, VideoInvalid
from inkling_server.model_manifest import PixelSpec
from inkling_server.video.process import DecodingProcess, NotStarted
from inkling_server.video.records import Video, VideoLimits

# Libraries leak; a fresh process does not remember.
_VIDEOS_PER_PROCESS = 200


def video_is_available() -> bool:
    """Whether the extra `video` (PyAV) is installed."""
    return find_spec("av") is not None


class VideoDecoder:
    """Decodes videos; one event loop's.

    Args:
        limits: what one video may cost.
        workers: how many are decoded at a time; each may use all processors.
    """

    def __init__(self, limits: VideoLimits, *, workers: int = 1) -> None:
        self.limits = limits
        self._workers = workers
        self._slots = asyncio.Semaphore(workers)
        self._idle: list[DecodingProcess] = []
        self._busy: set[DecodingProcess] = set()
        self._closed = False

    async def start(self) -> None:
        """Starts the processes in advance; without it the first videos wait half a second more.

        Raises:
            RuntimeError: they do not start: the extra `video` may be missing.
        """
        while len(self._idle) + len(self._busy) < self._workers:
            self._idle.append(await self._new())

    async def decode(
        self,
        path: Path,
        spec: PixelSpec,
        *,
        max_frames: int,
        want_sound: bool = False,
        want_full: bool = False,
        deadline: float | None = None,
    ) -> Video:
        """Decodes a video, after those that came before it; cancelling ends its process.

        Args:
            path: the file; told by its content, never by its name.
            spec: size and geometry that the model was trained with.
            max_frames: how many are wanted, at least 1; no more than the limit are chosen.
            want_sound: decode the sound, too.
            want_full: add each frame as a JPEG.
            deadline: on the loop's clock; None: none.

        Raises:
            VideoInvalid: not a video in a known format, truncated, damaged; the decoder crashed.
            VideoTooLarge: over one of the limits.
            DeadlineExceeded: `deadline` passed.
            ShuttingDown: the decoder was closed meanwhile.
            RuntimeError: no decoder starts: the extra `video` may be missing.
        """
        max_frames = max(min(max_frames, self.limits.max_frames), 1)
        async with deadline_scope(deadline), self._slots:
            while True:
                process = await self._take()
                try:
                    return await process.decode(
                        path,
                        spec,
                        self.limits,
                        max_frames=max_frames,
                        want_sound=want_sound,
                        want_full=want_full,
                    )
                except VideoInvalid:
                    if self._closed:
                        raise ShuttingDown from None
                    raise
                except NotStarted:
                    if self._closed:
                        raise ShuttingDown from None
                    # It went while it was idle, which is no fault of this video: on to the next.
                    continue
                finally:
                    await self._give_back(process)

    async def close(self) -> None:
        """Ends all processes; videos that are being decoded fail with ShuttingDown."""
        self._closed = True
        processes = [*self._idle, *self._busy]
        self._idle.clear()
        for process in processes:
            await process.kill()

    async def _take(self) -> DecodingProcess:
        if self._closed:
            raise ShuttingDown
        process = None
        while self._idle and process is None:
            candidate = self._idle.pop()
            if candidate.is_fit:
                process = candidate
            else:
                await candidate.kill()
        process = process or await self._new()
        self._busy.add(process)
        return process

    async def _give_back(self, process: DecodingProcess) -> None:
        self._busy.discard(process)
        used_up = process.video_count >= _VIDEOS_PER_PROCESS
        if process.is_fit and not used_up and not self._closed:
            self._idle.append(process)
        else:
            await process.kill()

    async def _new(self) -> DecodingProcess:
        try:
            return await DecodingProcess.start()
        except NotStarted as error:
            raise RuntimeError(f"{error}; the extra `video` may be missing") from error
