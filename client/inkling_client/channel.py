"""How the client connects: target, channel arguments, encryption, the standard health call.

This module does not know Inkling's own services.
"""

import ipaddress

import grpc
from grpc import aio

DEFAULT_PORT = 50051
DEFAULT_TARGET = f"127.0.0.1:{DEFAULT_PORT}"
DEFAULT_TIMEOUT_S = 10.0

# grpc.health.v1 without a package of its own: HealthCheckRequest{} is no bytes, and
# HealthCheckResponse{status: SERVING} is field 1, varint 1.
HEALTH_METHOD = "/grpc.health.v1.Health/Check"
HEALTH_REQUEST = b""
HEALTH_SERVING = b"\x08\x01"

_RECONNECT_OPTIONS: list[tuple[str, int]] = [
    # gRPC's own defaults wait a second and more, up to two minutes, before they knock again.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 500),
    # Despite its name this is how long *one* connection attempt may take: at 100 ms, a link whose
    # handshake takes longer would never connect.
    ("grpc.min_reconnect_backoff_ms", 5_000),
]


def full_target(target: str) -> str:
    """Adds the default port to a bare host name: "example.org" -> "example.org:50051"."""
    if not target:
        raise ValueError("target is empty; give host:port")
    try:
        if ipaddress.ip_address(target).version == 6:
            return f"[{target}]:{DEFAULT_PORT}"
    except ValueError:
        pass
    last_part = target.rsplit("]", maxsplit=1)[-1]
    return target if ":" in last_part or "/" in target else f"{target}:{DEFAULT_PORT}"


def channel_options(target: str) -> list[tuple[str, int]]:
    """Channel arguments for `target`."""
    options = [
        *_RECONNECT_OPTIONS,
        # The server's own limits decide, see GetInfoResponse.limits.
        ("grpc.max_send_message_length", -1),
        # Answers are small, but for a contact sheet: at most 16 MiB.
        ("grpc.max_receive_message_length", 32 * 2**20),
    ]
    if is_loopback(target):
        # gRPC would send even loopback traffic to the proxy that http_proxy names.
        options.append(("grpc.enable_http_proxy", 0))
    return options


def is_loopback(target: str) -> bool:
    """Whether `target` never leaves this machine."""
    host = target.rsplit(":", maxsplit=1)[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or target.startswith("unix:")


def sync_channel(target: str, credentials: grpc.ChannelCredentials | None) -> grpc.Channel:
    """A blocking channel; encrypted where there are credentials."""
    options = channel_options(target)
    if credentials is None:
        return grpc.insecure_channel(target, options=options)
    return grpc.secure_channel(target, credentials, options=options)


def async_channel(target: str, credentials: grpc.ChannelCredentials | None) -> aio.Channel:
    """An asyncio channel; encrypted where there are credentials."""
    options = channel_options(target)
    if credentials is None:
        return aio.insecure_channel(target, options=options)
    return aio.secure_channel(target, credentials, options=options)
