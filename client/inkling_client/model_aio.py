"""The asyncio client of model versions, `AsyncInklingClient.model`: `model_client.py`, awaited.

    model = client.model
    print((await model.status()).model_version)
    handle = await model.deploy(2)
    result = await handle.wait(on_progress=print)

This module does not know the rules of retrying (`retry.py`).
"""

import asyncio
import time
from collections.abc import Callable

from google.longrunning import operations_pb2, operations_pb2_grpc
from grpc import aio

from inkling.v1 import model_pb2, model_pb2_grpc
from inkling_client.errors import InklingClientError, rollout_not_done
from inkling_client.graph_aio import AsyncCaller
from inkling_client.graph_calls import CANCEL_TIMEOUT_S, POLL_S, wait_request
from inkling_client.model_results import (
    ModelStatus,
    RolloutProgress,
    RolloutResult,
    model_status,
    rollout_outcome,
    rollout_progress,
)


class AsyncModelClient:
    """Says which model version one server serves, and rolls another one out; see `ModelClient`."""

    def __init__(self, channel: aio.Channel, caller: AsyncCaller) -> None:
        self._model = model_pb2_grpc.ModelServiceStub(channel)
        self._operations = operations_pb2_grpc.OperationsStub(channel)
        self._call = caller

    async def status(self) -> ModelStatus:
        """Which versions there are, which of them serves, and how the last rollout went."""
        request = model_pb2.GetModelStatusRequest()
        return model_status(
            await self._call(lambda s: self._model.GetModelStatus(request, timeout=s))
        )

    async def deploy(
        self,
        version: int,
        *,
        min_overlap: float | None = None,
        max_latency_ratio: float | None = None,
        max_lost_coverage: float | None = None,
        force: bool = False,
    ) -> "AsyncRolloutHandle":
        """Starts to roll a version out; arguments and errors are those of `ModelClient.deploy`."""
        request = model_pb2.DeployModelRequest(
            version=version,
            min_overlap=min_overlap,
            max_latency_ratio=max_latency_ratio,
            max_lost_coverage=max_lost_coverage,
            force=force,
        )
        operation = await self._call(
            lambda s: self._model.DeployModel(request, timeout=s), once=True
        )
        return self.handle(operation.name)

    async def rollback(self) -> "AsyncRolloutHandle":
        """Starts to roll out the version that served before; errors as those of `deploy`."""
        request = model_pb2.RollbackModelRequest()
        operation = await self._call(
            lambda s: self._model.RollbackModel(request, timeout=s), once=True
        )
        return self.handle(operation.name)

    def handle(self, name: str) -> "AsyncRolloutHandle":
        """A rollout that somebody has started."""
        return AsyncRolloutHandle(name, self._operations, self._call)


class AsyncRolloutHandle:
    """One rollout, running or ended; see `RolloutHandle`.

    Attributes:
        name: of its operation.
    """

    def __init__(
        self, name: str, operations: operations_pb2_grpc.OperationsStub, caller: AsyncCaller
    ) -> None:
        self.name = name
        self._operations = operations
        self._call = caller

    async def progress(self) -> RolloutProgress:
        """How far it is. Raises UnknownOperation where the server has forgotten it."""
        request = operations_pb2.GetOperationRequest(name=self.name)
        operation = await self._call(lambda s: self._operations.GetOperation(request, timeout=s))
        return rollout_progress(operation)

    async def wait(
        self,
        on_progress: Callable[[RolloutProgress], object] | None = None,
        *,
        timeout_s: float = float("inf"),
    ) -> RolloutResult:
        """Returns when it has succeeded; arguments and errors are those of `RolloutHandle.wait`."""
        deadline = time.monotonic() + timeout_s
        while True:
            asked_s = time.monotonic()
            operation = await self._wait_a_moment(deadline - asked_s)
            if on_progress is not None:
                on_progress(rollout_progress(operation))
            outcome = rollout_outcome(operation)
            if isinstance(outcome, InklingClientError):
                raise outcome
            if outcome is not None:
                return outcome
            now_s = time.monotonic()
            if now_s >= deadline:
                raise rollout_not_done(timeout_s)
            # Servers may answer early.
            await asyncio.sleep(max(min(asked_s + POLL_S, deadline) - now_s, 0.0))

    async def cancel(self) -> None:
        """Ends it, and returns when it has ended; does nothing where it is too late."""
        request = operations_pb2.CancelOperationRequest(name=self.name)
        await self._call(
            lambda s: self._operations.CancelOperation(request, timeout=s), CANCEL_TIMEOUT_S
        )

    async def _wait_a_moment(self, left_s: float) -> operations_pb2.Operation:
        request, call_s = wait_request(self.name, left_s)
        return await self._call(
            lambda s: self._operations.WaitOperation(request, timeout=s), call_s
        )
