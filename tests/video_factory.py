"""Small videos for tests, made here: scenes of known pictures and lengths, with or without sound.

    make_video(path, [Scene((255, 0, 0), 2.0), Scene(photo_HW3, 3.0, fade_s=1.0)], sound=tone(5.0))

The container follows the path's suffix (.mp4 .mov .mkv .webm .gif) and the codec follows that,
unless said otherwise. A fade blends from the scene before and takes its time from this scene.
Needs PyAV.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

Color = tuple[int, int, int]
_CODECS = {".webm": "libvpx", ".gif": "gif"}
_SOUND_CODECS = {".webm": "libopus"}
_FORMATS = {".mkv": "matroska"}


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """One picture shown for a while.

    Attributes:
        picture: uint8 RGB [H, W, 3], which is scaled and cut to the video's size; or a colour.
        seconds: how long, the fade included.
        fade_s: blends from the scene before for this long.
        pan_pixels: how far the picture drifts sideways over the scene, in the video's pixels.
        overlay: uint8 RGBA [H, W, 4] of the video's size, laid over it (captions).
    """

    picture: NDArray[np.uint8] | Color
    seconds: float
    fade_s: float = 0.0
    pan_pixels: float = 0.0
    overlay: NDArray[np.uint8] | None = None


def texture(seed: int, size: tuple[int, int] = (320, 180)) -> NDArray[np.uint8]:
    """A smooth random picture [H, W, 3]: each seed looks different, and codecs like it."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (5, 8, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC), np.uint8)


def tone(seconds: float, *, hertz: float = 440.0, rate: int = 16_000) -> NDArray[np.int16]:
    """A sine wave, int16 mono."""
    times = np.arange(round(seconds * rate)) / rate
    return np.asarray(np.sin(2 * np.pi * hertz * times) * 12_000, np.int16)


def make_video(
    path: Path,
    scenes: Sequence[Scene],
    *,
    size: tuple[int, int] = (320, 180),
    fps: int = 10,
    codec: str | None = None,
    pixel_format: str | None = None,
    rotation: int = 0,
    sound: NDArray[np.int16] | None = None,
    sound_rate: int = 16_000,
    keyframe_every: int = 50,
    options: dict[str, str] | None = None,
) -> Path:
    """Writes a video.

    Args:
        path: where; its suffix says which container.
        scenes: what is shown, one after another.
        size: width and height as stored.
        fps: frames a second.
        codec: such as "libx264", "mpeg4", "libvpx-vp9"; None: what suits the container.
        pixel_format: None: yuv420p, or what GIF needs.
        rotation: 90, 180 or 270 (MP4 and MOV): players turn the stored picture clockwise by it.
        sound: int16 mono; None: no sound.
        sound_rate: of it, samples a second.
        keyframe_every: in frames.
        options: of the video's encoder.

    Returns:
        The path.
    """
    frames = render(scenes, size=size, fps=fps)
    suffix = path.suffix
    codec = codec or _CODECS.get(suffix, "libx264")
    # Quick to encode, at a quality that blends and captions survive.
    presets = {
        "libx264": {"preset": "ultrafast", "crf": "20"},
        "mpeg4": {"qmin": "2", "qmax": "5"},
        "libvpx": {"deadline": "realtime", "cpu-used": "8", "b": "2M"},
        "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8"},
    }
    with av.open(str(path), "w", format=_FORMATS.get(suffix)) as container:
        stream: Any = container.add_stream(
            codec, rate=fps, options={**presets.get(codec, {}), **(options or {})}
        )
        stream.width, stream.height = size
        stream.pix_fmt = pixel_format or ("rgb8" if codec == "gif" else "yuv420p")
        stream.codec_context.gop_size = keyframe_every
        voice: Any = None
        if sound is not None:
            voice = container.add_stream(_SOUND_CODECS.get(suffix, "aac"), rate=sound_rate)
            voice.layout = "mono"
        for number, pixels_HW3 in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels_HW3, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if voice is not None and sound is not None:
            _add_sound(container, voice, sound, sound_rate)
    if rotation:
        path.write_bytes(turned(path.read_bytes(), rotation))
    return path


def render(
    scenes: Sequence[Scene], *, size: tuple[int, int], fps: int
) -> Iterator[NDArray[np.uint8]]:
    """The frames of some scenes, one by one [H, W, 3]."""
    before: NDArray[np.uint8] | None = None
    for scene in scenes:
        count = round(scene.seconds * fps)
        fade = round(scene.fade_s * fps)
        slack = int(abs(scene.pan_pixels))
        wide_HW3 = _fitted(scene.picture, (size[0] + slack, size[1]))
        shown_HW3 = wide_HW3
        for number in range(count):
            x = round(slack * number / max(count - 1, 1))
            shown_HW3 = wide_HW3[:, x : x + size[0]]
            if scene.overlay is not None:
                alpha = scene.overlay[..., 3:] / 255
                mixed = shown_HW3 * (1 - alpha) + scene.overlay[..., :3] * alpha
                shown_HW3 = mixed.astype(np.uint8)
            if before is not None and number < fade:
                share = (number + 1) / (fade + 1)
                mixed = before * (1 - share) + shown_HW3 * share
                yield mixed.astype(np.uint8)
            else:
                yield np.ascontiguousarray(shown_HW3)
        before = shown_HW3


def turned(mp4: bytes, rotation: int) -> bytes:
    """The same MP4 or MOV with the first track's display matrix set to a clockwise rotation."""
    one = 1 << 16
    a, b, c, d = {90: (0, one, -one, 0), 180: (-one, 0, 0, -one), 270: (0, -one, one, 0)}[rotation]
    at = mp4.index(b"tkhd") + 4 + 40
    matrix = (a, b, 0, c, d, 0, 0, 0, 1 << 30)
    packed = b"".join(value.to_bytes(4, "big", signed=True) for value in matrix)
    return mp4[:at] + packed + mp4[at + 36 :]


def _fitted(picture: NDArray[np.uint8] | Color, size: tuple[int, int]) -> NDArray[np.uint8]:
    width, height = size
    if isinstance(picture, tuple):
        return np.full((height, width, 3), picture, np.uint8)
    scale = max(width / picture.shape[1], height / picture.shape[0])
    scaled_HW3 = cv2.resize(
        picture,
        (max(round(picture.shape[1] * scale), width), max(round(picture.shape[0] * scale), height)),
        interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR,
    )
    top, left = (scaled_HW3.shape[0] - height) // 2, (scaled_HW3.shape[1] - width) // 2
    return np.asarray(scaled_HW3[top : top + height, left : left + width], np.uint8)


def _add_sound(container: Any, voice: Any, sound: NDArray[np.int16], rate: int) -> None:
    step = 1024
    resampler = av.AudioResampler(
        format=voice.codec_context.format or "fltp", layout="mono", rate=voice.rate
    )
    for start in range(0, len(sound), step):
        frame = av.AudioFrame.from_ndarray(
            sound[None, start : start + step], format="s16", layout="mono"
        )
        frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
        for ready in resampler.resample(frame):
            container.mux(voice.encode(ready))
    for ready in resampler.resample(None):
        container.mux(voice.encode(ready))
    container.mux(voice.encode(None))
