"""Builds the grpc.aio server from its parts. It does not know what the services do."""

from dataclasses import dataclass
from pathlib import Path

import grpc
from google.longrunning import operations_pb2_grpc
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from inkling.v1 import (
    content_pb2_grpc,
    graph_pb2_grpc,
    info_pb2_grpc,
    model_pb2_grpc,
    profile_pb2_grpc,
    tagging_pb2_grpc,
)
from inkling_server.rpc import health
from inkling_server.rpc.boundary import Boundary
from inkling_server.rpc.content_servicer import ContentServicer
from inkling_server.rpc.graph_servicer import GraphServicer
from inkling_server.rpc.health import HealthServicer
from inkling_server.rpc.info_servicer import InfoServicer
from inkling_server.rpc.model_servicer import ModelServicer
from inkling_server.rpc.operations_servicer import OperationsServicer
from inkling_server.rpc.profile_servicer import ProfileServicer
from inkling_server.rpc.tagging_servicer import TaggingServicer

# A message is a picture and some text. With this slack, a picture that is somewhat too large still
# reaches the code that answers IMAGE_TOO_LARGE; beyond it gRPC cuts the call by itself.
MESSAGE_SLACK_BYTES = 1024 * 1024
OPERATIONS = "google.longrunning.Operations"


@dataclass(frozen=True, slots=True)
class Services:
    """What the server offers."""

    tagging: TaggingServicer
    info: InfoServicer
    health: HealthServicer
    graph: GraphServicer
    model: ModelServicer
    content: ContentServicer
    profiles: ProfileServicer
    operations: OperationsServicer


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
    """

    host: str
    port: int
    max_image_bytes: int
    max_connection_streams: int
    tls_cert: Path | None = None
    tls_key: Path | None = None


class PortTaken(Exception):
    """The address cannot be bound."""


def build_server(
    endpoint: Endpoint, services: Services, boundary: Boundary
) -> tuple[grpc.aio.Server, int]:
    """Binds a server that `start()` brings to life.

    Returns:
        the server and the port that it has.

    Raises:
        PortTaken: someone else listens there, or the host is not ours.
        OSError: the certificate cannot be read.
    """
    server = grpc.aio.server(
        interceptors=[boundary],
        options=[
            ("grpc.max_receive_message_length", endpoint.max_image_bytes + MESSAGE_SLACK_BYTES),
            ("grpc.max_concurrent_streams", endpoint.max_connection_streams),
            # By default Linux lets two servers share a port, and callers reach either.
            ("grpc.so_reuseport", 0),
            # Finds clients that vanished without a word (their streams hold room) within 80 s, and
            # allows clients a ping every 10 s also while no call is open.
            ("grpc.keepalive_time_ms", 60_000),
            ("grpc.keepalive_timeout_ms", 20_000),
            ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
            ("grpc.keepalive_permit_without_calls", 1),
        ],
    )
    tagging_pb2_grpc.add_TaggingServiceServicer_to_server(services.tagging, server)
    info_pb2_grpc.add_InfoServiceServicer_to_server(services.info, server)
    health_pb2_grpc.add_HealthServicer_to_server(services.health, server)
    graph_pb2_grpc.add_GraphServiceServicer_to_server(services.graph, server)
    model_pb2_grpc.add_ModelServiceServicer_to_server(services.model, server)
    content_pb2_grpc.add_ContentServiceServicer_to_server(services.content, server)
    profile_pb2_grpc.add_ProfileServiceServicer_to_server(services.profiles, server)
    operations_pb2_grpc.add_OperationsServicer_to_server(services.operations, server)
    names = (
        health.TAGGING,
        health.INFO,
        health.GRAPH,
        health.MODEL,
        health.CONTENT,
        health.PROFILES,
        OPERATIONS,
        health.HEALTH,
    )
    reflection.enable_server_reflection([*names, reflection.SERVICE_NAME], server)
    address = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
    try:
        return server, _bind(server, f"{address}:{endpoint.port}", endpoint)
    except RuntimeError as error:
        raise PortTaken(
            f"cannot listen on {address}:{endpoint.port}: port taken, or host not ours"
        ) from error


def _bind(server: grpc.aio.Server, address: str, endpoint: Endpoint) -> int:
    if endpoint.tls_cert is None or endpoint.tls_key is None:
        return server.add_insecure_port(address)
    pair = (endpoint.tls_key.read_bytes(), endpoint.tls_cert.read_bytes())
    return server.add_secure_port(address, grpc.ssl_server_credentials([pair]))
