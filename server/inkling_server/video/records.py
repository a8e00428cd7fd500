"""What goes into the decoding of a video and what comes out of it: values only.

Shapes: S = `PixelSpec.size`, 3 = red, green, blue; N samples of sound.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SOUND_RATE_HZ = 16_000
FULL_LONG_SIDE = 1_280


@dataclass(frozen=True, slots=True)
class VideoLimits:
    """What one video may cost. Bytes, duration and pixels are checked before anything is decoded.

    Attributes:
        max_bytes: of the file. It lies on disk while it is decoded.
        max_duration_s: of the video, by its header, and again by what is read.
        max_pixels: width times height of a frame; the default is a little over 4K.
        max_decode_s: wall-clock time of the decoder, in seconds.
        max_frames: frames that are chosen, at most.
        max_memory_bytes: what the decoding process may allocate beyond what it has when idle.
    """

    max_bytes: int = 200 * 1024 * 1024
    max_duration_s: float = 600.0
    max_pixels: int = 9_000_000
    max_decode_s: float = 60.0
    max_frames: int = 64
    max_memory_bytes: int = 600 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class VideoFacts:
    """What a file says of itself.

    Attributes:
        duration_s: from the first frame to the end of the last.
        width, height: as shown, turned upright, in pixels.
        video_codec: such as "h264".
        audio_codec: such as "aac"; "" where there is no sound.
        decoded_frame_count: frames that were looked at to choose among.
    """

    duration_s: float
    width: int
    height: int
    video_codec: str
    audio_codec: str
    decoded_frame_count: int


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """A chosen frame; it stands for the video in [start_s, end_s).

    Attributes:
        time_s: when it shows, from the video's first frame; start_s <= time_s < end_s.
        start_s: where its stretch begins; the first frame's is 0.
        end_s: where it ends: the next frame's start, or the video's duration.
        pixels_SS3: uint8 RGB, what the encoder wants.
        full: the upright frame as a JPEG, its long side at most `FULL_LONG_SIDE` pixels; None
            where nobody asked for it.
    """

    time_s: float
    start_s: float
    end_s: float
    pixels_SS3: NDArray[np.uint8]
    full: bytes | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Sound:
    """A video's sound, mixed to one channel; its first sample is at the video's first frame.

    Attributes:
        samples_N: int16.
        rate_hz: samples a second.
    """

    samples_N: NDArray[np.int16]
    rate_hz: int = SOUND_RATE_HZ


@dataclass(frozen=True, slots=True, eq=False)
class Video:
    """A decoded video.

    Attributes:
        facts: what it says of itself.
        frames: at least one, in order; their stretches cover the video without gaps or overlaps.
        sound: None where there is none, it cannot be read, or nobody asked for it.
    """

    facts: VideoFacts
    frames: tuple[Frame, ...]
    sound: Sound | None = None
