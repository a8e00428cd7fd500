"""Both clients and videos: uploads, sizes, retries, refusals half-way, files that break."""

import asyncio
import io
import os
import threading
from pathlib import Path

import grpc
import pytest

from inkling_client import (
    ArgumentOutOfRange,
    AsyncInklingClient,
    Context,
    DeadlineExceeded,
    FileUnreadable,
    Interval,
    RetryPolicy,
    Unavailable,
    VideoInvalid,
    VideoTooLarge,
)
from inkling_client.video_upload import CHUNK_BYTES
from tests.client.fake_server import DOWN, FakeInkling, RunningServer, overloaded, status
from tests.client.one_face import ClientFace


async def test_result_is_plain_values(client: ClientFace) -> None:
    result = await client.tag_video(b"cat")
    shown, named = result.tags
    assert (shown.tag.phrase, shown.tag.score) == ("cat", 0.75)
    assert shown.intervals == (Interval(1.5, 4.0), Interval(8.0, 9.0))
    assert shown.best_time_s == 2.0
    assert shown.share == pytest.approx(0.35)
    assert (named.intervals, named.best_time_s, named.share) == ((), None, 0.0)
    facts = result.facts
    assert (facts.duration_s, facts.width, facts.height) == (10.0, 1920, 1080)
    assert (facts.video_codec, facts.audio_codec, facts.frame_count) == ("h264", "", 4)
    assert (result.graph_version, result.model_version) == ("g1", "fake:1:00")
    assert (result.frames, result.transcript, result.contact_sheet) == ((), "", b"")


async def test_every_option_travels(client: ClientFace, fake: FakeInkling) -> None:
    result = await client.tag_video(
        b"cat",
        top_n=7,
        min_score=0.5,
        graph_version="g1",
        explain=True,
        context=Context(caption="purr"),
        max_frame_count=9,
        transcribe=True,
        include_frames=True,
        contact_sheet="png",
    )
    ((options, _),) = fake.videos
    assert (options.top_n, options.min_score, options.graph_version) == (7, 0.5, "g1")
    assert (options.explain, options.max_frame_count, options.context.caption) == (True, 9, "purr")
    assert result.frames[0].tags[0].phrase == "cat"
    assert (result.frames[0].time_s, result.frames[0].text) == (2.0, "hi")
    assert (result.transcript, result.contact_sheet) == ("well said", b"png sheet")
    assert "purr" not in repr(result)
    assert "well said" not in repr(result)


async def test_silence_is_the_servers_default(client: ClientFace, fake: FakeInkling) -> None:
    await client.tag_video(b"cat")
    ((options, _),) = fake.videos
    assert not any(options.HasField(name) for name in ("top_n", "min_score", "max_frame_count"))
    assert not options.HasField("context")


async def test_path_bytes_and_file_send_the_same(
    client: ClientFace, fake: FakeInkling, tmp_path: Path
) -> None:
    data = os.urandom(3 * CHUNK_BYTES + 17)
    path = tmp_path / "clip.mp4"
    path.write_bytes(data)
    file = io.BytesIO(b"skipped" + data)
    file.seek(len(b"skipped"))
    for video in (data, path, file):
        await client.tag_video(video)
    assert [sent == data for _, sent in fake.videos] == [True] * 3
    assert set(fake.video_chunks) == {CHUNK_BYTES, 17}
    assert not file.closed


async def test_failed_attempts_send_the_whole_file_again(
    client: ClientFace, fake: FakeInkling, tmp_path: Path
) -> None:
    data = b"cat" * CHUNK_BYTES
    path = tmp_path / "clip.mp4"
    path.write_bytes(data)
    fake.script[data] = [DOWN, overloaded(0.01)]
    assert (await client.tag_video(path)).tags
    assert [sent == data for _, sent in fake.videos] == [True] * 3


async def test_pipe_is_read_once_and_not_sent_again(client: ClientFace, fake: FakeInkling) -> None:
    fake.script[b"cat"] = [DOWN]
    reading, writing = os.pipe()
    os.write(writing, b"cat")
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe, pytest.raises(Unavailable):
        await client.tag_video(pipe)
    assert len(fake.videos) == 1


