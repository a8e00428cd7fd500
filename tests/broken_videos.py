"""Files that must be refused, each with the error that it must raise. Needs PyAV."""

import struct
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from inkling_server.errors import VideoInvalid, VideoTooLarge
from tests.video_factory import Scene, make_video, texture, tone


@dataclass(frozen=True, slots=True)
class BrokenVideo:
    """A file that must be refused, the error for it, and a word that the error's text holds."""

    name: str
    data: bytes
    error: type[Exception]
    says: str = ""


def good_videos(folder: Path) -> dict[str, bytes]:
    """Small whole videos, by container; the MP4 called "streamed" has its index in front."""
    scenes = [Scene(texture(1), 2.0), Scene(texture(2), 2.0)]
    sound = tone(4.0)
    made = {
        "mp4": make_video(folder / "a.mp4", scenes, sound=sound),
        "mkv": make_video(folder / "a.mkv", scenes, sound=sound),
        "webm": make_video(folder / "a.webm", scenes, sound=sound),
        "gif": make_video(folder / "a.gif", scenes, size=(80, 60)),
    }
    videos = {name: path.read_bytes() for name, path in made.items()}
    videos["streamed"] = index_first(videos["mp4"])
    return videos


def broken_videos(folder: Path) -> list[BrokenVideo]:
    """Files that are no videos, are damaged, or claim more than is allowed."""
    good = good_videos(folder)
    broken = [*_not_videos(), *_hostile_headers(good), *_other_files(folder)]
    for name, data in good.items():
        for share in (0.02, 0.1, 0.3, 0.5, 0.8):
            # What MKV, WebM and GIF hold without an end is known only from their headers.
            cut = data[: int(len(data) * share)]
            if name == "mp4" or (name in ("streamed", "mkv", "webm") and share < 0.6):
                broken.append(BrokenVideo(f"{name} cut at {share:.0%}", cut, VideoInvalid))
    rng = np.random.default_rng(7)
    for name, data in good.items():
        noise = rng.integers(0, 256, len(data), dtype=np.uint8).tobytes()
        broken += [
            BrokenVideo(f"{name}, noise after 40 bytes", data[:40] + noise, VideoInvalid),
            BrokenVideo(f"{name}, noise after 200 bytes", data[:200] + noise, VideoInvalid),
            BrokenVideo(f"{name}, zeros after 40 bytes", data[:40] + bytes(9_000), VideoInvalid),
        ]
    return broken


def index_first(mp4: bytes) -> bytes:
    """The same MP4 with its index (moov) before its data, as for streaming."""
    boxes = dict(_boxes(mp4))
    moov, shift = bytearray(boxes[b"moov"]), len(boxes[b"moov"])
    at = 0
    while (at := moov.find(b"stco", at)) >= 0:
        (count,) = struct.unpack_from(">I", moov, at + 8)
        for n in range(count):
            (offset,) = struct.unpack_from(">I", moov, at + 12 + 4 * n)
            struct.pack_into(">I", moov, at + 12 + 4 * n, offset + shift)
        at += 4
    rest = b"".join(data for kind, data in boxes.items() if kind not in (b"ftyp", b"moov"))
    return boxes[b"ftyp"] + bytes(moov) + rest


def _boxes(mp4: bytes) -> list[tuple[bytes, bytes]]:
    boxes, at = [], 0
    while at + 8 <= len(mp4):
        (size,) = struct.unpack_from(">I", mp4, at)
        boxes.append((mp4[at + 4 : at + 8], mp4[at : at + size]))
        at += size
    return boxes


def _not_videos() -> list[BrokenVideo]:
    rng = np.random.default_rng(3)
    text = b"This is a letter, not a video. " * 40
    playlist = (
        b"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:4\n#EXTINF:4.0,\n"
        b"file:///etc/passwd\n#EXT-X-ENDLIST\n"
    )
    hidden = b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2" + playlist
    return [
        BrokenVideo("one byte", b"\x00", VideoInvalid, "short"),
        BrokenVideo("zero bytes", bytes(4096), VideoInvalid, "zero bytes"),
        BrokenVideo("random bytes", rng.bytes(50_000), VideoInvalid, "known kind"),
        BrokenVideo("text", text, VideoInvalid, "known kind"),
        BrokenVideo("HLS playlist", playlist, VideoInvalid, "playlist"),
        BrokenVideo("HLS playlist behind an MP4's start", hidden, VideoInvalid),
        BrokenVideo(
            "concat script", b"ffconcat version 1.0\nfile '/etc/passwd'\n", VideoInvalid, "list"
        ),
        BrokenVideo("DASH manifest", b"<?xml version='1.0'?><MPD></MPD>" * 9, VideoInvalid, "XML"),
        BrokenVideo("JPEG", b"\xff\xd8\xff\xe0" + bytes(99), VideoInvalid, "JPEG"),
        BrokenVideo("AVI", b"RIFF\x00\x00\x00\x00AVI LIST" + bytes(99), VideoInvalid, "AVI"),
        BrokenVideo("SDP", b"v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 1 RTP/AVP 96\n", VideoInvalid),
        BrokenVideo("only a file type", b"\x00\x00\x00\x20ftypisom" + bytes(20), VideoInvalid),
        BrokenVideo("only a Matroska start", b"\x1a\x45\xdf\xa3" + bytes(60), VideoInvalid),
        BrokenVideo("only a GIF's start", b"GIF89a\x40\x00\x40\x00" + bytes(30), VideoInvalid),
    ]


