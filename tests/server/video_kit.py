"""Videos for tests without a decoder: a file of JSON says which colours are shown for how long.

[["red", 3.0], ["blue", 2.0]]     red for 3 s, then blue for 2 s, one frame each
"""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inkling_server.errors import InklingError, VideoInvalid, VideoTooLarge
from inkling_server.fake_encoder import NAMED_COLOURS
from inkling_server.model_manifest import PixelSpec
from inkling_server.video import Frame, Sound, Video, VideoFacts, VideoLimits
from tests.server.gateway_kit import jpeg

Scenes = Sequence[tuple[str, float]]


def video_file(*scenes: tuple[str, float]) -> bytes:
    """A file that FakeDecoder reads."""
    return json.dumps(scenes).encode()


def frames_of(scenes: Scenes, size: int, *, full: bool = False) -> tuple[Frame, ...]:
    """A frame for each scene, in its middle."""
    frames, start_s = [], 0.0
    for colour, seconds in scenes:
        pixels_SS3 = np.empty((size, size, 3), np.uint8)
        pixels_SS3[:] = NAMED_COLOURS[colour]
        frames.append(
            Frame(
                start_s + seconds / 2,
                start_s,
                start_s + seconds,
                pixels_SS3,
                jpeg(colour) if full else None,
            )
        )
        start_s += seconds
    return tuple(frames)


@dataclass
class FakeDecoder:
    """Decodes files of JSON.

    Attributes:
        gate: decoding waits until it is set.
        failure: raised instead.
        specs: of the calls so far.
        max_frames: of the calls so far.
        running: calls that are under way.
        closed: `close` was called.
    """

    gate: asyncio.Event = field(default_factory=asyncio.Event)
    failure: InklingError | None = None
    specs: list[PixelSpec] = field(default_factory=list)
    max_frames: list[int] = field(default_factory=list)
    running: int = 0
    closed: bool = False

    def __post_init__(self) -> None:
        self.gate.set()

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
        del deadline
        self.specs.append(spec)
        self.max_frames.append(max_frames)
        self.running += 1
        try:
            await self.gate.wait()
        finally:
            self.running -= 1
        if self.failure is not None:
            raise self.failure
        try:
            scenes = json.loads(await asyncio.to_thread(path.read_bytes))
        except ValueError:
            raise VideoInvalid("not a video") from None
        frames = frames_of(scenes, spec.size, full=want_full)
        facts = VideoFacts(frames[-1].end_s, 640, 360, "fake", "tone", 10 * len(frames))
        sound = Sound(np.zeros(16_000, np.int16)) if want_sound else None
        return Video(facts, frames, sound)

    async def close(self) -> None:
        self.closed = True


class FakeSpool:
    """A spool on disk; counts those that are open."""

    def __init__(self, folder: Path, limits: VideoLimits) -> None:
        self._folder, self._limits = folder, limits
        self._path = folder / f"{id(self)}"
        self.size = 0

    async def __aenter__(self) -> "FakeSpool":
        self._folder.mkdir(exist_ok=True)
        self._path.touch()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._path.unlink()

    async def write(self, chunk: bytes) -> None:
        self.size += len(chunk)
        if self.size > self._limits.max_bytes:
            raise VideoTooLarge("video bytes", None, self._limits.max_bytes)
        with self._path.open("ab") as file:
            file.write(chunk)

    async def finish(self) -> Path:
        if self.size == 0:
            raise VideoInvalid("the video is empty: 0 bytes")
        return self._path


@dataclass(frozen=True)
class Written:
    """What FakeOverlays reads."""

    text: str


@dataclass
class FakeOverlays:
    """Reads the same text off every frame, or fails."""

    text: str = ""
    failure: InklingError | None = None
    read_count: int = 0

    async def read(self, image: bytes, *, deadline: float | None = None) -> Written:
        assert image
        self.read_count += 1
        if self.failure is not None:
            raise self.failure
        return Written(self.text)


@dataclass(frozen=True)
class Spoken:
    """What FakeSpeech hears."""

    text: str
    start_s: float = 0.0
    end_s: float = 1.0
    confidence: float = 0.8


@dataclass
class FakeSpeech:
    """Hears the same in every sound, or fails."""

    said: tuple[Spoken, ...] = ()
    failure: InklingError | None = None

    async def transcribe(
        self, samples_N: NDArray[np.int16], rate_hz: int, *, deadline: float | None = None
    ) -> Sequence[Spoken]:
        assert rate_hz == 16_000
        if self.failure is not None:
            raise self.failure
        return self.said
