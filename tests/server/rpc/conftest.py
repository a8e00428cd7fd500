"""A real gateway on loopback with a fake encoder, and what tests need to talk to it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from inkling.v1 import tagging_pb2_grpc
from inkling_server.fake_encoder import FakeEncoder
from inkling_server.gateway import Gateway
from tests.server.gateway_kit import gateway_settings, gateway_with

StartGateway = Callable[..., AbstractAsyncContextManager[Gateway]]


@pytest.fixture
async def encoder() -> FakeEncoder:
    """The fake behind the gateway; its knobs make it slow, stuck or broken."""
    return FakeEncoder()


@pytest.fixture
def start_gateway(tmp_path: Path, encoder: FakeEncoder) -> StartGateway:
    """Starts a gateway with changed settings, and waits until it serves."""

    @asynccontextmanager
    async def start(**changes: Any) -> AsyncIterator[Gateway]:
        async with gateway_with(encoder, gateway_settings(tmp_path, **changes)) as gateway:
            async with asyncio.timeout(10):
                assert await gateway.wait_until_serving()
            yield gateway

    return start


@pytest.fixture
async def gateway(start_gateway: StartGateway) -> AsyncIterator[Gateway]:
    """A serving gateway with default limits."""
    async with start_gateway() as gateway:
        yield gateway


@pytest.fixture
async def channel(gateway: Gateway) -> AsyncIterator[grpc.aio.Channel]:
    """A connection to `gateway`."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{gateway.grpc_port}") as channel:
        yield channel


@pytest.fixture
def tagging(channel: grpc.aio.Channel) -> "tagging_pb2_grpc.TaggingServiceAsyncStub":
    """The tagging service of `gateway`."""
    return tagging_pb2_grpc.TaggingServiceStub(channel)