def _hostile_headers(good: dict[str, bytes]) -> list[BrokenVideo]:
    mp4, gif, mkv = good["mp4"], bytearray(good["gif"]), good["mkv"]
    boxes = dict(_boxes(mp4))
    gif[6:10] = b"\xff\xff\xff\xff"
    waiting, at = bytearray(good["gif"]), 0
    while (at := waiting.find(b"\x21\xf9\x04", at)) >= 0:
        waiting[at + 4 : at + 6] = b"\xff\xff"  # 655 s
        at += 8
    far = bytearray(mp4)  # frames an hour apart: 40 of them, as 1 frame an hour would be
    at = far.index(b"stts")
    struct.pack_into(">I", far, at + 16, 3_600 * 10_240)
    sizes = bytearray(mp4)
    at = sizes.index(b"stsz") + 4
    struct.pack_into(">II", sizes, at + 4, 0, 0x7FFF_FFFF)
    no_decoder = mp4.replace(b"avc1", b"zzzz")
    return [
        BrokenVideo("no index", boxes[b"ftyp"] + boxes[b"mdat"], VideoInvalid),
        BrokenVideo("no data", boxes[b"ftyp"] + boxes[b"moov"], VideoInvalid),
        BrokenVideo("GIF of 4 billion pixels", bytes(gif), VideoTooLarge, "pixels"),
        BrokenVideo("10 hours by its frames", bytes(far), VideoTooLarge, "seconds"),
        BrokenVideo("10 hours by its header", _said_hours(mkv), VideoTooLarge, "seconds"),
        BrokenVideo("GIF that waits for hours", bytes(waiting), VideoTooLarge, "seconds"),
        BrokenVideo("no known codec", no_decoder, VideoInvalid),
        BrokenVideo("endless sample table", bytes(sizes), VideoInvalid),
        BrokenVideo("MKV without its tracks", mkv[:60] + mkv[2_000:], VideoInvalid),
        BrokenVideo("its frames overwritten", _scrambled(mp4), VideoInvalid),
    ]


def _said_hours(mkv: bytes) -> bytes:
    """Says a duration of ten hours, in an element of the same length."""
    at = mkv.index(b"\x44\x89\x88")  # Duration, a double, in ms
    return mkv[: at + 3] + struct.pack(">d", 36_000_000.0) + mkv[at + 11 :]


def _scrambled(mp4: bytes) -> bytes:
    at = mp4.index(b"mdat") + 4
    size = struct.unpack_from(">I", mp4, at - 8)[0] - 8
    noise = np.random.default_rng(1).bytes(size)
    return mp4[:at] + noise + mp4[at + size :]


def _other_files(folder: Path) -> list[BrokenVideo]:
    still = Scene((20, 90, 160), 0.1)
    hours = folder / "hours.mkv"
    _write_hours(hours)
    big = make_video(folder / "big.mp4", [still], size=(8192, 2048))
    only_sound = folder / "sound.mp4"
    _write_sound(only_sound)
    return [
        BrokenVideo("16 million pixels", big.read_bytes(), VideoTooLarge, "pixels"),
        BrokenVideo("1 frame a second for 10 hours", hours.read_bytes(), VideoTooLarge, "seconds"),
        BrokenVideo("only sound", only_sound.read_bytes(), VideoInvalid, "no video stream"),
    ]


def _write_hours(path: Path) -> None:
    """Ten hours at a frame a second, all of them the same small picture."""
    with av.open(str(path), "w", format="matroska") as container:
        stream: Any = container.add_stream("mjpeg", rate=1)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuvj420p"
        frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
        frame.pts, frame.time_base = 0, Fraction(1, 1)
        packets: list[av.Packet[Any]] = stream.encode(frame) + stream.encode(None)
        data = bytes(packets[0])
        for second in range(36_000):
            copy = av.Packet(data)
            copy.stream, copy.time_base = stream, Fraction(1, 1)
            copy.pts = copy.dts = second
            copy.is_keyframe = True
            container.mux(copy)


def _write_sound(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("aac", rate=16_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(tone(1.0)[None], format="s16", layout="mono")
        frame.sample_rate = 16_000
        resampler = av.AudioResampler("fltp", "mono", 16_000, frame_size=1024)
        for ready in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(ready))
        container.mux(stream.encode(None))
