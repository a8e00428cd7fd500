"""The server's construction: reflection, ports, TLS, unknown methods."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from inkling.v1 import info_pb2, info_pb2_grpc, tagging_pb2_grpc
from inkling_server import __version__
from inkling_server.errors import EncoderDown
from inkling_server.fake_encoder import FakeEncoder
from inkling_server.gateway import Gateway
from inkling_server.rpc.server import PortTaken
from inkling_server.video import video_is_available
from tests.server.gateway_kit import gateway_settings, gateway_with
from tests.server.rpc.conftest import StartGateway
from tests.server.rpc.rpc_kit import refusal, request
from tests.serving import until


async def test_reflection_lists_every_service(channel: grpc.aio.Channel) -> None:
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)  # type: ignore[arg-type]  # the stubs know only synchronous channels
    call = stub.ServerReflectionInfo()
    await call.write(reflection_pb2.ServerReflectionRequest(list_services=""))
    reply = await call.read()
    await call.done_writing()
    assert {service.name for service in reply.list_services_response.service} == {
        "inkling.v1.TaggingService",
        "inkling.v1.InfoService",
        "inkling.v1.GraphService",
        "inkling.v1.ModelService",
        "inkling.v1.ContentService",
        "inkling.v1.ProfileService",
        "google.longrunning.Operations",
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
    }
    assert await call.read() is grpc.aio.EOF


async def test_info_tells_versions_limits_defaults_and_encoders(
    channel: grpc.aio.Channel,
) -> None:
    info = await info_pb2_grpc.InfoServiceStub(channel).GetInfo(info_pb2.GetInfoRequest())
    assert info.server_version == __version__
    assert info.model_version == "fake:1:" + "0" * 16
    assert info.graph_version.startswith("2026-11-01-")
    assert info.interest_count == 9
    assert info.embedding_dimension == 256
    assert info.limits.max_image_bytes == 20 * 1024 * 1024
    assert info.limits.max_image_pixels == 64_000_000
    assert info.limits.max_image_side == 16_384
    assert info.limits.max_top_n == 100
    assert info.limits.max_stream_in_flight == 96
    assert info.limits.max_queue_count == 128
    if video_is_available():
        assert info.limits.max_video_bytes == 200 * 1024 * 1024
        assert info.limits.max_video_duration.seconds == 600
        assert info.limits.max_video_pixels == 9_000_000
        assert info.limits.max_video_frames == 64
    else:
        assert info.limits.max_video_bytes == 0
    assert info.defaults.top_n == 3
    assert info.defaults.min_score == pytest.approx(0.1)
    assert (info.defaults.precision, info.defaults.coverage) == (0.5, 0.75)
    assert [encoder.name for encoder in info.encoders] == ["vision_encoder", "text_encoder"]
    assert info.tag_index == "faiss cpu, exact inner product"
    assert info.calibrated_time.ToJsonString() == "2026-11-01T12:00:00Z"
    assert info.uses_context


async def test_info_answers_while_the_encoder_is_down(
    gateway: Gateway, channel: grpc.aio.Channel, encoder: FakeEncoder
) -> None:
    encoder.failure = EncoderDown("gone")
    await until(lambda: not gateway.health.serving)
    info = await info_pb2_grpc.InfoServiceStub(channel).GetInfo(info_pb2.GetInfoRequest())
    assert info.model_version


async def test_unknown_method_is_unimplemented(channel: grpc.aio.Channel) -> None:
    guess: Any = channel.unary_unary("/inkling.v1.TaggingService/Guess")
    refused = await refusal(guess(b""))
    assert refused.code == "UNIMPLEMENTED"


async def test_second_server_on_a_port_fails_clearly(
    gateway: Gateway, tmp_path: Path, encoder: FakeEncoder
) -> None:
    settings = gateway_settings(tmp_path, grpc_port=gateway.grpc_port, data_dir=tmp_path / "other")
    with pytest.raises(PortTaken, match=str(gateway.grpc_port)):
        async with gateway_with(encoder, settings):
            pass


async def test_host_that_is_not_ours_fails_clearly(tmp_path: Path, encoder: FakeEncoder) -> None:
    # 192.0.2.0/24 is set aside for documentation: no machine has such an address.
    with pytest.raises(PortTaken, match=r"192\.0\.2\.1"):
        async with gateway_with(encoder, gateway_settings(tmp_path, host="192.0.2.1")):
            pass


async def test_caller_that_sends_nothing_ends_with_its_deadline(
    channel: grpc.aio.Channel,
) -> None:
    async def say_nothing() -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    tag: Any = channel.stream_unary("/inkling.v1.TaggingService/Tag")
    assert (await refusal(tag(say_nothing(), timeout=0.2))).code == "DEADLINE_EXCEEDED"


async def test_tls_serves_those_who_trust_the_certificate(
    start_gateway: StartGateway, tmp_path: Path
) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    chain.write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    key.write_bytes(certificate.private_key_pem.bytes())
    trust = grpc.ssl_channel_credentials(authority.cert_pem.bytes())
    async with start_gateway(tls_cert=chain, tls_key=key) as gateway:
        target = f"localhost:{gateway.grpc_port}"
        async with grpc.aio.secure_channel(target, trust) as channel:
            assert (await tagging_pb2_grpc.TaggingServiceStub(channel).Tag(request())).tags
        async with grpc.aio.insecure_channel(target) as channel:
            stub = tagging_pb2_grpc.TaggingServiceStub(channel)
            assert (await refusal(stub.Tag(request(), timeout=5))).code == "UNAVAILABLE"
