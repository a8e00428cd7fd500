"""Builds the grpc.aio server from its parts. It does not know what the services do."""

from dataclasses import dataclass

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
from inkling_server.rpc.listening import Endpoint, PortTaken, bind, make_server
from inkling_server.rpc.model_servicer import ModelServicer
from inkling_server.rpc.operations_servicer import OperationsServicer
from inkling_server.rpc.profile_servicer import ProfileServicer
from inkling_server.rpc.tagging_servicer import TaggingServicer

__all__ = ["Endpoint", "PortTaken", "Services", "build_server"]

OPERATIONS = health.OPERATIONS


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
    server = make_server(endpoint, [boundary])
    tagging_pb2_grpc.add_TaggingServiceServicer_to_server(services.tagging, server)
    info_pb2_grpc.add_InfoServiceServicer_to_server(services.info, server)
    health_pb2_grpc.add_HealthServicer_to_server(services.health, server)
    graph_pb2_grpc.add_GraphServiceServicer_to_server(services.graph, server)
    model_pb2_grpc.add_ModelServiceServicer_to_server(services.model, server)
    content_pb2_grpc.add_ContentServiceServicer_to_server(services.content, server)
    profile_pb2_grpc.add_ProfileServiceServicer_to_server(services.profiles, server)
    operations_pb2_grpc.add_OperationsServicer_to_server(services.operations, server)
    reflection.enable_server_reflection(health.SERVICE_NAMES, server)
    return server, bind(server, endpoint)
