"""grpc.health.v1, per service.

    ""                           what load balancers ask: the same as the tagging service
    inkling.v1.TaggingService    SERVING while a canary picture gets its tags
    inkling.v1.InfoService       SERVING from the first loaded model to the end, also while encoders
                                 are down: it can answer, and is what one asks then
    inkling.v1.GraphService      the same
    inkling.v1.ModelService      the same
    inkling.v1.ContentService    SERVING from when the database is up, too, to the end; a database
    inkling.v1.ProfileService    that goes away later shows in each answer (STORAGE_DOWN)
    grpc.health.v1.Health        SERVING from the first moment

grpcio-health-checking's own servicer is not used because its Watch streams never end: each one
would hold a stopping server until its grace period is over. This module decides nothing, see
`gateway.py`.
"""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Literal

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from inkling_server.rpc.boundary import Context
from inkling_server.rpc.draining import Drain

OVERALL = ""
TAGGING = "inkling.v1.TaggingService"
INFO = "inkling.v1.InfoService"
GRAPH = "inkling.v1.GraphService"
MODEL = "inkling.v1.ModelService"
CONTENT = "inkling.v1.ContentService"
PROFILES = "inkling.v1.ProfileService"
OPERATIONS = "google.longrunning.Operations"
HEALTH = "grpc.health.v1.Health"
# What reflection lists.
SERVICE_NAMES = (
    *(TAGGING, INFO, GRAPH, MODEL, CONTENT, PROFILES),
    *(OPERATIONS, HEALTH, reflection.SERVICE_NAME),
)

_Request = health_pb2.HealthCheckRequest
_Response = health_pb2.HealthCheckResponse


class HealthBoard:
    """Which services serve. One event loop owns it."""

    def __init__(self) -> None:
        self._serving = {
            **dict.fromkeys((OVERALL, TAGGING, INFO, GRAPH, MODEL, CONTENT, PROFILES), False),
            HEALTH: True,
        }
        self._changed = asyncio.Event()
        self._final = False

    @property
    def serving(self) -> Mapping[str, bool]:
        """Every known service."""
        return self._serving

    def set(self, services: Iterable[str], *, serving: bool) -> None:
        """Changes some services and wakes those who watch. Ignored after `end`."""
        if self._final:
            return
        before = dict(self._serving)
        self._serving.update(dict.fromkeys(services, serving))
        if self._serving != before:
            self._announce()

    def end(self) -> None:
        """Nothing serves any more, for good: load balancers must look elsewhere."""
        self.set(list(self._serving), serving=False)
        self._final = True
        self._announce()

    async def wait_for_change(self) -> None:
        """Returns after the next change."""
        await self._changed.wait()

    def _announce(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


class HealthServicer(health_pb2_grpc.HealthServicer):
    """Check and Watch over a HealthBoard."""

    def __init__(self, board: HealthBoard, drain: Drain) -> None:
        self._board = board
        self._drain = drain

    async def Check(self, request: _Request, context: Context) -> _Response:  # noqa: N802
        status = self._status(request.service)
        if status == _Response.SERVICE_UNKNOWN:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such service here")
        return _Response(status=status)

    async def Watch(self, request: _Request, context: Context) -> None:  # noqa: N802
        """Sends the state now and after each change; ends when the server drains."""
        sent = None
        while True:
            status = self._status(request.service)
            if status != sent:
                await context.write(_Response(status=status))
                sent = status
            elif self._drain.begun:
                return
            else:
                await self._board.wait_for_change()

    def _status(self, service: str) -> Literal[0, 1, 2, 3]:
        serving = self._board.serving.get(service)
        if serving is None:
            return _Response.SERVICE_UNKNOWN
        return _Response.SERVING if serving else _Response.NOT_SERVING
