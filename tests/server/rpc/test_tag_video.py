"""TagVideo over a real connection: parts, refusals, cancellation, draining."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest

from inkling.v1 import common_pb2, tagging_pb2, tagging_pb2_grpc
from inkling_server.errors import VideosNotServed
from inkling_server.fake_encoder import FakeEncoder
from inkling_server.images import ImageLimits
from inkling_server.rpc import video_upload
from inkling_server.rpc.boundary import Boundary
from inkling_server.rpc.draining import Drain
from inkling_server.rpc.item_stream import StreamPolicy
from inkling_server.rpc.tagging_servicer import TaggingServicer
from inkling_server.serving_state import StateHolder
from inkling_server.tag_index import SearchThread
from inkling_server.tagging import Tagger, TaggerLimits
from inkling_server.video import VideoLimits
from inkling_server.video_tagging import VideoTagger, VideoTaggerLimits
from tests.server.rpc.rpc_kit import decode_error, refusal
from tests.server.video_kit import FakeDecoder, FakeSpool, video_file
from tests.serving import make_manifest, make_state, until

MAX_BYTES = 4 * 2**20
RED_BLUE = video_file(("red", 3.0), ("blue", 2.0))


def options(**fields: Any) -> tagging_pb2.TagVideoRequest:
    return tagging_pb2.TagVideoRequest(options=tagging_pb2.TagVideoOptions(**fields))


def chunk(data: bytes) -> tagging_pb2.TagVideoRequest:
    return tagging_pb2.TagVideoRequest(chunk=data)


@dataclass
class Server:
    """TagVideo on a loopback port.

    Attributes:
        finished: RPCs that ended, with code and reason.
    """

    target: str
    folder: Path
    videos: VideoTagger
    decoder: FakeDecoder
    drain: Drain
    boundary: Boundary
    stub: "tagging_pb2_grpc.TaggingServiceAsyncStub"
    finished: list[tuple[str, str, str]] = field(default_factory=list)

    def send(self, *parts: tagging_pb2.TagVideoRequest) -> Any:
        return self.stub.TagVideo(iter(parts))

    @property
    def files(self) -> list[Path]:
        return list(self.folder.glob("*"))

    async def left_nothing(self) -> None:
        """Waits until nothing is held; a cancelled call ends a moment after its caller."""
        await until(lambda: self.videos.used == 0 and not self.files)


class _Finished:
    """An RpcObserver."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, str]] = []

    def rpc_started(self, rpc: str) -> None:
        pass

    def rpc_finished(self, rpc: str, code: str, reason: str, duration_s: float) -> None:
        self.calls.append((rpc, code, reason))


