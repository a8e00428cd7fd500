"""The pool of decoding processes: what one video does to its process is no other video's matter."""

import asyncio
import errno
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio
import simplejpeg
from PIL import Image, ImageDraw, ImageFont

pytest.importorskip("av")

from inkling_server.errors import DeadlineExceeded, ShuttingDown, VideoInvalid, VideoTooLarge
from inkling_server.model_manifest import PixelSpec
from inkling_server.video import Video, VideoDecoder, VideoLimits, video_is_available
from inkling_server.video import process as process_module
from inkling_server.video.process import DecodingProcess
from inkling_server.video.worker import _no_other_files
from tests.broken_videos import broken_videos, good_videos
from tests.video_factory import Scene, make_video, texture, tone

SPEC = PixelSpec(size=64)


@pytest_asyncio.fixture
async def decoder() -> AsyncIterator[VideoDecoder]:
    opened = VideoDecoder(VideoLimits())
    yield opened
    await opened.close()


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    return make_video(path, [Scene(texture(1), 2.0), Scene(texture(2), 2.0)], sound=tone(4.0))


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Takes some seconds to decode."""
    path = tmp_path_factory.mktemp("clip") / "long.mp4"
    return make_video(path, [Scene(texture(1), 60.0)], size=(1280, 720), fps=15)


async def _decode(decoder: VideoDecoder, path: Path, deadline: float | None = None) -> Video:
    return await decoder.decode(
        path, SPEC, max_frames=8, want_sound=True, want_full=True, deadline=deadline
    )


def _pids(decoder: VideoDecoder) -> list[int]:
    return [process.pid for process in (*decoder._idle, *decoder._busy)]


def _is_gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


async def _busy_pid(decoder: VideoDecoder) -> int:
    async with asyncio.timeout(60):
        while not (decoder._busy and next(iter(decoder._busy)).video_count):  # noqa: ASYNC110
            await asyncio.sleep(0)
    return next(iter(decoder._busy)).pid


async def test_a_video_comes_back_whole(decoder: VideoDecoder, clip: Path) -> None:
    assert video_is_available()
    video = await _decode(decoder, clip)
    assert [frame.start_s for frame in video.frames] == [0.0, pytest.approx(2.0, abs=0.2)]
    assert all(frame.pixels_SS3.shape == (64, 64, 3) for frame in video.frames)
    assert all(frame.full and frame.full.startswith(b"\xff\xd8") for frame in video.frames)
    assert video.sound is not None
    assert len(video.sound.samples_N) == pytest.approx(64_000, abs=2_000)
    assert video.facts.video_codec == "h264"
    assert video.facts.audio_codec == "aac"


async def test_captions_are_not_in_the_pixels_and_stay_in_the_picture(
    decoder: VideoDecoder, tmp_path: Path
) -> None:
    image = Image.new("RGBA", (640, 360), (0, 0, 0, 0))
    ImageDraw.Draw(image).text(
        (320, 180),
        "what a day it was",
        font=ImageFont.load_default(40),
        anchor="mm",
        stroke_width=3,
        stroke_fill=(0, 0, 0, 255),
    )
    photo = texture(1, (640, 360)) // 2 + 60
    videos = [
        await _decode(decoder, make_video(tmp_path / f"{n}.mp4", [scene], size=(640, 360)))
        for n, scene in enumerate(
            [Scene(photo, 1.0), Scene(photo, 1.0, overlay=np.asarray(image, np.uint8))]
        )
    ]
    plain, captioned = (video.frames[0] for video in videos)
    pixels = np.abs(plain.pixels_SS3.astype(np.int16) - captioned.pixels_SS3)
    assert plain.full is not None
    assert captioned.full is not None
    full_1, full_2 = (
        simplejpeg.decode_jpeg(one).astype(int) for one in (plain.full, captioned.full)
    )

    assert pixels.max() < 60
    assert pixels.mean() < 2
    assert np.abs(full_1 - full_2).max() > 150


async def test_a_process_serves_many_videos_and_none_stays(clip: Path) -> None:
    decoder = VideoDecoder(VideoLimits(), workers=2)
    await decoder.start()
    before = _pids(decoder)
    await asyncio.gather(*(_decode(decoder, clip) for _ in range(4)))
    assert sorted(_pids(decoder)) == sorted(before)
    await decoder.close()
    assert all(map(_is_gone, before))


async def test_broken_videos_get_typed_errors_and_the_pool_lives_on(
    decoder: VideoDecoder, tmp_path: Path
) -> None:
    files = broken_videos(tmp_path)
    assert len(files) >= 50
    path = tmp_path / "video"
    for broken in files:
        path.write_bytes(broken.data)
        with pytest.raises(broken.error) as caught:
            await _decode(decoder, path)
        assert broken.says in str(caught.value), broken.name
        assert len(str(caught.value)) < 300
        assert str(tmp_path) not in str(caught.value)
    for data in good_videos(tmp_path).values():
        path.write_bytes(data)
        assert len((await _decode(decoder, path)).frames) == 2


async def test_a_killed_process_costs_its_video_only(
    decoder: VideoDecoder, clip: Path, long_clip: Path
) -> None:
    task = asyncio.create_task(_decode(decoder, long_clip))
    waiting = asyncio.create_task(_decode(decoder, clip))
    pid = await _busy_pid(decoder)
    os.kill(pid, signal.SIGKILL)
    # It may have been killed before it had the order: then another process has taken it over.
    result = (await asyncio.gather(task, return_exceptions=True))[0]
    assert isinstance(result, VideoInvalid | Video)
    if isinstance(result, VideoInvalid):
        assert "crashed" in str(result)
    assert len((await waiting).frames) == 2
    assert _pids(decoder) != [pid]


async def test_a_process_that_dies_while_idle_costs_nothing(
    decoder: VideoDecoder, clip: Path
) -> None:
    await decoder.start()
    (pid,) = _pids(decoder)
    os.kill(pid, signal.SIGKILL)
    assert len((await _decode(decoder, clip)).frames) == 2


async def test_a_crash_is_the_videos_fault(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _replace_worker(monkeypatch, tmp_path, "import os; os.abort()")
    decoder = VideoDecoder(VideoLimits())
    with pytest.raises(VideoInvalid, match="crashed"):
        await _decode(decoder, clip)
    assert _pids(decoder) == []
    await decoder.close()


async def test_a_process_that_hangs_is_ended(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_module, "_GRACE_S", 0.1)
    _replace_worker(monkeypatch, tmp_path, "import signal; signal.pause()")
    decoder = VideoDecoder(VideoLimits(max_decode_s=0.2))
    with pytest.raises(VideoTooLarge, match="decoding seconds"):
        await _decode(decoder, clip)
    assert _pids(decoder) == []
    await decoder.close()


@pytest.mark.parametrize(
    "reply",
    [
        b"nonsense\n",
        b'{"type": "done", "facts": {}, "bytes": []}\n',
        b'{"type": "frame", "time_s": 0, "start_s": 0, "end_s": 1, "bytes": [3]}\nabc',
        b'{"type": "frame", "bytes": [99999999999]}\n',
        b'{"type": "frame", "bytes": "many"}\n',
        b'["frame"]\n',
        b'{"type": "frame", "time_s": NaN, "start_s": 0, "end_s": 1, "bytes": [12288]}\n'
        + bytes(12_288),
        b"x" * 200_000,
    ],
)
async def test_a_process_that_was_taken_over_is_not_believed(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reply: bytes
) -> None:
    says = f"import signal; out.write({reply!r}); out.flush(); signal.pause()"
    _replace_worker(monkeypatch, tmp_path, says)
    decoder = VideoDecoder(VideoLimits())
    with pytest.raises(VideoInvalid, match="crashed"):
        await _decode(decoder, clip)
    assert _pids(decoder) == []
    await decoder.close()


async def test_memory_is_limited(long_clip: Path, clip: Path) -> None:
    decoder = VideoDecoder(VideoLimits(max_memory_bytes=4 * 1024 * 1024))
    with pytest.raises((VideoTooLarge, VideoInvalid)):
        await _decode(decoder, long_clip)
    decoder.limits = VideoLimits()
    assert len((await _decode(decoder, clip)).frames) == 2
    await decoder.close()


async def test_time_is_limited(decoder: VideoDecoder, long_clip: Path) -> None:
    decoder.limits = VideoLimits(max_decode_s=0.05)
    with pytest.raises(VideoTooLarge, match="decoding seconds"):
        await _decode(decoder, long_clip)


async def test_a_deadline_ends_the_process_and_those_behind_go_on(
    decoder: VideoDecoder, clip: Path, long_clip: Path
) -> None:
    await decoder.start()
    (pid,) = _pids(decoder)
    deadline = asyncio.get_running_loop().time() + 0.2
    late = asyncio.create_task(_decode(decoder, long_clip, deadline))
    await _busy_pid(decoder)
    behind = asyncio.create_task(_decode(decoder, clip, deadline))
    patient = asyncio.create_task(_decode(decoder, clip))
    with pytest.raises(DeadlineExceeded):
        await late
    with pytest.raises(DeadlineExceeded):
        await behind
    assert len((await patient).frames) == 2
    assert _is_gone(pid)


async def test_cancelling_ends_the_process(decoder: VideoDecoder, long_clip: Path) -> None:
    task = asyncio.create_task(_decode(decoder, long_clip))
    pid = await _busy_pid(decoder)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert _is_gone(pid)
    assert _pids(decoder) == []


async def test_closing_ends_what_runs(long_clip: Path) -> None:
    decoder = VideoDecoder(VideoLimits())
    task = asyncio.create_task(_decode(decoder, long_clip))
    pid = await _busy_pid(decoder)
    await decoder.close()
    with pytest.raises(ShuttingDown):
        await task
    assert _is_gone(pid)


async def test_without_the_extra_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_module, "COMMAND", (sys.executable, "-c", "raise SystemExit(1)"))
    with pytest.raises(RuntimeError, match="extra `video`"):
        await VideoDecoder(VideoLimits()).start()


async def test_the_process_goes_with_the_gateway(clip: Path) -> None:
    process = await DecodingProcess.start()
    process._writer.transport.abort()  # what the end of the gateway does to the pipe
    await asyncio.to_thread(process._process.wait, 30)
    assert _is_gone(process.pid)


def test_while_a_video_is_read_nothing_else_can_be_opened() -> None:
    refused = []
    with _no_other_files():
        for attempt in (lambda: open("/etc/passwd"), socket.socket):  # noqa: PTH123, SIM115
            try:
                attempt()
            except OSError as error:
                refused.append(error.errno)
    assert refused == [errno.EMFILE, errno.EMFILE]


def _replace_worker(monkeypatch: pytest.MonkeyPatch, folder: Path, then: str) -> None:
    """A process that takes an order and then does something else."""
    script = folder / "worker.py"
    script.write_text(
        "import os, sys\n"
        "out = os.fdopen(1, 'wb')\n"
        'out.write(b\'{"type": "ready", "bytes": []}\\n\'); out.flush()\n'
        "sys.stdin.buffer.readline()\n"
        'out.write(b\'{"type": "started", "bytes": []}\\n\'); out.flush()\n'
        f"{then}\n",
        encoding="utf-8",
    )
    monkeypatch.setattr(process_module, "COMMAND", (sys.executable, str(script)))
