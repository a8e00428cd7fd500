"""The blocking client of the model's versions: `InklingClient.model`.

    model = client.model
    print(model.status().model_version)
    result = model.deploy(2).wait(on_progress=print)
    model.rollback().wait()

This module does not know the rules of retrying (`retry.py`). The same for asyncio is
`model_aio.py`.
"""

import grpc
from google.longrunning import operations_pb2_grpc

from inkling.v1 import model_pb2, model_pb2_grpc
from inkling_client.model_results import (
    ROLLOUT,
    ModelStatus,
    RolloutProgress,
    RolloutResult,
    model_status,
)
from inkling_client.operation_handle import Caller, OperationHandle


class ModelClient:
    """Says which model version one server serves, and rolls another one out.

    Errors are `InklingClientError`s.
    """

    def __init__(self, channel: grpc.Channel, caller: Caller) -> None:
        self._model = model_pb2_grpc.ModelServiceStub(channel)
        self._operations = operations_pb2_grpc.OperationsStub(channel)
        self._call = caller

    def status(self) -> ModelStatus:
        """Which versions there are, which of them serves, and how the last rollout went."""
        request = model_pb2.GetModelStatusRequest()
        return self._call(lambda s: model_status(self._model.GetModelStatus(request, timeout=s)))

    def deploy(
        self,
        version: int,
        *,
        min_overlap: float | None = None,
        max_latency_ratio: float | None = None,
        max_lost_coverage: float | None = None,
        force: bool = False,
    ) -> "RolloutHandle":
        """Starts to roll a version out; the server serves on with the old one until it is proven.

        Args:
            version: folder of the server's model repository.
            min_overlap: least mean overlap (Jaccard) with the old model's tags, in [0, 1]; None:
                the server's default, as for the others.
            max_latency_ratio: most that encoding one picture may take, in times of the old model's.
            max_lost_coverage: most that the share of pictures with a tag may fall by, in [0, 1].
            force: serve it although it is beyond a limit; a model that does not work is refused
                all the same.

        Raises:
            UnknownModelVersion: the repository has no such version.
            RolloutRefused: it must not even be tried.
            RolloutRunning, RefreshRunning: something else changes what serves.
        """
        request = model_pb2.DeployModelRequest(
            version=version,
            min_overlap=min_overlap,
            max_latency_ratio=max_latency_ratio,
            max_lost_coverage=max_lost_coverage,
            force=force,
        )
        operation = self._call(lambda s: self._model.DeployModel(request, timeout=s), once=True)
        return self.handle(operation.name)

    def rollback(self) -> "RolloutHandle":
        """Starts to roll out the version that served before; errors as those of `deploy`."""
        request = model_pb2.RollbackModelRequest()
        operation = self._call(lambda s: self._model.RollbackModel(request, timeout=s), once=True)
        return self.handle(operation.name)

    def handle(self, name: str) -> "RolloutHandle":
        """A rollout that somebody has started."""
        return RolloutHandle(name, self._operations, self._call)


class RolloutHandle(OperationHandle[RolloutProgress, RolloutResult]):
    """One rollout, running or ended.

    `wait` raises RolloutRefused, RolloutFailed, RolloutCancelled.
    """

    _kind = ROLLOUT