@asynccontextmanager
async def _serving(tmp_path: Path, *, has_videos: bool = True) -> AsyncIterator[Server]:
    thread = SearchThread()
    states = StateHolder(await make_state(thread, encoder=FakeEncoder(make_manifest())))
    tagger = Tagger(states, limits=TaggerLimits(), image_limits=ImageLimits())
    decoder, limits = FakeDecoder(), VideoLimits(max_bytes=MAX_BYTES)
    videos = VideoTagger(
        tagger,
        states,
        decoder,
        open_spool=lambda: FakeSpool(tmp_path / "spool", limits),
        limits=VideoTaggerLimits(capacity=2),
        video_limits=limits,
    )

    def current() -> VideoTagger:
        if not has_videos:
            raise VideosNotServed
        return videos

    drain, observer = Drain(), _Finished()
    boundary = Boundary(observer, max_unary_calls=16)
    server = grpc.aio.server(interceptors=[boundary])
    policy = StreamPolicy(4, drain, lambda _: None)
    tagging_pb2_grpc.add_TaggingServiceServicer_to_server(
        TaggingServicer(lambda: tagger, policy, current), server
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub: Any = tagging_pb2_grpc.TaggingServiceStub(channel)
            yield Server(
                f"127.0.0.1:{port}",
                tmp_path / "spool",
                videos,
                decoder,
                drain,
                boundary,
                stub,
                observer.calls,
            )
    finally:
        await server.stop(0)
        await tagger.close()
        await states.close()
        thread.close()


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with _serving(tmp_path) as server:
        yield server


def _span(interval: tagging_pb2.Interval) -> tuple[float, float]:
    return interval.start.ToNanoseconds() / 1e9, interval.end.ToNanoseconds() / 1e9


async def test_chunks_make_a_timeline(server: Server) -> None:
    response = await server.send(
        options(include_frames=True),
        *(chunk(RED_BLUE[i : i + 5]) for i in range(0, len(RED_BLUE), 5)),
    )
    by_phrase = {one.tag.phrase: one for one in response.tags}
    assert [_span(one) for one in by_phrase["red"].intervals] == [(0, 3)]
    assert [_span(one) for one in by_phrase["blue"].intervals] == [(3, 5)]
    assert by_phrase["blue"].best_time.ToNanoseconds() == 4_000_000_000
    assert by_phrase["blue"].share == pytest.approx(0.4)
    assert [one.tags[0].phrase for one in response.frames] == ["red", "blue"]
    facts = response.facts
    assert (facts.duration.seconds, facts.width, facts.height) == (5, 640, 360)
    assert (facts.video_codec, facts.audio_codec) == ("fake", "tone")
    assert (facts.frame_count, facts.decoded_frame_count) == (2, 20)
    assert (response.graph_version, response.model_version[:7]) == ("g1", "fake:1:")
    assert not response.contact_sheet
    assert server.finished == [("TagVideo", "OK", "")]
    await server.left_nothing()


async def test_contact_sheet_comes_where_it_is_asked_for(server: Server) -> None:
    response = await server.send(options(contact_sheet="png"), chunk(RED_BLUE))
    assert response.contact_sheet.startswith(b"\x89PNG")
    assert not response.frames


@pytest.mark.parametrize(
    ("parts", "reason", "field"),
    [
        ([], "ARGUMENT_OUT_OF_RANGE", "part"),
        ([chunk(RED_BLUE)], "ARGUMENT_OUT_OF_RANGE", "part"),
        ([tagging_pb2.TagVideoRequest()], "ARGUMENT_OUT_OF_RANGE", "part"),
        ([options(), options()], "ARGUMENT_OUT_OF_RANGE", "part"),
        ([options(), chunk(b"a"), tagging_pb2.TagVideoRequest()], "ARGUMENT_OUT_OF_RANGE", "part"),
        ([options(), chunk(bytes(2**20 + 1))], "ARGUMENT_OUT_OF_RANGE", "chunk"),
        ([options(top_n=0)], "ARGUMENT_OUT_OF_RANGE", "top_n"),
        ([options(min_score=-1)], "ARGUMENT_OUT_OF_RANGE", "min_score"),
        ([options(max_frame_count=65)], "ARGUMENT_OUT_OF_RANGE", "max_frame_count"),
        ([options(contact_sheet="gif")], "ARGUMENT_OUT_OF_RANGE", "contact_sheet"),
        (
            [options(context=common_pb2.ContentContext(caption="x" * 4_001))],
            "ARGUMENT_OUT_OF_RANGE",
            "context.caption",
        ),
        ([options(graph_version="g0")], "GRAPH_VERSION_NOT_SERVED", None),
        ([options()], "VIDEO_INVALID", None),
        ([options(), chunk(b"no video")], "VIDEO_INVALID", None),
    ],
)
async def test_refusals_name_what_is_wrong(
    server: Server, parts: Iterable[Any], reason: str, field: str | None
) -> None:
    refused = await refusal(server.send(*parts))
    assert refused.reason == reason
    assert refused.metadata.get("field") == field
    await server.left_nothing()


async def test_bytes_that_are_no_message_are_refused(server: Server) -> None:
    call = server.stub.TagVideo
    call._request_serializer = lambda data: data  # type: ignore[attr-defined]
    refused = await refusal(call(iter([b"\xff\xff"])))  # type: ignore[arg-type]
    assert refused.reason == "ARGUMENT_OUT_OF_RANGE"


async def test_wrong_options_are_refused_before_the_file_comes(server: Server) -> None:
    call = server.stub.TagVideo()
    await call.write(options(top_n=0))
    # Not a byte of the file was sent, and the stream is still open.
    assert (await refusal(call)).reason == "ARGUMENT_OUT_OF_RANGE"


async def test_file_that_is_too_large_is_refused_at_once(server: Server) -> None:
    sent = 0

    def endless() -> Iterator[tagging_pb2.TagVideoRequest]:
        nonlocal sent
        yield options()
        while True:
            sent += 2**20
            yield chunk(bytes(2**20))

    # grpc.aio forgets a call's status where a message was on its way when the server ended it.
    def send() -> grpc.RpcError:
        with grpc.insecure_channel(server.target) as channel:
            stub = tagging_pb2_grpc.TaggingServiceStub(channel)
            with pytest.raises(grpc.RpcError) as caught:
                stub.TagVideo(endless(), timeout=30)
        return caught.value

    refused = decode_error(await asyncio.to_thread(send))  # type: ignore[arg-type]
    assert refused.reason == "VIDEO_TOO_LARGE"
    assert refused.metadata["allowed"] == str(MAX_BYTES)
    # What was under way besides: gRPC's own windows.
    assert sent <= MAX_BYTES + 16 * 2**20
    await server.left_nothing()


async def test_caller_who_leaves_in_mid_upload_leaves_nothing_behind(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video_upload, "_CANCELLATION_S", 10.0)
    call = server.stub.TagVideo()
    await call.write(options())
    await call.write(chunk(RED_BLUE[:10]))
    await until(lambda: server.files)
    call.cancel()
    await server.left_nothing()
    await until(lambda: server.finished == [("TagVideo", "CANCELLED", "")])


async def test_caller_who_leaves_while_it_is_decoded_leaves_nothing_behind(server: Server) -> None:
    server.decoder.gate.clear()
    call = server.send(options(), chunk(RED_BLUE))
    waiting = asyncio.ensure_future(_outcome(call))
    await until(lambda: server.decoder.running)
    call.cancel()
    await waiting
    await server.left_nothing()
    assert server.decoder.running == 0


async def _outcome(call: Any) -> None:
    with pytest.raises(asyncio.CancelledError):
        await call


async def test_deadline_of_the_call_ends_the_work(server: Server) -> None:
    server.decoder.gate.clear()
    refused = await refusal(server.stub.TagVideo(iter([options(), chunk(RED_BLUE)]), timeout=0.1))
    assert refused.code == "DEADLINE_EXCEEDED"
    await server.left_nothing()


async def test_upload_that_stands_still_is_ended(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video_upload, "_MESSAGE_TIMEOUT_S", 0.02)
    call = server.stub.TagVideo()
    await call.write(options())
    assert (await refusal(call)).reason == "DEADLINE_EXCEEDED"
    await server.left_nothing()


async def test_full_server_answers_overloaded_with_a_hint(server: Server) -> None:
    calls = [server.stub.TagVideo() for _ in range(2)]
    for call in calls:
        await call.write(options())
    await until(lambda: server.videos.used == 2)
    refused = await refusal(server.send(options(), chunk(RED_BLUE)))
    assert (refused.reason, refused.code) == ("OVERLOADED", "RESOURCE_EXHAUSTED")
    assert refused.retry_s is not None
    for call in calls:
        await call.write(chunk(RED_BLUE))
        await call.done_writing()
        assert (await call).tags


async def test_drain_ends_uploads_and_lets_whole_videos_finish(server: Server) -> None:
    server.decoder.gate.clear()
    whole = asyncio.ensure_future(_response(server.send(options(), chunk(RED_BLUE))))
    await until(lambda: server.decoder.running)
    uploading = server.stub.TagVideo()
    await uploading.write(options())
    await until(lambda: server.videos.used == 2)
    server.drain.begin()
    assert (await refusal(uploading)).reason == "SHUTTING_DOWN"
    server.decoder.gate.set()
    assert (await whole).tags
    await server.boundary.idle()


async def _response(call: Any) -> tagging_pb2.TagVideoResponse:
    response: tagging_pb2.TagVideoResponse = await call
    return response


async def test_server_without_a_decoder_says_so(tmp_path: Path) -> None:
    async with _serving(tmp_path, has_videos=False) as server:
        refused = await refusal(server.send(options(), chunk(RED_BLUE)))
        assert (refused.reason, refused.code) == ("VIDEOS_NOT_SERVED", "UNIMPLEMENTED")
