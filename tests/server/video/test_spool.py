"""A video that comes in pieces lies on disk, privately, for as long as its request."""

import asyncio
import stat
from pathlib import Path

import pytest

from inkling_server.errors import VideoInvalid, VideoTooLarge
from inkling_server.video import VideoLimits, VideoSpool
from inkling_server.video.containers import container_of

MP4 = b"\x00\x00\x00\x20ftypisom" + bytes(100_000)
LIMITS = VideoLimits(max_bytes=200_000)


def _names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def test_pieces_become_one_private_file_that_goes_with_the_block(tmp_path: Path) -> None:
    folder = tmp_path / "video"
    async with VideoSpool(folder, LIMITS) as spool:
        for at in range(0, len(MP4), 7_000):
            await spool.write(MP4[at : at + 7_000])
        path = await spool.finish()
        assert path.read_bytes() == MP4
        assert spool.size == len(MP4)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert _names(folder) == []


async def test_more_than_a_piece_of_memory_is_written_in_order(tmp_path: Path) -> None:
    data = MP4 + bytes(range(256)) * 20_000
    async with VideoSpool(tmp_path, VideoLimits()) as spool:
        for at in range(0, len(data), 300_000):
            await spool.write(data[at : at + 300_000])
        assert (await spool.finish()).read_bytes() == data


async def test_the_piece_that_is_too_much_is_refused(tmp_path: Path) -> None:
    async with VideoSpool(tmp_path, LIMITS) as spool:
        await spool.write(MP4)
        with pytest.raises(VideoTooLarge, match="video bytes: 200,002 is over the limit of 200,0"):
            await spool.write(bytes(200_002 - len(MP4)))
    assert _names(tmp_path) == []


async def test_what_is_no_video_is_refused_by_its_first_bytes(tmp_path: Path) -> None:
    async with VideoSpool(tmp_path, LIMITS) as spool:
        await spool.write(b"#EXTM3U\n")  # too little to tell
        with pytest.raises(VideoInvalid, match="playlist"):
            await spool.write(b"#EXT-X-VERSION:3\n#EXTINF:4.0,\nfile:///etc/passwd\n")


@pytest.mark.parametrize(("data", "says"), [(b"", "empty"), (b"\x00\x00\x00 ftyp", "short")])
async def test_nothing_or_next_to_nothing_is_refused_at_the_end(
    tmp_path: Path, data: bytes, says: str
) -> None:
    async with VideoSpool(tmp_path, LIMITS) as spool:
        if data:
            await spool.write(data)
        with pytest.raises(VideoInvalid, match=says):
            await spool.finish()


async def test_nothing_stays_when_the_request_is_cancelled(tmp_path: Path) -> None:
    begun = asyncio.Event()

    async def receive() -> None:
        async with VideoSpool(tmp_path, LIMITS) as spool:
            await spool.write(MP4)
            begun.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(receive())
    await begun.wait()
    assert len(_names(tmp_path)) == 1
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert _names(tmp_path) == []


def test_what_a_killed_server_left_is_cleaned(tmp_path: Path) -> None:
    (tmp_path / "old.video").write_bytes(MP4)
    (tmp_path / "other").write_bytes(b"")
    VideoSpool.clean(tmp_path)
    VideoSpool.clean(tmp_path / "missing")
    assert _names(tmp_path) == ["other"]


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"\x00\x00\x00\x20ftypmp42", "mov"),
        (b"\x00\x00\x00\x08wide", "mov"),
        (b"\x1a\x45\xdf\xa3", "matroska"),
        (b"GIF87a", "gif"),
        (b"GIF89a", "gif"),
    ],
)
def test_containers_are_told_by_their_first_bytes(start: bytes, kind: str) -> None:
    assert container_of(start + b"\x01" * 32) == kind


@pytest.mark.parametrize("brand", [b"avif", b"heic"])
def test_pictures_in_the_same_boxes_are_no_videos(brand: bytes) -> None:
    with pytest.raises(VideoInvalid, match="picture"):
        container_of(b"\x00\x00\x00\x20ftyp" + brand + bytes(32))
