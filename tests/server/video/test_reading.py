"""Videos that were made here, read back: what is known of them is found in them."""

import io
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("av")

import av

from inkling_server.errors import VideoInvalid, VideoTooLarge
from inkling_server.images import cut
from inkling_server.model_manifest import PixelSpec
from inkling_server.video import Video, VideoLimits, surveying
from inkling_server.video.reading import Wanted, read_video
from tests.video_factory import Scene, make_video, render, texture, tone

SPEC = PixelSpec(size=64)


def _read(
    path: Path,
    *,
    max_frames: int = 64,
    want_sound: bool = False,
    want_full: bool = False,
    limits: VideoLimits | None = None,
) -> Video:
    wanted = Wanted(SPEC, max_frames, want_sound, want_full)
    video = read_video(io.BytesIO(path.read_bytes()), wanted, limits or VideoLimits())
    assert 1 <= len(video.frames) <= max_frames
    assert video.frames[0].start_s == 0
    assert video.frames[-1].end_s == pytest.approx(video.facts.duration_s)
    assert all(one.end_s == other.start_s for one, other in pairwise(video.frames))
    assert all(frame.pixels_SS3.shape == (64, 64, 3) for frame in video.frames)
    return video


def _starts(video: Video) -> list[float]:
    return [frame.start_s for frame in video.frames]


def _is_like(pixels_SS3: np.ndarray, picture_HW3: np.ndarray, within: float = 8.0) -> bool:
    wanted_SS3 = cut(picture_HW3, SPEC)
    return float(np.abs(pixels_SS3.astype(np.int16) - wanted_SS3).mean()) < within


def _decoded(jpeg: bytes) -> np.ndarray:
    return np.asarray(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR))


SCENES = [Scene(texture(1), 2.0), Scene(texture(2), 1.0), Scene(texture(3), 3.0)]


@pytest.mark.parametrize(
    ("name", "codec", "pixel_format"),
    [
        ("a.mp4", "libx264", None),
        ("a.mov", "libx264", "yuv444p"),
        ("a.mp4", "mpeg4", None),
        ("a.mkv", "libx264", "yuv420p10le"),
        ("a.mkv", "mjpeg", "yuvj422p"),
        ("a.webm", "libvpx", None),
        ("a.webm", "libvpx-vp9", None),
        ("a.gif", "gif", None),
    ],
)
def test_cuts_are_found_in_every_container_and_codec(
    tmp_path: Path, name: str, codec: str, pixel_format: str | None
) -> None:
    path = make_video(
        tmp_path / name, SCENES, codec=codec, pixel_format=pixel_format, size=(160, 90)
    )
    video = _read(path)
    assert _starts(video) == [0.0, pytest.approx(2.0, abs=0.2), pytest.approx(3.0, abs=0.2)]
    assert video.facts.duration_s == pytest.approx(6.0, abs=0.15)
    assert (video.facts.width, video.facts.height) == (160, 90)
    within = 20.0 if codec == "gif" else 8.0  # 256 colours
    for frame, seed in zip(video.frames, (1, 2, 3), strict=True):
        assert _is_like(frame.pixels_SS3, texture(seed, (160, 90)), within)


def test_a_fade_leaves_two_frames_that_are_whole(tmp_path: Path) -> None:
    scenes = [Scene(texture(1), 2.0), Scene(texture(2), 3.0, fade_s=1.0)]
    video = _read(make_video(tmp_path / "a.mp4", scenes, fps=25))
    assert _starts(video) == [0.0, pytest.approx(2.5, abs=0.25)]
    assert _is_like(video.frames[0].pixels_SS3, texture(1))
    assert _is_like(video.frames[1].pixels_SS3, texture(2))


def test_a_static_video_gives_one_frame(tmp_path: Path) -> None:
    assert len(_read(make_video(tmp_path / "a.mp4", [Scene(texture(1), 20.0)])).frames) == 1


