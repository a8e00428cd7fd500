"""google.longrunning.Operations over refreshes of the graph and rollouts of the model.

The standard's own names and rules, so that any client of long-running operations can watch them. It
does not know how they work, and holds no `try` (see `boundary.py`).
"""

from collections.abc import Callable
from typing import Any

from google.longrunning import operations_pb2, operations_pb2_grpc
from google.protobuf import empty_pb2

from inkling_server.errors import ArgumentOutOfRange
from inkling_server.operations import Operation, Operations
from inkling_server.rpc.boundary import Context
from inkling_server.rpc.draining import Drain
from inkling_server.rpc.operation_converters import to_operation
from inkling_server.rpc.paging import count_in_range, make_token, read_token

_COLLECTIONS = ("", "operations")
_FILTERS: dict[str, bool | None] = {"": None, "done=true": True, "done=false": False}
# An answer that leaves when the deadline is there arrives after it.
_ANSWER_S = 0.25


class OperationsServicer(operations_pb2_grpc.OperationsServicer):  # type: ignore[misc]  # untyped
    """All five RPCs.

    Args:
        operations: all there are; raises EncoderDown while nothing has been loaded yet.
        drain: ends waiting.
    """

    def __init__(self, operations: Callable[[], Operations], *, drain: Drain) -> None:
        self._operations = operations
        self._drain = drain

    async def ListOperations(  # noqa: N802
        self, request: operations_pb2.ListOperationsRequest, context: Context
    ) -> operations_pb2.ListOperationsResponse:
        """Newest first. A page goes on after the last operation of the page before, also where
        operations have come or gone meanwhile."""
        del context
        if request.name not in _COLLECTIONS:
            raise ArgumentOutOfRange("name", "no such collection", 'empty, or "operations"')
        wanted = request.filter.replace(" ", "").lower()
        if wanted not in _FILTERS:
            raise ArgumentOutOfRange(
                "filter", "not understood", "empty, or done=true, or done=false"
            )
        size = count_in_range("page_size", request.page_size)
        after = read_token(request.page_token, request, 2)
        is_done = _FILTERS[wanted]
        found = [
            operation
            for operation in sorted(self._operations().list(), key=_place, reverse=True)
            if (is_done is None or operation.is_done == is_done)
            and (after is None or _place(operation) < after)
        ]
        page = found[:size]
        more = len(found) > size
        return operations_pb2.ListOperationsResponse(
            operations=[to_operation(operation) for operation in page],
            next_page_token=make_token(request, *_place(page[-1])) if more else "",
        )

    async def GetOperation(  # noqa: N802
        self, request: operations_pb2.GetOperationRequest, context: Context
    ) -> operations_pb2.Operation:
        del context
        return to_operation(self._operations().get(request.name))

    async def DeleteOperation(  # noqa: N802
        self, request: operations_pb2.DeleteOperationRequest, context: Context
    ) -> empty_pb2.Empty:
        del context
        self._operations().delete(request.name)
        return empty_pb2.Empty()

    async def CancelOperation(  # noqa: N802
        self, request: operations_pb2.CancelOperationRequest, context: Context
    ) -> empty_pb2.Empty:
        """Answers when the operation has ended."""
        del context
        await self._operations().cancel(request.name)
        return empty_pb2.Empty()

    async def WaitOperation(  # noqa: N802
        self, request: operations_pb2.WaitOperationRequest, context: Context
    ) -> operations_pb2.Operation:
        """Answers when the operation has ended, and earlier, with what is known then, where
        `timeout`, the caller's deadline or the server itself ends before."""
        operations = self._operations()
        timeout_s = _timeout_s(request, context)
        ended = await self._drain.unless_begun(operations.wait(request.name, timeout_s))
        return to_operation(ended or operations.get(request.name))


def _place(operation: Operation) -> tuple[str, str]:
    """Orders operations by their beginning; names decide among equals."""
    return f"{operation.create_time.timestamp():.6f}", operation.name


def _timeout_s(request: operations_pb2.WaitOperationRequest, context: Context) -> float | None:
    """How long the caller wants to wait; None: as long as it takes."""
    limits_s = []
    if request.HasField("timeout"):
        timeout_s = request.timeout.ToNanoseconds() / 1e9
        if timeout_s < 0:
            raise ArgumentOutOfRange("timeout", "negative", "0 and more")
        limits_s.append(timeout_s)
    remaining_s: Any = context.time_remaining()
    if remaining_s is not None:
        limits_s.append(max(remaining_s - _ANSWER_S, remaining_s / 2))
    return min(limits_s, default=None)
