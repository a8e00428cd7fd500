"""The asyncio client of one long-running operation: `operation_handle.py`, awaited."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import ClassVar, Generic, Protocol, TypeVar

from google.longrunning import operations_pb2, operations_pb2_grpc

from inkling_client.operation_calls import CANCEL_TIMEOUT_S, OperationKind, P, R, wait_request
from inkling_client.retry import RetryPolicy

T = TypeVar("T")


class AsyncCaller(Protocol):
    """Awaits `call(seconds left)` and turns its errors into typed ones."""

    async def __call__(
        self,
        call: Callable[[float], Awaitable[T]],
        timeout_s: float | None = None,
        *,
        once: bool = False,
        retry: RetryPolicy | None = None,
    ) -> T:
        """Tries until it works, its error is final, or time is up; arguments as of `Caller`."""


class AsyncOperationHandle(Generic[P, R]):
    """One operation, running or ended; see `OperationHandle`.

    Attributes:
        name: of the operation.
    """

    _kind: ClassVar[OperationKind]  # type: ignore[type-arg]  # a class variable knows no P and R

    def __init__(
        self, name: str, operations: operations_pb2_grpc.OperationsStub, caller: AsyncCaller
    ) -> None:
        self.name = name
        self._operations = operations
        self._call = caller

    async def progress(self) -> P:
        """How far it is. Raises UnknownOperation where the server has forgotten it."""
        request = operations_pb2.GetOperationRequest(name=self.name)
        operation = await self._call(lambda s: self._operations.GetOperation(request, timeout=s))
        progress: P = self._kind.progress_of(operation)
        return progress

    async def wait(
        self,
        on_progress: Callable[[P], object] | None = None,
        *,
        timeout_s: float = float("inf"),
    ) -> R:
        """Returns when it has succeeded; arguments and errors as of `OperationHandle.wait`."""
        kind = self._kind
        deadline_s = time.monotonic() + timeout_s
        while True:
            asked_s = time.monotonic()
            operation = await self._wait_a_moment(deadline_s - asked_s)
            if on_progress is not None:
                on_progress(kind.progress_of(operation))
            result: R | None = kind.result_of(operation)
            if result is not None:
                return result
            await asyncio.sleep(kind.pause_s(asked_s, time.monotonic(), deadline_s, timeout_s))

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
