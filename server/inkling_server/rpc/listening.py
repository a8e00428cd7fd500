"""Opens the gRPC port: alone on it, or beside other processes of the same server.

    alone     nobody else may listen there (by default Linux would let two servers share a port,
              and callers reach either)
    first     takes a port that nobody has, and lets further processes of this server join it
    further   joins: the kernel hands each new connection to one of the processes (SO_REUSEPORT)

It does not know which services are offered.
"""

import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import grpc

# A message is a picture and some text. With this slack, a picture that is somewhat too large still
# reaches the code that answers IMAGE_TOO_LARGE; beyond it gRPC cuts the call by itself.
MESSAGE_SLACK_BYTES = 1024 * 1024

Sharing = Literal["alone", "first", "further"]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where and how the server listens.

    Attributes:
        host: name or address to bind.
        port: 0 takes a free one.
        max_image_bytes: longest picture; gRPC's own limit is `MESSAGE_SLACK_BYTES` above it.
        max_connection_streams: RPCs of one connection at a time.
        tls_cert: PEM chain; with `tls_key`, or neither.
        tls_key: PEM private key.
        sharing: with whom the port is shared, see the module's docstring.
    """

    host: str
    port: int
    max_image_bytes: int
    max_connection_streams: int
    tls_cert: Path | None = None
    tls_key: Path | None = None
    sharing: Sharing = "alone"


class PortTaken(Exception):
    """The address cannot be bound."""


def make_server(
    endpoint: Endpoint, interceptors: Sequence[grpc.aio.ServerInterceptor]
) -> grpc.aio.Server:
    """A server without services, that is not bound yet.

    Args:
        endpoint: its limits, and whether it shares its port.
        interceptors: the first one sees a call first.
    """
    return grpc.aio.server(
        interceptors=interceptors,
        options=[
            ("grpc.max_receive_message_length", endpoint.max_image_bytes + MESSAGE_SLACK_BYTES),
            ("grpc.max_concurrent_streams", endpoint.max_connection_streams),
            ("grpc.so_reuseport", int(endpoint.sharing != "alone")),
            # Finds clients that vanished without a word (their streams hold room) within 80 s, and
            # allows clients a ping every 10 s also while no call is open.
            ("grpc.keepalive_time_ms", 60_000),
            ("grpc.keepalive_timeout_ms", 20_000),
            ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
            ("grpc.keepalive_permit_without_calls", 1),
        ],
    )


def bind(server: grpc.aio.Server, endpoint: Endpoint) -> int:
    """Binds a server that `start()` brings to life; returns the port that it has.

    Raises:
        PortTaken: someone else listens there, or the host is not ours.
        OSError: the certificate cannot be read.
    """
    address = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
    target = f"{address}:{endpoint.port}"
    problem = f"cannot listen on {target}: port taken, or host not ours"
    if endpoint.sharing == "first" and _is_taken(endpoint.host, endpoint.port):
        raise PortTaken(problem)
    try:
        if endpoint.tls_cert is None or endpoint.tls_key is None:
            return server.add_insecure_port(target)
        pair = (endpoint.tls_key.read_bytes(), endpoint.tls_cert.read_bytes())
        return server.add_secure_port(target, grpc.ssl_server_credentials([pair]))
    except RuntimeError as error:
        raise PortTaken(problem) from error


def _is_taken(host: str, port: int) -> bool:
    """Whether somebody listens there: whoever shares ports would otherwise get half our calls."""
    if port == 0:
        return False
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError:
        return False  # binding it will say what is wrong with the host
    for family, kind, protocol, _, address in found:
        with socket.socket(family, kind, protocol) as probe:
            # Past connections of ours must not look like somebody who listens.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            try:
                probe.bind(address)
            except OSError:
                return True
    return False


class PrivateSocket:
    """A Unix socket in a private folder, for processes of one server: its gRPC address.

    A socket's path may have 107 bytes, a folder's many more: it is named through a descriptor of
    the folder. Each process that uses the socket makes its own.

    Args:
        folder: exists, and only its owner may look into it.
        name: of the socket's file.

    Attributes:
        address: gRPC target, for a server to bind or a client to connect to.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY)
        self.address = f"unix:/proc/self/fd/{self._descriptor}/{name}"

    def bind(self, server: grpc.aio.Server) -> None:
        """Has a server listen on it, too. Before `start()`. Raises PortTaken."""
        try:
            server.add_insecure_port(self.address)
        except RuntimeError as error:
            raise PortTaken("cannot listen on a Unix socket in the data folder") from error

    def close(self) -> None:
        """Gives the folder's descriptor back; after the server or client has ended."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
