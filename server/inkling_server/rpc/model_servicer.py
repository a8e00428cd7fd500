"""ModelService: says which versions of the model there are, and rolls one out.

It knows no repository, encoders or pictures, and holds no `try` (see `boundary.py`).
"""

from collections.abc import Callable

from google.longrunning import operations_pb2

from inkling.v1 import model_pb2, model_pb2_grpc
from inkling_server.rollout.operation import Rollouts
from inkling_server.rpc.boundary import Context
from inkling_server.rpc.model_converters import to_order, to_rollout, to_status_response


class ModelServicer(model_pb2_grpc.ModelServiceServicer):
    """All RPCs of the model.

    Args:
        rollouts: what runs them; raises EncoderDown while nothing has been loaded yet.
    """

    def __init__(self, rollouts: Callable[[], Rollouts]) -> None:
        self._rollouts = rollouts

    async def GetModelStatus(  # noqa: N802
        self, request: model_pb2.GetModelStatusRequest, context: Context
    ) -> model_pb2.GetModelStatusResponse:
        del request, context
        return to_status_response(await self._rollouts().status())

    async def DeployModel(  # noqa: N802
        self, request: model_pb2.DeployModelRequest, context: Context
    ) -> operations_pb2.Operation:
        del context
        rollouts = self._rollouts()
        return to_rollout(await rollouts.deploy(to_order(request, rollouts.limits)))

    async def RollbackModel(  # noqa: N802
        self, request: model_pb2.RollbackModelRequest, context: Context
    ) -> operations_pb2.Operation:
        del request, context
        return to_rollout(await self._rollouts().roll_back())
