"""Builds the gRPC server of a process that only tags; `server` builds that of one that does all."""

import grpc
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from inkling.v1 import tagging_pb2_grpc
from inkling_server.rpc.boundary import Boundary
from inkling_server.rpc.forwarding import Forwarder
from inkling_server.rpc.health import SERVICE_NAMES, TAGGING, HealthServicer
from inkling_server.rpc.listening import Endpoint, bind, make_server
from inkling_server.rpc.tagging_servicer import TaggingServicer

# What such a process answers itself: videos have one spool and one limit for the whole server.
OWN_METHODS = tuple(f"/{TAGGING}/{name}" for name in ("Tag", "TagStream"))


def build_tagging_server(
    endpoint: Endpoint,
    tagging: TaggingServicer,
    health: HealthServicer,
    forwarder: Forwarder,
    boundary: Boundary,
) -> grpc.aio.Server:
    """Binds a server that `start()` brings to life.

    Args:
        endpoint: where it listens.
        tagging: answers `OWN_METHODS`.
        health: answers for this process.
        forwarder: hands on everything else.
        boundary: around what is answered here.

    Raises:
        PortTaken: the port cannot be shared, or the host is not ours.
        OSError: the certificate cannot be read.
    """
    server = make_server(endpoint, [forwarder, boundary])
    tagging_pb2_grpc.add_TaggingServiceServicer_to_server(tagging, server)
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    reflection.enable_server_reflection(SERVICE_NAMES, server)
    bind(server, endpoint)
    return server
