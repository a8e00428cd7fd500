"""Long-running operations as both clients see them: what they wait for, and for how long.

This module does not know connections: `operation_handle.py` and `operation_aio.py` have them.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from google.longrunning import operations_pb2
from google.protobuf import duration_pb2

from inkling_client.errors import InklingClientError
from inkling_client.local_errors import operation_not_done

# Longer than a call's usual deadline: it waits for the operation's end.
CANCEL_TIMEOUT_S = 60.0
# How long a server may hold a call that waits for an operation: news of its progress come as often.
POLL_S = 0.5
# What a waiting call gets beyond the time that it asked for.
_ANSWER_S = 10.0


class OperationProgress(Protocol):
    """What every operation's progress tells; see `RefreshProgress` and `RolloutProgress`."""

    @property
    def name(self) -> str: ...
    @property
    def done(self) -> bool: ...
    @property
    def stage(self) -> str: ...
    @property
    def done_count(self) -> int: ...
    @property
    def total_count(self) -> int: ...
    @property
    def stage_s(self) -> Mapping[str, float]: ...
    @property
    def create_time(self) -> datetime | None: ...
    @property
    def end_time(self) -> datetime | None: ...


P = TypeVar("P", bound=OperationProgress)
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class OperationKind(Generic[P, R]):
    """How one kind of operation is read.

    Attributes:
        what: "refresh" or "rollout", for errors.
        progress_of: how far an operation is.
        outcome_of: its result or its error; None while it runs.
    """

    what: str
    progress_of: Callable[[operations_pb2.Operation], P]
    outcome_of: Callable[[operations_pb2.Operation], R | InklingClientError | None]

    def result_of(self, operation: operations_pb2.Operation) -> R | None:
        """Its result; None while it runs. Raises the error that it has ended with."""
        outcome = self.outcome_of(operation)
        if isinstance(outcome, InklingClientError):
            raise outcome
        return outcome

    def pause_s(self, asked_s: float, now_s: float, deadline_s: float, timeout_s: float) -> float:
        """How long to wait before asking again: servers may answer early.

        Raises:
            DeadlineExceeded: the deadline is over; it came `timeout_s` after the start.
        """
        if now_s >= deadline_s:
            raise operation_not_done(self.what, timeout_s)
        return max(min(asked_s + POLL_S, deadline_s) - now_s, 0.0)


def wait_request(name: str, left_s: float) -> tuple[operations_pb2.WaitOperationRequest, float]:
    """A request to wait a moment for an operation, and the deadline of its call in seconds.

    Args:
        name: of the operation.
        left_s: how long the caller would wait yet.
    """
    timeout_s = max(min(POLL_S, left_s), 0.0)
    timeout = duration_pb2.Duration()
    timeout.FromNanoseconds(math.ceil(timeout_s * 1e9))
    request = operations_pb2.WaitOperationRequest(name=name, timeout=timeout)
    return request, timeout_s + _ANSWER_S
