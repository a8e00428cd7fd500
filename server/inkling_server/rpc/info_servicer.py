"""InfoService: says what this server is. It answers also while the encoders are down."""

from collections.abc import Callable

from inkling.v1 import info_pb2, info_pb2_grpc
from inkling_server.rpc.boundary import Context
from inkling_server.rpc.converters import ServerDescription, to_info


class InfoServicer(info_pb2_grpc.InfoServiceServicer):
    """GetInfo.

    Args:
        describe: what serves now; raises EncoderDown while nothing has been loaded yet.
    """

    def __init__(self, describe: Callable[[], ServerDescription]) -> None:
        self._describe = describe

    async def GetInfo(  # noqa: N802
        self, request: info_pb2.GetInfoRequest, context: Context
    ) -> info_pb2.GetInfoResponse:
        del request, context
        return to_info(self._describe())
