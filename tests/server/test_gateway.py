"""The whole gateway, from its first open port to its end, with a fake encoder."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from inkling.v1 import info_pb2, info_pb2_grpc, tagging_pb2, tagging_pb2_grpc
from inkling_server.canary import Health
from inkling_server.data_dir import DataDir, DataDirInUse
from inkling_server.encoders import Encoder, EncoderBackend
from inkling_server.engine import BackendEvents
from inkling_server.errors import EncoderDown
from inkling_server.fake_encoder import FakeEncoder
from inkling_server.gateway import Gateway
from inkling_server.interests.snapshot import save_snapshot
from inkling_server.model_manifest import CalibrationUnusable
from inkling_server.rpc.health import INFO, TAGGING
from inkling_server.settings import Settings
from tests.server.gateway_kit import (
    FakeBackend,
    colour_graph,
    gateway_settings,
    gateway_with,
)
from tests.server.rpc.rpc_kit import metric, refusal, request
from tests.serving import until


@pytest.fixture
async def encoder() -> FakeEncoder:
    return FakeEncoder()


@asynccontextmanager
async def connected(gateway: Gateway) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{gateway.grpc_port}") as channel:
        yield channel


async def serving(gateway: Gateway) -> Gateway:
    async with asyncio.timeout(10):
        assert await gateway.wait_until_serving()
    return gateway


async def check(channel: grpc.aio.Channel, service: str) -> str:
    stub: Any = health_pb2_grpc.HealthStub(channel)
    reply = await stub.Check(health_pb2.HealthCheckRequest(service=service))
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(reply.status))


class SlowBackend(FakeBackend):
    """Opens only when told."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__(encoder)
        self.may_open = asyncio.Event()

    @asynccontextmanager
    async def open(
        self, settings: Settings, data_dir: DataDir, events: BackendEvents
    ) -> AsyncIterator[EncoderBackend]:
        await self.may_open.wait()
        async with super().open(settings, data_dir, events) as backend:
            yield backend


async def test_answers_not_serving_while_it_loads(tmp_path: Path, encoder: FakeEncoder) -> None:
    backend = SlowBackend(encoder)
    async with (
        gateway_with(encoder, gateway_settings(tmp_path), backend.open) as gateway,
        connected(gateway) as channel,
    ):
        assert await check(channel, TAGGING) == "NOT_SERVING"
        assert await check(channel, INFO) == "NOT_SERVING"
        tagging = tagging_pb2_grpc.TaggingServiceStub(channel)
        refused = await refusal(tagging.Tag(request()))
        assert (refused.code, refused.reason) == ("UNAVAILABLE", "ENCODER_DOWN")
        assert "starting" in refused.message
        info = info_pb2_grpc.InfoServiceStub(channel)
        assert (await refusal(info.GetInfo(info_pb2.GetInfoRequest()))).code == "UNAVAILABLE"
        assert gateway.health == Health(serving=False, problem="starting")
        backend.may_open.set()
        await serving(gateway)
        assert await check(channel, TAGGING) == "SERVING"
        assert await check(channel, INFO) == "SERVING"
        assert (await tagging.Tag(request())).tags


async def test_can_be_stopped_while_it_loads(tmp_path: Path, encoder: FakeEncoder) -> None:
    backend = SlowBackend(encoder)
    async with asyncio.timeout(5):
        async with gateway_with(encoder, gateway_settings(tmp_path), backend.open) as gateway:
            gateway.stop()
            assert not await gateway.wait_until_serving()


async def test_encoder_that_does_not_come_up_ends_the_start(
    tmp_path: Path, encoder: FakeEncoder
) -> None:
    encoder.failure = EncoderDown("no GPU here")
    with pytest.raises(EncoderDown, match="no GPU here"):
        async with gateway_with(encoder, gateway_settings(tmp_path)) as gateway:
            assert not await gateway.wait_until_serving()


async def test_calibration_of_another_model_ends_the_start(
    tmp_path: Path, encoder: FakeEncoder
) -> None:
    version = encoder.manifest.version
    settings = gateway_settings(tmp_path, model_version=version)
    path = settings.model_repository / "vision_encoder" / str(version) / "calibration.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**document, "model_fingerprint": "feed"}), encoding="utf-8")
    with pytest.raises(CalibrationUnusable, match=f"feed; allowed: {encoder.manifest.fingerprint}"):
        async with gateway_with(encoder, settings) as gateway:
            assert not await gateway.wait_until_serving()


async def test_fault_in_loading_is_not_swallowed(tmp_path: Path, encoder: FakeEncoder) -> None:
    encoder.failure = RuntimeError("a bug")
    with pytest.raises(RuntimeError, match="a bug"):
        async with gateway_with(encoder, gateway_settings(tmp_path)) as gateway:
            await gateway.wait_until_stopping()
    assert encoder.closed or not encoder.in_flight


