"""Rolls models out on a real server, and asks which one serves; by gRPC only.

What end-to-end tests and benchmarks of rollouts share.
"""

from typing import Any

import grpc
from google.longrunning import operations_pb2, operations_pb2_grpc

from inkling.v1 import model_pb2, model_pb2_grpc, tagging_pb2, tagging_pb2_grpc
from tests.server_process import wait_until

Scores = dict[str, float]
TOP_N = 20


class RolloutClient:
    """Talks to one server.

    Args:
        channel: to the server.
    """

    def __init__(self, channel: grpc.Channel) -> None:
        self._model = model_pb2_grpc.ModelServiceStub(channel)
        self._tagging = tagging_pb2_grpc.TaggingServiceStub(channel)
        self._operations = operations_pb2_grpc.OperationsStub(channel)

    def start(self, version: int, **fields: Any) -> str:
        """Starts a rollout; returns its name."""
        request = model_pb2.DeployModelRequest(version=version, **fields)
        return str(self._model.DeployModel(request, timeout=20).name)

    def wait(self, name: str, timeout_s: float = 200) -> operations_pb2.Operation:
        """A rollout that has ended."""
        request = operations_pb2.WaitOperationRequest(name=name)
        ended = self._operations.WaitOperation(request, timeout=timeout_s)
        if not ended.done:
            raise TimeoutError(f"after {timeout_s} s the rollout still runs")
        return ended

    def metadata(self, name: str) -> model_pb2.DeployModelMetadata:
        """How far one is."""
        request = operations_pb2.GetOperationRequest(name=name)
        found = model_pb2.DeployModelMetadata()
        self._operations.GetOperation(request, timeout=20).metadata.Unpack(found)
        return found

    def wait_for_stage(self, name: str, stage: str) -> None:
        """Returns as soon as a rollout has come so far."""
        number = model_pb2.RolloutStage.Value(f"ROLLOUT_STAGE_{stage}")
        wait_until(f"stage {stage}", lambda: self.metadata(name).stage >= number, 60)

    def deploy(self, version: int, **fields: Any) -> model_pb2.DeployModelResponse:
        """A whole rollout. Raises RuntimeError where it fails."""
        return self._response(self.wait(self.start(version, **fields)))

    def roll_back(self) -> model_pb2.DeployModelResponse:
        """The same, of the version before."""
        request = model_pb2.RollbackModelRequest()
        return self._response(self.wait(self._model.RollbackModel(request, timeout=20).name))

    def status(self) -> model_pb2.GetModelStatusResponse:
        """Versions, and what serves."""
        return self._model.GetModelStatus(model_pb2.GetModelStatusRequest(), timeout=20)

    def tag(self, image: bytes) -> tuple[str, Scores]:
        """The model that answered, and its scores by interest id."""
        request = tagging_pb2.TagRequest(image=image, top_n=TOP_N, min_score=0.0)
        answer = self._tagging.Tag(request, timeout=20)
        return answer.model_version, {tag.interest_id: tag.score for tag in answer.tags}

    @staticmethod
    def _response(ended: operations_pb2.Operation) -> model_pb2.DeployModelResponse:
        response = model_pb2.DeployModelResponse()
        if not ended.response.Unpack(response):
            raise RuntimeError(f"the rollout failed: {ended.error.message}")
        return response
