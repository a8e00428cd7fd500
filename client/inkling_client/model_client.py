"""The blocking client of the model's versions: `InklingClient.model`.

    model = client.model
    print(model.status().model_version)
    result = model.deploy(2).wait(on_progress=print)
    model.rollback().wait()

This module does not know the rules of retrying (`retry.py`). The same for asyncio is
`model_aio.py`.
"""

import time
from collections.abc import Callable

import grpc
from google.longrunning import operations_pb2, operations_pb2_grpc

from inkling.v1 import model_pb2, model_pb2_grpc
from inkling_client.errors import InklingClientError, rollout_not_done
from inkling_client.graph_calls import CANCEL_TIMEOUT_S, POLL_S, wait_request
from inkling_client.graph_client import Caller
from inkling_client.model_results import (
    ModelStatus,
    RolloutProgress,
    RolloutResult,
    model_status,
    rollout_outcome,
    rollout_progress,
)


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


class RolloutHandle:
    """One rollout, running or ended.

    Attributes:
        name: of its operation.
    """

    def __init__(
        self, name: str, operations: operations_pb2_grpc.OperationsStub, caller: Caller
    ) -> None:
        self.name = name
        self._operations = operations
        self._call = caller

    def progress(self) -> RolloutProgress:
        """How far it is. Raises UnknownOperation where the server has forgotten it."""
        request = operations_pb2.GetOperationRequest(name=self.name)
        operation = self._call(lambda s: self._operations.GetOperation(request, timeout=s))
        return rollout_progress(operation)

    def wait(
        self,
        on_progress: Callable[[RolloutProgress], object] | None = None,
        *,
        timeout_s: float = float("inf"),
    ) -> RolloutResult:
        """Returns when it has succeeded.

        Args:
            on_progress: told how far it is, about twice a second and at the end.
            timeout_s: how long to wait; the rollout goes on after it.

        Raises:
            RolloutRefused, RolloutFailed, RolloutCancelled: it has ended otherwise.
            DeadlineExceeded: it runs longer than `timeout_s`.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            asked_s = time.monotonic()
            operation = self._wait_a_moment(deadline - asked_s)
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
            time.sleep(max(min(asked_s + POLL_S, deadline) - now_s, 0.0))

    def cancel(self) -> None:
        """Ends it, and returns when it has ended; does nothing where it is too late."""
        request = operations_pb2.CancelOperationRequest(name=self.name)
        self._call(lambda s: self._operations.CancelOperation(request, timeout=s), CANCEL_TIMEOUT_S)

    def _wait_a_moment(self, left_s: float) -> operations_pb2.Operation:
        request, call_s = wait_request(self.name, left_s)
        return self._call(lambda s: self._operations.WaitOperation(request, timeout=s), call_s)
