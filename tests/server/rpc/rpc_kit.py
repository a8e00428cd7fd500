"""What RPC tests do again and again: make requests, decode errors, read metrics."""

from dataclasses import dataclass
from typing import Any

import aiohttp
import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from inkling.v1 import tagging_pb2
from inkling_server.gateway import Gateway
from tests.server.gateway_kit import jpeg


@dataclass(frozen=True)
class Refusal:
    """A failed RPC (or stream item), decoded as a client would."""

    code: str
    reason: str
    metadata: dict[str, str]
    message: str
    retry_s: float | None


def decode(status: status_pb2.Status) -> Refusal:
    """Reads the details of a status."""
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    has_retry = False
    for detail in status.details:
        detail.Unpack(info)
        has_retry = detail.Unpack(retry) or has_retry
    code = next(code.name for code in grpc.StatusCode if code.value[0] == status.code)
    return Refusal(
        code,
        info.reason,
        dict(info.metadata),
        status.message,
        retry.retry_delay.ToNanoseconds() / 1e9 if has_retry else None,
    )


async def refusal(call: Any) -> Refusal:
    """Awaits a call that must fail, and decodes how."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return decode_error(caught.value)


def decode_error(error: grpc.aio.AioRpcError) -> Refusal:
    """Reads a failed call; a status without details has an empty reason."""
    status = rpc_status.from_call(error)  # type: ignore[arg-type]  # the stub knows only calls
    if status is None:
        return Refusal(error.code().name, "", {}, error.details() or "", None)
    return decode(status)


def request(colour: str = "red", **fields: Any) -> tagging_pb2.TagRequest:
    """A request for the tags of a one-coloured picture."""
    return tagging_pb2.TagRequest(image=jpeg(colour), **fields)


def item(request_id: str, colour: str = "red", **fields: Any) -> tagging_pb2.TagStreamRequest:
    """The same, for a stream."""
    return tagging_pb2.TagStreamRequest(request_id=request_id, request=request(colour, **fields))


async def metric(gateway: Gateway, name: str) -> float:
    """A sample ("name{label=...}"), or the sum of a metric's samples ("name"); 0 without any."""
    url = f"http://127.0.0.1:{gateway.http_port}/metrics"
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        lines = (await response.text()).splitlines()
    samples = [line.rsplit(" ", 1) for line in lines if not line.startswith("#")]
    return sum(float(value) for key, value in samples if name in {key, key.split("{")[0]})