def test_the_budget_is_kept(tmp_path: Path) -> None:
    scenes = [Scene(texture(n), 0.5) for n in range(20)]
    path = make_video(tmp_path / "a.mp4", scenes, size=(160, 90))
    assert len(_read(path).frames) == 20
    assert len(_read(path, max_frames=6).frames) == 6


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_a_turned_video_is_set_upright(tmp_path: Path, rotation: int) -> None:
    shown_HW3 = texture(5, (160, 240))  # taller than wide
    stored_HW3 = np.rot90(shown_HW3, rotation // 90)
    height, width = stored_HW3.shape[:2]
    path = make_video(
        tmp_path / "a.mp4",
        [Scene(np.ascontiguousarray(stored_HW3), 1.0)],
        size=(width, height),
        rotation=rotation,
    )
    video = _read(path, want_full=True)
    assert _is_like(video.frames[0].pixels_SS3, shown_HW3)
    expected = shown_HW3.shape[:2]
    assert (video.facts.height, video.facts.width) == expected
    full = video.frames[0].full
    assert full is not None
    assert _decoded(full).shape[:2] == expected


def test_frames_for_readers_of_text_keep_their_shape_and_are_not_huge(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", [Scene(texture(1), 0.2)], size=(1920, 1080))
    full = _read(path, want_full=True).frames[0].full
    assert full is not None
    assert _decoded(full).shape == (720, 1280, 3)
    assert _read(path).frames[0].full is None


def test_a_transparent_gif_lies_on_white(tmp_path: Path) -> None:
    from PIL import Image

    clear = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    clear.paste((255, 0, 0, 255), (0, 0, 64, 32))
    path = tmp_path / "a.gif"
    clear.save(path, save_all=True, append_images=[clear.copy()], duration=200, disposal=2)
    pixels_SS3 = _read(path).frames[0].pixels_SS3
    assert pixels_SS3[-8].mean() > 250
    assert tuple(pixels_SS3[8, 32]) == pytest.approx((255, 0, 0), abs=6)


@pytest.mark.parametrize("name", ["a.mp4", "a.webm"])
def test_sound_is_as_long_as_the_video_and_sounds_the_same(tmp_path: Path, name: str) -> None:
    sound = np.concatenate([tone(1.0), np.zeros(16_000, np.int16), tone(1.0, hertz=900.0)])
    path = make_video(tmp_path / name, [Scene(texture(1), 3.0)], sound=sound)
    heard = _read(path, want_sound=True).sound
    assert heard is not None
    assert heard.rate_hz == 16_000
    assert len(heard.samples_N) == pytest.approx(48_000, abs=1_600)
    for start_s, hertz in ((0.2, 440), (2.2, 900)):
        piece_N = heard.samples_N[int(start_s * 16_000) :][:8_000]
        assert np.abs(np.fft.rfft(piece_N)).argmax() * 2 == pytest.approx(hertz, abs=4)
    assert np.abs(heard.samples_N[20_000:28_000]).max() < 200
    assert _read(path).sound is None


def test_sound_of_another_rate_is_resampled(tmp_path: Path) -> None:
    path = make_video(
        tmp_path / "a.mkv",
        [Scene(texture(1), 2.0)],
        sound=tone(2.0, rate=48_000),
        sound_rate=48_000,
    )
    heard = _read(path, want_sound=True).sound
    assert heard is not None
    assert np.abs(np.fft.rfft(heard.samples_N[4_000:20_000])).argmax() == pytest.approx(440, abs=2)


def test_a_video_without_sound_has_none(tmp_path: Path) -> None:
    video = _read(make_video(tmp_path / "a.mp4", SCENES), want_sound=True)
    assert video.sound is None
    assert video.facts.audio_codec == ""


def test_where_decoding_all_is_too_dear_cuts_are_found_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenes = [Scene(texture(n), 5.0) for n in range(4)]
    path = make_video(tmp_path / "a.mp4", scenes, size=(160, 90), fps=30, keyframe_every=60)
    all_of_it = _read(path)
    monkeypatch.setattr(surveying, "AFFORDABLE_PIXELS", 300 * 160 * 90)
    monkeypatch.setattr(surveying, "_PIXELS_PER_BYTE", 0)  # bytes weigh much in small frames
    part = _read(path)
    assert part.facts.decoded_frame_count < 0.6 * all_of_it.facts.decoded_frame_count
    assert _starts(part) == pytest.approx(_starts(all_of_it), abs=0.2)


def test_time_is_limited(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", SCENES)
    with pytest.raises(VideoTooLarge, match="decoding seconds"):
        _read(path, limits=VideoLimits(max_decode_s=0.001))


def test_duration_and_pixels_are_limited(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", SCENES)
    with pytest.raises(VideoTooLarge, match="video seconds: 6 is over the limit of 5"):
        _read(path, limits=VideoLimits(max_duration_s=5))
    with pytest.raises(VideoTooLarge, match="video pixels"):
        _read(path, limits=VideoLimits(max_pixels=320 * 179))


def test_a_stream_that_does_not_say_how_long_it_is_has_a_duration(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mkv", SCENES)
    data = bytearray(path.read_bytes())
    at = data.index(b"\x44\x89\x88")
    data[at : at + 11] = b"\xec\x89" + bytes(9)  # nothing, of the same length
    path.write_bytes(bytes(data))
    assert _read(path).facts.duration_s == pytest.approx(6.0, abs=0.15)


def test_damage_in_the_middle_is_survived_and_much_of_it_is_not(tmp_path: Path) -> None:
    path = make_video(
        tmp_path / "a.mkv",
        [Scene(texture(1), 8.0)],
        codec="mjpeg",
        pixel_format="yuvj420p",
        size=(160, 90),
    )
    whole = path.read_bytes()
    _read(path)
    broken = bytearray(whole)
    rng = np.random.default_rng(1)
    for at in range(len(broken) // 4, len(broken), 400):
        broken[at : at + 200] = rng.bytes(200)
    path.write_bytes(bytes(broken[: len(whole)]))
    with pytest.raises((VideoInvalid, VideoTooLarge)):
        _read(path)


def _write_frames(path: Path, times_s: list[float], seeds: list[int], aspect: int = 1) -> None:
    """Frames at any times, each of its own picture."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 160, 90, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        stream.codec_context.sample_aspect_ratio = Fraction(aspect, 1)
        for time_s, seed in zip(times_s, seeds, strict=True):
            frame = av.VideoFrame.from_ndarray(texture(seed, (160, 90)), format="rgb24")
            frame.pts, frame.time_base = round(time_s * 1000), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_frames_may_come_at_any_time(tmp_path: Path, name: str) -> None:
    times_s = [0.0, 0.04, 0.5, 2.0, 2.9, 3.0, 3.04, 3.08, 5.5, 6.0]
    _write_frames(tmp_path / name, times_s, [1, 1, 1, 1, 1, 2, 2, 2, 2, 2])
    assert _starts(_read(tmp_path / name)) == [0.0, pytest.approx(3.0, abs=0.01)]


def test_pixels_that_are_not_square_become_so(tmp_path: Path) -> None:
    _write_frames(tmp_path / "a.mkv", [0.0, 0.1], [1, 1], aspect=2)
    facts = _read(tmp_path / "a.mkv").facts
    assert (facts.width, facts.height) == (160, 45)


def test_the_factory_shows_what_it_is_told_to() -> None:
    frames = list(render([Scene((10, 20, 30), 1.0), Scene((200, 0, 0), 0.5)], size=(8, 6), fps=10))
    assert len(frames) == 15
    assert tuple(frames[9][0, 0]) == (10, 20, 30)
    assert tuple(frames[10][5, 7]) == (200, 0, 0)
