"""One decoding process as the gateway sees it, from its start to its end.

    order ─► process ─► "started" ─► frames ... ─► facts        a Video
                            │   └──► a refusal                  VideoInvalid, VideoTooLarge
                            ├──────► silence                    killed; VideoTooLarge (time)
                            └──────► end of file                VideoInvalid: it crashed

The process is not believed: what it sends is checked. This module does not know what is done in
the process, nor who waits for it.
"""

import asyncio
import logging
import math
import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

import numpy as np

from inkling_server.errors import VideoInvalid, VideoTooLarge
from inkling_server.model_manifest import PixelSpec
from inkling_server.video.pipe import MAX_LINE_BYTES, Message, PipeBroken, pack, receive_async
from inkling_server.video.records import Frame, Sound, Video, VideoFacts, VideoLimits

COMMAND = (sys.executable, "-m", "inkling_server.video.worker")

_START_S = 60.0
# The process watches the time itself, and sees it late inside of one frame.
_GRACE_S = 1.0
# Pictures come first: they are small, and somebody waits for each.
_NICE = 5
_LONGEST_PROBLEM = 300
_LONGEST_NAME = 32


_log = logging.getLogger(__name__)


class NotStarted(Exception):
    """The process was gone before it looked at the video."""


class DecodingProcess:
    """A process that decodes one video at a time. `start` makes it.

    Attributes:
        is_fit: whether it may be given another video.
        video_count: how many it was given.
    """

    def __init__(
        self,
        process: "subprocess.Popen[bytes]",
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._process = process
        self._reader = reader
        self._writer = writer
        self._fit = True
        self.video_count = 0

    @classmethod
    async def start(cls) -> Self:
        """Starts a process and waits until it is ready.

        Raises:
            NotStarted: it does not come up: the extra `video` may be missing.
        """
        # The fewer arenas, the less memory is reserved and not used.
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        environment["MALLOC_ARENA_MAX"] = "2"
        ours, theirs = socket.socketpair()
        with theirs:
            # Not asyncio's own, and a socket: see refresh/job.py.
            process = subprocess.Popen(  # noqa: ASYNC220, S603 - a millisecond; our own command
                COMMAND,
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=subprocess.DEVNULL,
                env=environment,
                start_new_session=True,
            )
        with suppress(OSError):  # it may have ended already
            nice = os.getpriority(os.PRIO_PROCESS, 0) + _NICE
            os.setpriority(os.PRIO_PROCESS, process.pid, nice)
        ours.setblocking(False)
        try:
            reader, writer = await asyncio.open_connection(sock=ours, limit=MAX_LINE_BYTES)
        except BaseException:
            ours.close()
            process.kill()
            await asyncio.shield(asyncio.to_thread(process.wait))
            raise
        started = cls(process, reader, writer)
        try:
            async with asyncio.timeout(_START_S):
                await receive_async(reader)
        except (PipeBroken, TimeoutError) as error:
            await started.kill()
            raise NotStarted("the video decoder does not start") from error
        except BaseException:
            await started.kill()
            raise
        return started

    @property
    def is_fit(self) -> bool:
        """Whether it may be given another video."""
        return self._fit and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    async def decode(
        self,
        path: Path,
        spec: PixelSpec,
        limits: VideoLimits,
        *,
        max_frames: int,
        want_sound: bool,
        want_full: bool,
    ) -> Video:
        """Has one video decoded. Whatever is raised but a refusal leaves the process unfit.

        Raises:
            VideoInvalid, VideoTooLarge: as the process says, or it crashed, or hung.
            NotStarted: it was gone before it looked at the video.
        """
        order = {
            "type": "decode",
            "path": os.fspath(path),
            "spec": asdict(spec),
            "limits": asdict(limits),
            "max_frames": max_frames,
            "want_sound": want_sound,
            "want_full": want_full,
        }
        self.video_count += 1
        self._fit = False
        try:
            async with asyncio.timeout(limits.max_decode_s + _GRACE_S):
                await self._begin(order)
                return await self._receive(spec, limits, max_frames, want_full=want_full)
        except TimeoutError:
            raise VideoTooLarge("decoding seconds", None, limits.max_decode_s) from None
        except PipeBroken:
            await self.kill()
            if self._process.returncode == -signal.SIGXCPU:
                raise VideoTooLarge("decoding seconds", None, limits.max_decode_s) from None
            raise VideoInvalid("damaged: the decoder crashed on it") from None

    async def kill(self) -> None:
        """Ends the process."""
        self._fit = False
        self._writer.transport.abort()
        self._process.kill()
        # Also while this task is being cancelled: a process that nobody waits for stays a zombie.
        await asyncio.shield(asyncio.to_thread(self._process.wait))

    async def _begin(self, order: Message) -> None:
        try:
            self._writer.write(pack(order))
            await self._writer.drain()
            await receive_async(self._reader)
        except (PipeBroken, OSError) as error:
            raise NotStarted("the video decoder is gone") from error

    async def _receive(
        self, spec: PixelSpec, limits: VideoLimits, max_frames: int, *, want_full: bool
    ) -> Video:
        frames: list[Frame] = []
        sound: Sound | None = None
        while True:
            message, bodies = await receive_async(self._reader)
            try:
                match message["type"]:
                    case "frame" if len(frames) < max_frames:
                        frames.append(_frame(message, bodies, spec, want_full=want_full))
                    case "sound" if sound is None:
                        sound = _sound(message, bodies, limits)
                    case "done" if frames:
                        self._fit = True
                        return Video(_facts(message), tuple(frames), sound)
                    case "invalid":
                        self._fit = "error" not in message
                        if not self._fit:
                            _log_unexpected(message)
                        raise VideoInvalid(str(message["problem"])[:_LONGEST_PROBLEM])
                    case "too large":
                        self._fit = True
                        raise _too_large(message)
                    case _:
                        raise PipeBroken("the decoding process says what nobody understands")
            except (LookupError, TypeError, ValueError, ArithmeticError) as error:
                raise PipeBroken("the decoding process says what nobody understands") from error


def _frame(message: Message, bodies: list[bytes], spec: PixelSpec, *, want_full: bool) -> Frame:
    shape = (spec.size, spec.size, 3)
    pixels_SS3 = np.frombuffer(bodies[0], np.uint8).reshape(shape)
    time_s, start_s, end_s = (float(message[name]) for name in ("time_s", "start_s", "end_s"))
    if not 0 <= start_s <= time_s <= end_s < math.inf:
        raise ValueError("times that make no sense")
    return Frame(time_s, start_s, end_s, pixels_SS3, bodies[1] if want_full else None)


def _facts(message: Message) -> VideoFacts:
    facts = message["facts"]
    duration_s = float(facts["duration_s"])
    if not 0 < duration_s < math.inf:
        raise ValueError("a duration that makes no sense")
    return VideoFacts(
        duration_s,
        int(facts["width"]),
        int(facts["height"]),
        str(facts["video_codec"])[:_LONGEST_NAME],
        str(facts["audio_codec"])[:_LONGEST_NAME],
        int(facts["decoded_frame_count"]),
    )


def _sound(message: Message, bodies: list[bytes], limits: VideoLimits) -> Sound:
    samples_N = np.frombuffer(bodies[0], np.int16)
    rate_hz = int(message["rate_hz"])
    if len(samples_N) > (limits.max_duration_s + 1) * rate_hz:
        raise ValueError("more sound than there can be")
    return Sound(samples_N, rate_hz)


def _log_unexpected(message: Message) -> None:
    # At level info: damaged files do this, and a mistake in our own code would, too.
    error, stack = str(message["error"])[:_LONGEST_PROBLEM], str(message.get("stack"))
    _log.info("the video decoder met something unexpected", extra={"error": error, "stack": stack})


def _too_large(message: dict[str, Any]) -> VideoTooLarge:
    actual = message["actual"]
    what = str(message["what"])[:_LONGEST_PROBLEM]
    return VideoTooLarge(what, None if actual is None else float(actual), float(message["allowed"]))
