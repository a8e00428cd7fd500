"""The asyncio client of model versions, `AsyncInklingClient.model`: `model_client.py`, awaited.

    model = client.model
    print((await model.status()).model_version)
    handle = await model.deploy(2)
    result = await handle.wait(on_progress=print)

This module does not know the rules of retrying (`retry.py`).
"""

from google.longrunning import operations_pb2_grpc
from grpc import aio

from inkling.v1 import model_pb2, model_pb2_grpc
from inkling_client.model_results import (
    ROLLOUT,
    ModelStatus,
    RolloutProgress,
    RolloutResult,
    model_status,
)
from inkling_client.operation_aio import AsyncCaller, AsyncOperationHandle


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


class AsyncRolloutHandle(AsyncOperationHandle[RolloutProgress, RolloutResult]):
    """One rollout, running or ended; see `RolloutHandle`."""

    _kind = ROLLOUT