async def test_end_frees_encoder_backend_ports_and_tasks(
    tmp_path: Path, encoder: FakeEncoder
) -> None:
    backend = FakeBackend(encoder)
    before = len(asyncio.all_tasks())
    settings = gateway_settings(tmp_path)
    async with gateway_with(encoder, settings, backend.open) as gateway:
        await serving(gateway)
        ports = {"grpc_port": gateway.grpc_port, "http_port": gateway.http_port}
        note = json.loads((settings.data_dir / "server.json").read_text())
        assert {key: note[key] for key in ports} == ports
    assert encoder.closed
    assert backend.ended
    assert not (settings.data_dir / "server.json").exists()
    await until(lambda: len(asyncio.all_tasks()) <= before + 1)
    # The same ports and folder serve again at once.
    again = gateway_settings(tmp_path, **ports)
    async with gateway_with(FakeEncoder(), again) as gateway:
        await serving(gateway)
        assert (gateway.grpc_port, gateway.http_port) == tuple(ports.values())


async def test_second_start_embeds_nothing_anew(tmp_path: Path) -> None:
    encoders = [FakeEncoder(), FakeEncoder()]
    for encoder in encoders:
        async with gateway_with(encoder, gateway_settings(tmp_path)) as gateway:
            await serving(gateway)
    assert [len(encoder.text_batches) for encoder in encoders] == [1, 0]


async def test_two_gateways_need_two_folders(tmp_path: Path, encoder: FakeEncoder) -> None:
    settings = gateway_settings(tmp_path)
    async with gateway_with(encoder, settings):
        with pytest.raises(DataDirInUse):
            async with gateway_with(FakeEncoder(), settings):
                pass
        async with gateway_with(
            FakeEncoder(), gateway_settings(tmp_path, data_dir=tmp_path / "other")
        ) as other:
            await serving(other)


async def test_damaged_graph_falls_back_to_the_shipped_one(
    tmp_path: Path, encoder: FakeEncoder, caplog: pytest.LogCaptureFixture
) -> None:
    settings = gateway_settings(tmp_path)
    folder = save_snapshot(colour_graph(), settings.data_dir / "graph")
    (folder / "interests.parquet").write_bytes(b"damaged")
    async with gateway_with(encoder, settings) as gateway, connected(gateway) as channel:
        await serving(gateway)
        info = await info_pb2_grpc.InfoServiceStub(channel).GetInfo(info_pb2.GetInfoRequest())
        assert info.interest_count >= 2_000
    assert any("shipped" in record.message for record in caplog.records)


async def test_encoder_going_down_and_up_is_seen_everywhere(
    tmp_path: Path, encoder: FakeEncoder
) -> None:
    async with (
        gateway_with(encoder, gateway_settings(tmp_path)) as gateway,
        connected(gateway) as channel,
        aiohttp.ClientSession() as session,
    ):
        await serving(gateway)
        url = f"http://127.0.0.1:{gateway.http_port}"
        for failure, status, gauge in (
            (EncoderDown("gone"), 503, 0),
            (None, 200, 1),
        ):
            encoder.failure = failure
            await until(lambda: gateway.health.serving is (status == 200))  # noqa: B023
            async with session.get(url + "/readyz") as response:
                assert response.status == status
            async with session.get(url + "/healthz") as response:
                assert response.status == 200
            assert await metric(gateway, "inkling_serving") == gauge
            assert await check(channel, TAGGING) == ("SERVING" if gauge else "NOT_SERVING")


async def test_backend_that_knows_it_is_down_is_believed_at_once(
    tmp_path: Path, encoder: FakeEncoder
) -> None:
    backend = FakeBackend(encoder)
    settings = gateway_settings(tmp_path, canary_period_s=60)
    async with gateway_with(encoder, settings, backend.open) as gateway:
        await serving(gateway)
        assert backend.events is not None
        encoder.failure = EncoderDown("repairing")
        backend.events.down("being repaired")
        assert gateway.health == Health(serving=False, problem="being repaired")
        await until(lambda: "ENCODER_DOWN" in gateway.health.problem)
        encoder.failure = None
        backend.events.recovered()
        await serving(gateway)
        assert await metric(gateway, "inkling_encoder_restarts_total") == 1


async def test_busy_server_stays_healthy(tmp_path: Path, encoder: FakeEncoder) -> None:
    settings = gateway_settings(tmp_path, canary_timeout_s=0.3, max_batch_count=1)
    async with gateway_with(encoder, settings) as gateway, connected(gateway) as channel:
        await serving(gateway)
        encoder.delay_s = 0.03
        tagging = tagging_pb2_grpc.TaggingServiceStub(channel)
        answers = await asyncio.gather(*(_tag(tagging) for _ in range(60)))
        assert all(answer.tags for answer in answers)
        assert gateway.health.serving
        assert await metric(gateway, 'inkling_canaries_total{outcome="busy"}') >= 1
        assert await metric(gateway, 'inkling_canaries_total{outcome="failed"}') == 0


