"""Opens a video file for reading, and refuses by its header what is not allowed.

One demuxer (that of the first bytes), a list of codecs, and no other file: whatever a video refers
to, nothing but its own bytes is read. Part of the decoding process. This module decodes nothing
but what FFmpeg needs to know the streams.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, NoReturn

import av
import av.logging

from inkling_server.errors import VideoInvalid, VideoTooLarge
from inkling_server.video.containers import PROBE_BYTES, container_of
from inkling_server.video.records import VideoLimits

# FFmpeg's messages quote what files hold.
av.logging.set_level(av.logging.PANIC)

# fmt: off
VIDEO_CODECS = frozenset((
    "h264", "hevc", "av1", "vp8", "vp9", "mpeg4", "mpeg1video", "mpeg2video", "h263", "mjpeg",
    "prores", "theora", "gif",
))
SOUND_CODECS = frozenset((
    "aac", "mp3", "mp2", "opus", "vorbis", "flac", "alac", "ac3", "eac3", "amr_nb", "amr_wb",
    "pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be", "pcm_s32le", "pcm_f32le", "pcm_u8",
    "pcm_mulaw", "pcm_alaw",
))
# Decoders that go by other names than their codecs.
_DECODERS = VIDEO_CODECS | SOUND_CODECS | {
    "libdav1d", "libvpx", "libvpx-vp9", "libopus", "mp3float", "mp2float", "ac3_fixed", "amrnb",
    "amrwb", "libopencore_amrnb", "libopencore_amrwb",
}
# fmt: on
_OPTIONS = {
    "codec_whitelist": ",".join(sorted(_DECODERS)),
    "protocol_whitelist": "none",
    "probesize": "4000000",
    "analyzeduration": "4000000",
}
_MOST_STREAMS = 32


@dataclass(frozen=True, slots=True)
class Source:
    """An open file and the streams that count.

    Attributes:
        container: PyAV's.
        video: the stream that is shown: the default one, or the first.
        sound: that which is heard, of a known codec; None: none.
        said_s: the duration by the header; None where it does not say.
        pixel_aspect: width of a stored pixel by its height.
    """

    container: Any
    video: Any
    sound: Any
    said_s: float | None
    pixel_aspect: float


@contextmanager
def open_source(file: BinaryIO, limits: VideoLimits) -> Iterator[Source]:
    """Opens a file from its beginning.

    Raises:
        VideoInvalid: no container or stream in a known format.
        VideoTooLarge: its header says more than `limits` allow.
    """
    file.seek(0)
    start = file.read(PROBE_BYTES)
    kind = container_of(start)
    if kind == "gif":  # before FFmpeg allocates its picture
        _check_pixels(
            int.from_bytes(start[6:8], "little"), int.from_bytes(start[8:10], "little"), limits
        )
    file.seek(0)
    options = {**_OPTIONS, "format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,gif"}
    try:
        container = av.open(
            file,
            "r",
            format=kind,
            container_options=options,
            # For the decoders with which FFmpeg looks at the streams.
            options={"max_pixels": str(limits.max_pixels)},
            # Titles and names, which nobody reads here.
            metadata_errors="ignore",
            io_open=_no_other_file,
        )
    except av.error.FFmpegError as error:
        if isinstance(error, MemoryError):
            raise
        raise VideoInvalid(
            "a video that cannot be opened: its header is truncated, damaged or of a rare kind"
        ) from None
    with container:
        yield _source(container, limits)


def codec_name(stream: Any) -> str:
    """The codec's usual name: "av1", where the decoder is "libdav1d"."""
    context = stream.codec_context
    return "" if context is None else str(context.codec.canonical_name)


def _source(container: Any, limits: VideoLimits) -> Source:
    streams = list(container.streams)
    if len(streams) > _MOST_STREAMS:
        raise VideoTooLarge("streams", len(streams), _MOST_STREAMS)
    # Music carries its cover as a video of one frame.
    shown = [
        stream
        for stream in container.streams.video
        if not stream.disposition & av.stream.Disposition.attached_pic
    ]
    if not shown:
        raise VideoInvalid("no video stream in it")
    video = next((s for s in shown if s.disposition & av.stream.Disposition.default), shown[0])
    if codec_name(video) not in VIDEO_CODECS:
        raise VideoInvalid(
            f"a codec that is not read here; allowed: {', '.join(sorted(VIDEO_CODECS))}"
        )
    context = video.codec_context
    _check_pixels(context.width, context.height, limits)
    said = [container.duration / av.time_base] if container.duration else []
    if video.duration and video.time_base:
        said.append(float(video.duration * video.time_base))
    said_s = max(said, default=None)
    if said_s is not None and said_s > limits.max_duration_s:
        raise VideoTooLarge("video seconds", round(said_s, 1), limits.max_duration_s)
    heard = [stream for stream in container.streams.audio if codec_name(stream) in SOUND_CODECS]
    sound = next(
        (s for s in heard if s.disposition & av.stream.Disposition.default),
        heard[0] if heard else None,
    )
    aspect = float(context.sample_aspect_ratio or 1)
    # Of the video alone where there is sound: that may well be longer.
    if video.duration and video.time_base:
        said_s = float(video.duration * video.time_base)
    return Source(container, video, sound, said_s, aspect if 0.2 < aspect < 5 else 1.0)


def _check_pixels(width: int, height: int, limits: VideoLimits) -> None:
    if width < 1 or height < 1:
        raise VideoInvalid("damaged: the picture has no size")
    if width * height > limits.max_pixels:
        raise VideoTooLarge("video pixels", width * height, limits.max_pixels)


def _no_other_file(*_: Any) -> NoReturn:
    raise PermissionError("a video may not refer to other files")
