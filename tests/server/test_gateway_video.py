"""A gateway with the real decoder: a video of colours through everything but a real model."""

from pathlib import Path

import grpc
import pytest

from inkling.v1 import tagging_pb2, tagging_pb2_grpc
from inkling_server.fake_encoder import FakeEncoder
from inkling_server.gateway import Gateway
from tests.server.gateway_kit import gateway_settings, gateway_with
from tests.server.rpc.rpc_kit import metric, refusal

pytest.importorskip("av")

from tests.video_factory import Scene, make_video

RED, BLUE = (255, 0, 0), (0, 0, 255)


async def _send(gateway: Gateway, data: bytes) -> tagging_pb2.TagVideoResponse:
    options = tagging_pb2.TagVideoOptions(top_n=2, include_frames=True)
    parts = [tagging_pb2.TagVideoRequest(options=options)]
    parts += [
        tagging_pb2.TagVideoRequest(chunk=data[i : i + 10_000]) for i in range(0, len(data), 10_000)
    ]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{gateway.grpc_port}") as channel:
        response: tagging_pb2.TagVideoResponse = await tagging_pb2_grpc.TaggingServiceStub(
            channel
        ).TagVideo(iter(parts), timeout=60)
        return response


async def test_real_decoder_finds_colours_when_they_show(tmp_path: Path) -> None:
    clip = make_video(tmp_path / "clip.mp4", [Scene(RED, 2.0), Scene(BLUE, 3.0)])
    async with gateway_with(FakeEncoder(), gateway_settings(tmp_path)) as gateway:
        assert await gateway.wait_until_serving()
        response = await _send(gateway, clip.read_bytes())
        by_phrase = {one.tag.phrase: one for one in response.tags}
        assert set(by_phrase) == {"red", "blue"}
        (red,) = by_phrase["red"].intervals
        (blue,) = by_phrase["blue"].intervals
        assert red.start.ToNanoseconds() == 0
        assert red.end.ToNanoseconds() / 1e9 == pytest.approx(2.0, abs=0.3)
        assert blue.start == red.end
        assert blue.end.ToNanoseconds() / 1e9 == pytest.approx(5.0, abs=0.2)
        assert response.frames[0].tags[0].phrase == "red"
        assert await metric(gateway, "inkling_videos_under_way") == 0
        assert list((tmp_path / "data" / "video").iterdir()) == []


async def test_limits_are_the_settings(tmp_path: Path) -> None:
    clip = make_video(tmp_path / "clip.mp4", [Scene(RED, 2.0)]).read_bytes()
    settings = gateway_settings(tmp_path, max_video_duration_s=1.0, max_video_frames=3)
    async with gateway_with(FakeEncoder(), settings) as gateway:
        assert await gateway.wait_until_serving()
        refused = await refusal(_send(gateway, clip))
        assert refused.reason == "VIDEO_TOO_LARGE"
        refused = await refusal(_send(gateway, b"\x89PNG no video" * 10))
        assert refused.reason == "VIDEO_INVALID"