async def test_file_over_the_limit_is_not_sent(client: ClientFace, fake: FakeInkling) -> None:
    fake.limits.max_video_bytes = 1_000
    with pytest.raises(VideoTooLarge) as caught:
        await client.tag_video(bytes(1_001))
    assert caught.value.metadata["allowed"] == "1000"
    assert not fake.video_chunks
    assert (await client.tag_video(bytes(1_000))).tags


async def test_refusal_half_way_is_typed_and_stops_the_upload(
    client: ClientFace, fake: FakeInkling
) -> None:
    fake.refuse_after = 2 * CHUNK_BYTES
    with pytest.raises(VideoTooLarge):
        await client.tag_video(bytes(256 * CHUNK_BYTES))
    assert len(fake.video_chunks) == 3


async def test_server_s_errors_are_typed(client: ClientFace, fake: FakeInkling) -> None:
    fake.script[b"cat"] = [status(grpc.StatusCode.INVALID_ARGUMENT, "VIDEO_INVALID", "no video")]
    with pytest.raises(VideoInvalid, match="no video"):
        await client.tag_video(b"cat")


async def test_file_that_is_not_there_is_the_client_s_error(
    client: ClientFace, fake: FakeInkling, tmp_path: Path
) -> None:
    for path in (tmp_path / "none.mp4", tmp_path, Path("a\0b")):
        with pytest.raises(FileUnreadable):
            await client.tag_video(path)
    assert not fake.videos


class _Breaking(io.BytesIO):
    """Fails at the third read."""

    reads = 0

    def read(self, size: int | None = -1) -> bytes:
        self.reads += 1
        if self.reads == 3:
            raise OSError(5, "Input/output error")
        return super().read(size)


async def test_file_that_breaks_half_way_is_no_half_video(
    client: ClientFace, fake: FakeInkling, caplog: pytest.LogCaptureFixture
) -> None:
    fake.cancellation_s = 10.0
    with pytest.raises(FileUnreadable, match="Input/output error"):
        await client.tag_video(_Breaking(bytes(8 * CHUNK_BYTES)))
    assert not fake.videos
    assert not caplog.records


async def test_deadline_covers_the_upload(client: ClientFace, fake: FakeInkling) -> None:
    fake.hung.add(b"cat")
    with pytest.raises(DeadlineExceeded):
        await client.tag_video(b"cat", timeout_s=0.2)


async def test_text_that_cannot_be_sent_is_refused_here(client: ClientFace) -> None:
    with pytest.raises(ArgumentOutOfRange) as caught:
        await client.tag_video(b"cat", context=Context(caption="secret\ud800"))
    assert "secret" not in str(caught.value)


async def test_cancelled_task_ends_the_call(server: RunningServer, fake: FakeInkling) -> None:
    fake.hung.add(b"cat")
    async with AsyncInklingClient(server.target) as client:
        tagging = asyncio.create_task(client.tag_video(b"cat"))
        await asyncio.to_thread(fake.wait_for, "videos", 1)
        tagging.cancel()
        with pytest.raises(asyncio.CancelledError):
            await tagging
        # The hung call's thread is free again: its client has gone.
        assert (await client.tag_video(b"dog")).tags


async def test_async_client_reads_files_beside_its_event_loop(
    server: RunningServer, tmp_path: Path
) -> None:
    loop_thread = threading.get_ident()
    seen: set[int] = set()

    class Watching(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            seen.add(threading.get_ident())
            return super().read(size)

    async with AsyncInklingClient(server.target) as client:
        await client.tag_video(Watching(bytes(4 * CHUNK_BYTES)))
    assert seen
    assert loop_thread not in seen


async def test_no_server_is_unavailable(server: RunningServer) -> None:
    server.stop()
    once = RetryPolicy(max_attempts=1)
    async with AsyncInklingClient(server.target, retry=once) as client:
        with pytest.raises(Unavailable):
            await client.tag_video(b"cat", timeout_s=2.0)
