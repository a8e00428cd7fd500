"""The one place where an error becomes a `google.rpc.Status`.

Unary RPCs end with such a status; `TagStream` puts the same one beside a request's id, and a
refresh or rollout that came to no good end into its Operation. Clients switch on
`ErrorInfo.reason`; the codes are for proxies and retry policies. Nothing here knows how an RPC is
run, and nothing from a request enters a status or a log record.
"""

import logging
import secrets
import traceback
from dataclasses import dataclass
from functools import lru_cache

import grpc
from google.protobuf import any_pb2, duration_pb2, message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from inkling_server.errors import (
    ArgumentOutOfRange,
    BadPageToken,
    DeadlineExceeded,
    EncoderDown,
    GraphVersionNotServed,
    ImageInvalid,
    ImageTooLarge,
    InklingError,
    NoClusters,
    Overloaded,
    PeopleRefreshCancelled,
    PeopleRefreshFailed,
    PeopleRefreshRunning,
    ProfileEmpty,
    RefreshCancelled,
    RefreshFailed,
    RefreshRefused,
    RefreshRunning,
    RolloutCancelled,
    RolloutFailed,
    RolloutRefused,
    RolloutRunning,
    ShuttingDown,
    SpeechFailed,
    StorageDown,
    UnknownContent,
    UnknownInterest,
    UnknownModelVersion,
    UnknownOperation,
    UnknownUser,
    VideoInvalid,
    VideosNotServed,
    VideoTooLarge,
)

DOMAIN = "inkling"

# The contract of the API: add rows, change none.
CODES: dict[type[InklingError], grpc.StatusCode] = {
    ImageInvalid: grpc.StatusCode.INVALID_ARGUMENT,
    ImageTooLarge: grpc.StatusCode.INVALID_ARGUMENT,
    VideoInvalid: grpc.StatusCode.INVALID_ARGUMENT,
    VideoTooLarge: grpc.StatusCode.INVALID_ARGUMENT,
    VideosNotServed: grpc.StatusCode.UNIMPLEMENTED,
    ArgumentOutOfRange: grpc.StatusCode.INVALID_ARGUMENT,
    BadPageToken: grpc.StatusCode.INVALID_ARGUMENT,
    UnknownInterest: grpc.StatusCode.NOT_FOUND,
    UnknownOperation: grpc.StatusCode.NOT_FOUND,
    GraphVersionNotServed: grpc.StatusCode.FAILED_PRECONDITION,
    RefreshRunning: grpc.StatusCode.ABORTED,
    RefreshFailed: grpc.StatusCode.INTERNAL,
    RefreshRefused: grpc.StatusCode.FAILED_PRECONDITION,
    RefreshCancelled: grpc.StatusCode.CANCELLED,
    UnknownModelVersion: grpc.StatusCode.NOT_FOUND,
    RolloutRunning: grpc.StatusCode.ABORTED,
    RolloutFailed: grpc.StatusCode.INTERNAL,
    RolloutRefused: grpc.StatusCode.FAILED_PRECONDITION,
    RolloutCancelled: grpc.StatusCode.CANCELLED,
    UnknownUser: grpc.StatusCode.NOT_FOUND,
    UnknownContent: grpc.StatusCode.NOT_FOUND,
    ProfileEmpty: grpc.StatusCode.FAILED_PRECONDITION,
    NoClusters: grpc.StatusCode.FAILED_PRECONDITION,
    PeopleRefreshRunning: grpc.StatusCode.ABORTED,
    PeopleRefreshFailed: grpc.StatusCode.INTERNAL,
    PeopleRefreshCancelled: grpc.StatusCode.CANCELLED,
    Overloaded: grpc.StatusCode.RESOURCE_EXHAUSTED,
    EncoderDown: grpc.StatusCode.UNAVAILABLE,
    SpeechFailed: grpc.StatusCode.UNAVAILABLE,
    StorageDown: grpc.StatusCode.UNAVAILABLE,
    ShuttingDown: grpc.StatusCode.UNAVAILABLE,
    DeadlineExceeded: grpc.StatusCode.DEADLINE_EXCEEDED,
}

_log = logging.getLogger(__name__)


def to_status(error: Exception) -> status_pb2.Status:
    """Translates any error that left a handler.

    What Inkling did not raise on purpose becomes INTERNAL with an incident id: the client learns
    only the id, the log has the stack under it.
    """
    if isinstance(error, InklingError):
        return _typed(error)
    incident_id = secrets.token_hex(6)
    _log_unexpected(error, incident_id)
    return status_pb2.Status(
        code=_number(grpc.StatusCode.INTERNAL),
        message=f"internal error; the server's log has it as incident {incident_id}",
        details=[_error_info("INTERNAL", {"incident_id": incident_id})],
    )


@dataclass(frozen=True, slots=True)
class Ending:
    """How a call of one reply ends with an error.

    Attributes:
        code: gRPC's code, by name.
        reason: of the ErrorInfo; "" where there is none.
        status: what gRPC sends.
    """

    code: str
    reason: str
    status: grpc.Status


def ending(error: Exception) -> Ending:
    """Translates any error that left the handler of such a call; see `to_status`."""
    if isinstance(error, Overloaded):
        return _full(error.retry_after_s)
    return _ending(to_status(error))


# A full server says so hundreds of times a second, and needs its processors for something else.
@lru_cache(maxsize=16)
def _full(retry_after_s: float) -> Ending:
    return _ending(to_status(Overloaded(retry_after_s)))


def _ending(status: status_pb2.Status) -> Ending:
    return Ending(code_of(status).name, reason_of(status), rpc_status.to_status(status))


def reason_of(status: status_pb2.Status) -> str:
    """The reason in a status made here, or "" where it carries none."""
    info = error_details_pb2.ErrorInfo()
    for detail in status.details:
        if detail.Unpack(info):
            return str(info.reason)
    return ""


def code_of(status: status_pb2.Status) -> grpc.StatusCode:
    """gRPC's code of a status."""
    return next(code for code in grpc.StatusCode if _number(code) == status.code)


def _number(code: grpc.StatusCode) -> int:
    number: int = code.value[0]
    return number


def _typed(error: InklingError) -> status_pb2.Status:
    details = [_error_info(error.reason, error.metadata)]
    if isinstance(error, Overloaded):
        delay = duration_pb2.Duration()
        delay.FromNanoseconds(round(error.retry_after_s * 1e9))
        details.append(_pack(error_details_pb2.RetryInfo(retry_delay=delay)))
    code = next(CODES[kind] for kind in type(error).__mro__ if kind in CODES)
    return status_pb2.Status(code=_number(code), message=str(error), details=details)


def _error_info(reason: str, metadata: dict[str, str]) -> any_pb2.Any:
    return _pack(error_details_pb2.ErrorInfo(reason=reason, domain=DOMAIN, metadata=metadata))


def _pack(detail: message.Message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(detail)
    return packed


def _log_unexpected(error: Exception, incident_id: str) -> None:
    # Libraries quote their input in exception texts, so the text stays out of the log: the type and
    # the stack say where it happened, and the text is there at level debug for whoever asks.
    stack = "".join(traceback.format_tb(error.__traceback__))
    _log.error(
        "unexpected error",
        extra={"incident_id": incident_id, "error": type(error).__name__, "stack": stack},
    )
    _log.debug("text of incident %s: %s", incident_id, error)
