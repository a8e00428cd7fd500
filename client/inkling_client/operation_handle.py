"""The blocking client of one long-running operation.

This module does not know the rules of retrying (`retry.py`), nor what the operation does
(`operation_calls.OperationKind`). The same for asyncio is `operation_aio.py`.
"""

import time
from collections.abc import Callable
from typing import ClassVar, Generic, Protocol, TypeVar

from google.longrunning import operations_pb2, operations_pb2_grpc

from inkling_client.operation_calls import CANCEL_TIMEOUT_S, OperationKind, P, R, wait_request
from inkling_client.retry import RetryPolicy

T = TypeVar("T")


class Caller(Protocol):
    """Calls `call(seconds left)` and turns its errors into typed ones."""

    def __call__(
        self,
        call: Callable[[float], T],
        timeout_s: float | None = None,
        *,
        once: bool = False,
        retry: RetryPolicy | None = None,
    ) -> T:
        """Tries until it works, its error is final, or time is up.

        Args:
            call: what is tried.
            timeout_s: in all; None: the client's.
            once: a single time.
            retry: how often and how patiently; None: as the client does.
        """


class OperationHandle(Generic[P, R]):
    """One operation, running or ended.

    Attributes:
        name: of the operation.
    """

    _kind: ClassVar[OperationKind]  # type: ignore[type-arg]  # a class variable knows no P and R

    def __init__(
        self, name: str, operations: operations_pb2_grpc.OperationsStub, caller: Caller
    ) -> None:
        self.name = name
        self._operations = operations
        self._call = caller

    def progress(self) -> P:
        """How far it is. Raises UnknownOperation where the server has forgotten it."""
        request = operations_pb2.GetOperationRequest(name=self.name)
        operation = self._call(lambda s: self._operations.GetOperation(request, timeout=s))
        progress: P = self._kind.progress_of(operation)
        return progress

    def wait(
        self,
        on_progress: Callable[[P], object] | None = None,
        *,
        timeout_s: float = float("inf"),
    ) -> R:
        """Returns when it has succeeded.

        Args:
            on_progress: told how far it is, about twice a second and at the end.
            timeout_s: how long to wait; the operation goes on after it.

        Raises:
            InklingClientError: it has ended otherwise; which ones, the class says.
            DeadlineExceeded: it runs longer than `timeout_s`.
        """
        kind = self._kind
        deadline_s = time.monotonic() + timeout_s
        while True:
            asked_s = time.monotonic()
            operation = self._wait_a_moment(deadline_s - asked_s)
            if on_progress is not None:
                on_progress(kind.progress_of(operation))
            result: R | None = kind.result_of(operation)
            if result is not None:
                return result
            time.sleep(kind.pause_s(asked_s, time.monotonic(), deadline_s, timeout_s))

    def cancel(self) -> None:
        """Ends it, and returns when it has ended; does nothing where it is too late."""
        request = operations_pb2.CancelOperationRequest(name=self.name)
        self._call(lambda s: self._operations.CancelOperation(request, timeout=s), CANCEL_TIMEOUT_S)

    def _wait_a_moment(self, left_s: float) -> operations_pb2.Operation:
        request, call_s = wait_request(self.name, left_s)
        return self._call(lambda s: self._operations.WaitOperation(request, timeout=s), call_s)