async def test_drain_finishes_calls_under_way_and_takes_no_new_ones(
    tmp_path: Path, encoder: FakeEncoder
) -> None:
    async with gateway_with(encoder, gateway_settings(tmp_path)) as gateway:
        await serving(gateway)
        async with connected(gateway) as channel, connected(gateway) as other:
            tagging = tagging_pb2_grpc.TaggingServiceStub(channel)
            assert await check(other, TAGGING) == "SERVING"
            encoder.gate.clear()
            calls = [asyncio.ensure_future(_tag(tagging)) for _ in range(5)]

            async def under_way() -> bool:
                return await metric(gateway, "inkling_pictures_under_way") == 5

            await until(under_way)
            gateway.stop()
            await gateway.wait_until_stopping()
            assert gateway.health == Health(serving=False, problem="shutting down")

            async def refuses() -> bool:
                late = tagging_pb2_grpc.TaggingServiceStub(other)
                return (await refusal(late.Tag(request(), timeout=1))).code == "UNAVAILABLE"

            await until(refuses)
            assert not any(call.done() for call in calls)
            encoder.gate.set()
            assert all(answer.tags for answer in await asyncio.gather(*calls))


async def test_leaving_the_block_drains_too(tmp_path: Path, encoder: FakeEncoder) -> None:
    block = gateway_with(encoder, gateway_settings(tmp_path))
    gateway = await serving(await block.__aenter__())
    async with connected(gateway) as channel:
        call = await _stuck_call(gateway, channel, encoder)
        # As the program does: it waits for the signal's effect, then leaves.
        gateway.interrupt()
        await gateway.wait_until_stopping()
        leaving = asyncio.ensure_future(block.__aexit__(None, None, None))
        await until(lambda: not gateway.health.serving)
        for _ in range(10):
            await asyncio.sleep(0)
        encoder.gate.set()
        assert (await call).tags
        await leaving


async def test_drain_ends_after_its_time(tmp_path: Path, encoder: FakeEncoder) -> None:
    async with asyncio.timeout(8):
        async with gateway_with(encoder, gateway_settings(tmp_path, drain_s=0.1)) as gateway:
            await serving(gateway)
            channel = grpc.aio.insecure_channel(f"127.0.0.1:{gateway.grpc_port}")
            call = await _stuck_call(gateway, channel, encoder)
            gateway.stop()
            assert (await refusal(call)).code in {"UNAVAILABLE", "CANCELLED"}
            await channel.close()


async def test_second_signal_does_not_wait(tmp_path: Path, encoder: FakeEncoder) -> None:
    async with asyncio.timeout(8):
        async with gateway_with(encoder, gateway_settings(tmp_path, drain_s=60)) as gateway:
            await serving(gateway)
            channel = grpc.aio.insecure_channel(f"127.0.0.1:{gateway.grpc_port}")
            call = await _stuck_call(gateway, channel, encoder)
            gateway.interrupt()
            await gateway.wait_until_stopping()
            assert not call.done()
            gateway.interrupt()
            assert (await refusal(call)).code in {"UNAVAILABLE", "CANCELLED"}
            await channel.close()


async def test_log_names_phases_versions_and_ports_but_nothing_of_requests(
    tmp_path: Path, encoder: FakeEncoder, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with gateway_with(encoder, gateway_settings(tmp_path)) as gateway:
        await serving(gateway)
        async with connected(gateway) as channel:
            tagging = tagging_pb2_grpc.TaggingServiceStub(channel)
            private = request(context={"caption": "my diary"}, graph_version="secret")
            await refusal(tagging.Tag(private))
    said = {record.message: vars(record) for record in caplog.records}
    assert said["listening"]["grpc_port"] == gateway.grpc_port
    assert {"graph_s", "encoder_s", "tags_s", "model_version"} <= set(said["loaded"])
    assert said["serving"]["since_start_s"] > 0
    assert "stopped" in said
    assert "diary" not in str(said)
    assert "secret" not in str(said)


async def _stuck_call(gateway: Gateway, channel: grpc.aio.Channel, encoder: FakeEncoder) -> Any:
    encoder.gate.clear()
    call = tagging_pb2_grpc.TaggingServiceStub(channel).Tag(request())

    async def under_way() -> bool:
        return await metric(gateway, "inkling_pictures_under_way") == 1

    await until(under_way)
    return call


async def _tag(stub: Any) -> tagging_pb2.TagResponse:
    return await stub.Tag(request())  # type: ignore[no-any-return]
