"""A scripted ModelService (and Operations) for the client's tests."""

import threading
from datetime import UTC, datetime
from typing import Any, NoReturn

import grpc
from google.longrunning import operations_pb2, operations_pb2_grpc
from google.protobuf import empty_pb2
from google.rpc import status_pb2
from grpc_status import rpc_status

from inkling.v1 import model_pb2, model_pb2_grpc
from tests.client.fake_server import status

OPERATION = "operations/rollout-1"
OLD, NEW = "inkling-small:1:ea6daace8548f240", "inkling-small:2:0123456789abcdef"
CANCELLED = status(grpc.StatusCode.CANCELLED, "ROLLOUT_CANCELLED", "the rollout was cancelled")
TIME = datetime(2026, 11, 2, 10, 0, 0, tzinfo=UTC)


def report(**fields: Any) -> model_pb2.CanaryReport:
    """A canary report as servers send it."""
    values: dict[str, Any] = {
        "decision": model_pb2.CANARY_DECISION_ACCEPTED,
        "folder_count": 40,
        "live_count": 32,
        "unreadable_count": 1,
        "tag_overlap": 0.62,
        "overlap_count": 70,
        "top1_kept": 0.91,
        "old_coverage": 0.75,
        "new_coverage": 0.8,
        "old_p50_ms": 21.5,
        "old_p95_ms": 30.25,
        "new_p50_ms": 24.0,
        "new_p95_ms": 41.0,
    }
    return model_pb2.CanaryReport(**(values | fields))


class FakeModel(model_pb2_grpc.ModelServiceServicer, operations_pb2_grpc.OperationsServicer):  # type: ignore[misc]  # untyped
    """The servicers, and what they saw.

    Attributes:
        requests: every request, in order.
        operation: the rollout; running from the moment that somebody starts it.
        refuse: statuses that the next calls of an RPC get, by its name.
    """

    def __init__(self) -> None:
        self.requests: list[Any] = []
        self.changed = threading.Condition()
        self.operation: operations_pb2.Operation | None = None
        self.refuse: dict[str, list[status_pb2.Status]] = {}
        self.waiting_count = 0

    def add_to(self, server: grpc.Server) -> None:
        """For `RunningServer`."""
        model_pb2_grpc.add_ModelServiceServicer_to_server(self, server)
        operations_pb2_grpc.add_OperationsServicer_to_server(self, server)

    def seen(self, kind: type) -> list[Any]:
        """Requests of one kind."""
        return [request for request in self.requests if isinstance(request, kind)]

    def move(
        self,
        stage: str,
        done: int = 0,
        total: int = 0,
        report: model_pb2.CanaryReport | None = None,
    ) -> None:
        """Puts the rollout into a stage; whoever waits hears of it at their next question."""
        with self.changed:
            assert self.operation is not None
            metadata = model_pb2.DeployModelMetadata(
                stage=model_pb2.RolloutStage.Value(f"ROLLOUT_STAGE_{stage.upper()}"),
                done_count=done,
                total_count=total,
                version=2,
                model_version=NEW,
                base_version=1,
                base_model_version=OLD,
                report=report,
            )
            metadata.create_time.FromDatetime(TIME)
            loading = metadata.stage_durations.add(stage=model_pb2.ROLLOUT_STAGE_LOADING)
            loading.duration.FromMilliseconds(1500)
            if self.operation.done:
                metadata.end_time.FromDatetime(TIME.replace(minute=1))
            self.operation.metadata.Pack(metadata)
            self.changed.notify_all()

    def succeed(self, **fields: Any) -> None:
        """Ends the rollout well."""
        values: dict[str, Any] = {
            "version": 2,
            "model_version": NEW,
            "previous_version": 1,
            "previous_model_version": OLD,
            "report": report(),
        }
        with self.changed:
            assert self.operation is not None
            self.operation.done = True
            self.operation.response.Pack(model_pb2.DeployModelResponse(**(values | fields)))
            self.move("done", report=report())

    def fail(self, why: status_pb2.Status, report: model_pb2.CanaryReport | None = None) -> None:
        """Ends it badly."""
        with self.changed:
            assert self.operation is not None
            self.operation.done = True
            self.operation.error.CopyFrom(why)
            self.move("canary", report=report)

    def GetModelStatus(  # noqa: N802
        self, request: Any, context: Any
    ) -> model_pb2.GetModelStatusResponse:
        self._begin("GetModelStatus", request, context)
        answer = model_pb2.GetModelStatusResponse(
            version=1, model_version=OLD, last_rollout=self.operation
        )
        answer.previous_version = 2
        for number, problem in ((1, ""), (2, ""), (3, "it is not calibrated")):
            entry = answer.versions.add(
                version=number,
                name="inkling-small",
                fingerprint=f"{number:016x}",
                serving=number == 1,
                loaded=number == 1,
                problem=problem,
            )
            entry.created_time.FromDatetime(TIME)
            if not problem:
                entry.calibrated_time.FromDatetime(TIME)
        return answer

    def DeployModel(self, request: Any, context: Any) -> operations_pb2.Operation:  # noqa: N802
        self._begin("DeployModel", request, context)
        return self._start()

    def RollbackModel(self, request: Any, context: Any) -> operations_pb2.Operation:  # noqa: N802
        self._begin("RollbackModel", request, context)
        return self._start()

    def GetOperation(self, request: Any, context: Any) -> operations_pb2.Operation:  # noqa: N802
        self._begin("GetOperation", request, context)
        return self._found(request.name, context)

    def WaitOperation(self, request: Any, context: Any) -> operations_pb2.Operation:  # noqa: N802
        self._begin("WaitOperation", request, context)
        operation = self._found(request.name, context)
        with self.changed:
            self.waiting_count += 1
            self.changed.notify_all()
            timeout_s = request.timeout.ToNanoseconds() / 1e9
            self.changed.wait_for(lambda: operation.done, timeout_s)
            answer = operations_pb2.Operation()
            answer.CopyFrom(operation)
            return answer

    def CancelOperation(self, request: Any, context: Any) -> empty_pb2.Empty:  # noqa: N802
        self._begin("CancelOperation", request, context)
        if not self._found(request.name, context).done:
            self.fail(CANCELLED)
        return empty_pb2.Empty()

    def wait_until_watched(self, times: int = 1) -> None:
        """Returns when somebody has asked so often for the rollout's end; fails after 10 s."""
        with self.changed:
            assert self.changed.wait_for(lambda: self.waiting_count >= times, timeout=10)

    def _start(self) -> operations_pb2.Operation:
        self.operation = operations_pb2.Operation(name=OPERATION)
        self.move("loading")
        return self.operation

    def _begin(self, rpc: str, request: Any, context: Any) -> None:
        with self.changed:
            kept = type(request)()
            kept.CopyFrom(request)
            self.requests.append(kept)
            refusals = self.refuse.get(rpc)
            why = refusals.pop(0) if refusals else None
        if why is not None:
            self._abort(context, why)

    def _found(self, name: str, context: Any) -> operations_pb2.Operation:
        if self.operation is None or self.operation.name != name:
            self._abort(context, status(grpc.StatusCode.NOT_FOUND, "UNKNOWN_OPERATION"))
        return self.operation

    def _abort(self, context: Any, why: status_pb2.Status) -> NoReturn:
        context.abort_with_status(rpc_status.to_status(why))
        raise AssertionError("abort raises")
