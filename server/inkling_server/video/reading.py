"""A video file -> facts, chosen frames, sound. What the decoding process does.

    open ─► survey ─► decode ─► thumbnail ─► sampler ─► a frame to keep ─► square, JPEG
                 └─────────────────────────────────────► plan ─► Frames

Every decoded frame becomes a thumbnail, and only those that end up standing for a stretch become
pixels. Frames that no other depends on are not decoded where there are plenty. This module does not
know processes or pipes; it needs PyAV.
"""

import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from time import monotonic
from typing import Any, BinaryIO

import av
import numpy as np
from numpy.typing import NDArray

from inkling_server.errors import VideoInvalid, VideoTooLarge
from inkling_server.model_manifest import PixelSpec
from inkling_server.video import pictures
from inkling_server.video.opening import Source, codec_name, open_source
from inkling_server.video.records import Frame, Video, VideoFacts, VideoLimits
from inkling_server.video.sampling import Sampler, Step, distance
from inkling_server.video.sound import read_sound
from inkling_server.video.surveying import (
    Survey,
    choose_packets,
    needs_choice,
    sparse_keys,
    survey,
)

# Frames looked at, a second: enough to find a cut within 0.1 s.
_LOOKS_PER_S = 16.0
# From here on half the frames are enough.
_PLENTY_PER_S = 20.0
_MOST_THREADS = 4
# Share of packets that may be damaged.
_DAMAGED = 0.1


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to get out of a video; the fields are `VideoDecoder.decode`'s."""

    spec: PixelSpec
    max_frames: int
    want_sound: bool
    want_full: bool


def read_video(file: BinaryIO, wanted: Wanted, limits: VideoLimits) -> Video:
    """Reads a whole video.

    Args:
        file: seekable, open for reading.
        wanted: what to get out of it.
        limits: what it may cost.

    Raises:
        VideoInvalid: not a video in a known format, truncated or damaged.
        VideoTooLarge: over one of `limits`.
    """
    return _Reading(file, wanted, limits).run()


class _Reading:
    """One video while it is read."""

    def __init__(self, file: BinaryIO, wanted: Wanted, limits: VideoLimits) -> None:
        self._file = file
        self._wanted = wanted
        self._limits = limits
        self._until = monotonic() + limits.max_decode_s
        self._decoded = self._damaged = 0
        self._looked = 0
        self._size = (0, 0)
        # Of the frames that the sampler keeps, by its keys.
        self._kept: dict[int, tuple[NDArray[np.uint8], bytes | None]] = {}

    def run(self) -> Video:
        """Reads it."""
        with open_source(self._file, self._limits) as source:
            video_codec = codec_name(source.video)
            audio_codec = codec_name(source.sound) if source.sound is not None else ""
            looked_through = survey(source, self._limits, self._check_time)
        chosen = self._choose(looked_through)
        with open_source(self._file, self._limits) as source:
            frames = self._sample(source, looked_through, chosen)
        sound = None
        if self._wanted.want_sound and audio_codec:
            with open_source(self._file, self._limits) as source:
                sound = read_sound(
                    source, looked_through, self._limits.max_duration_s, self._check_time
                )
        width, height = self._size
        facts = VideoFacts(
            looked_through.duration_s, width, height, video_codec, audio_codec, self._looked
        )
        return Video(facts, frames, sound)

    def _choose(self, video: Survey) -> frozenset[int] | None:
        """Numbers of the packets to decode; None: all."""
        with open_source(self._file, self._limits) as source:
            context = source.video.codec_context
            pixels = context.width * context.height
            if not needs_choice(video, pixels):
                return None
            keys = sparse_keys(video, pixels)
            thumbnails = [
                pictures.thumbnail(frame)
                for frame in self._decode(source, frozenset(keys), skip="DEFAULT")
            ]
        if len(thumbnails) != len(keys):
            return frozenset(keys)  # damaged in places: no telling which is which
        changes = [distance(a, b) for a, b in itertools.pairwise(thumbnails)]
        return choose_packets(video, keys, [*changes, 1.0], pixels)

    def _sample(
        self, source: Source, video: Survey, chosen: frozenset[int] | None
    ) -> tuple[Frame, ...]:
        max_frames = self._wanted.max_frames
        sampler = Sampler(video.duration_s, max_frames)
        plenty = video.frames_per_s >= _PLENTY_PER_S
        previous = best = None
        last_s, key = -1.0, 0
        for frame in self._decode(source, chosen, skip="NONREF" if plenty else "DEFAULT"):
            time_s = self._time_s(frame, video, last_s)
            if time_s <= last_s or (previous is not None and time_s - last_s < 1 / _LOOKS_PER_S):
                continue
            step = sampler.push(time_s, pictures.thumbnail(frame), is_keyframe=frame.key_frame)
            best = previous if step.keep_previous else best
            self._carry_out(step, best, source)
            previous, last_s, key = frame, time_s, key + 1
            self._looked = key
        if previous is None:
            raise VideoInvalid("damaged or truncated: no frame of it can be decoded")
        if self._damaged > max(1, _DAMAGED * (self._decoded + self._damaged)):
            raise VideoInvalid("damaged: too many of its frames cannot be decoded")
        self._size = self._shown_size(previous, source)
        step = sampler.finish(video.duration_s)
        self._carry_out(step, previous if step.keep_previous else best, source)
        return tuple(
            Frame(s.time_s, s.start_s, s.end_s, *self._kept[s.key])
            for s in sampler.plan(max_frames)
        )

    def _decode(self, source: Source, chosen: frozenset[int] | None, skip: str) -> Iterator[Any]:
        context = source.video.codec_context
        context.thread_type = "AUTO"
        context.thread_count = min(len(os.sched_getaffinity(0)), _MOST_THREADS)
        context.skip_frame = skip
        number = -1
        for packet in source.container.demux(source.video):
            self._check_time()
            if packet.size:
                number += 1
                if chosen is not None and number not in chosen:
                    continue
            try:
                frames = packet.decode()
            except av.error.FFmpegError as error:
                if isinstance(error, MemoryError):
                    raise
                self._damaged += 1
                continue
            for frame in frames:
                self._check_time()
                if frame.width * frame.height > self._limits.max_pixels:
                    raise VideoTooLarge(
                        "video pixels", frame.width * frame.height, self._limits.max_pixels
                    )
                self._decoded += 1
                if not frame.is_corrupt:
                    yield frame

    def _carry_out(self, step: Step, best: Any, source: Source) -> None:
        if step.closed is not None:
            pixels_HW3 = pictures.upright(best, source.pixel_aspect)
            full = pictures.jpeg(pixels_HW3) if self._wanted.want_full else None
            self._kept[step.closed.key] = pictures.square(pixels_HW3, self._wanted.spec), full
        for key in step.dropped:
            self._kept.pop(key, None)

    def _shown_size(self, frame: Any, source: Source) -> tuple[int, int]:
        width, height = pictures.shown_size(frame.width, frame.height, source.pixel_aspect)
        return (height, width) if pictures.quarter_turns(frame) % 2 else (width, height)

    def _time_s(self, frame: Any, video: Survey, last_s: float) -> float:
        if frame.time is None:
            return last_s + 1 / video.frames_per_s
        return min(max(float(frame.time) - video.origin_s, 0.0), video.duration_s)

    def _check_time(self) -> None:
        if monotonic() > self._until:
            raise VideoTooLarge("decoding seconds", None, self._limits.max_decode_s)
