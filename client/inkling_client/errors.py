"""Every error that a caller of the client may see, as one tree, and the table from gRPC to it.

    InklingClientError               reason                      code
    ├── InvalidRequest
    │   ├── ImageInvalid             IMAGE_INVALID               INVALID_ARGUMENT
    │   ├── ImageTooLarge            IMAGE_TOO_LARGE             INVALID_ARGUMENT
    │   ├── VideoInvalid             VIDEO_INVALID               INVALID_ARGUMENT
    │   ├── VideoTooLarge            VIDEO_TOO_LARGE             INVALID_ARGUMENT
    │   ├── VideosNotServed          VIDEOS_NOT_SERVED           UNIMPLEMENTED
    │   ├── ArgumentOutOfRange       ARGUMENT_OUT_OF_RANGE       INVALID_ARGUMENT
    │   └── BadPageToken             BAD_PAGE_TOKEN              INVALID_ARGUMENT
    ├── UnknownInterest              UNKNOWN_INTEREST            NOT_FOUND
    ├── UnknownOperation             UNKNOWN_OPERATION           NOT_FOUND
    ├── GraphVersionNotServed        GRAPH_VERSION_NOT_SERVED    FAILED_PRECONDITION
    ├── RefreshRunning               REFRESH_RUNNING             ABORTED
    ├── RefreshFailed                REFRESH_FAILED              INTERNAL, FAILED_PRECONDITION
    ├── RefreshCancelled             REFRESH_CANCELLED           CANCELLED
    ├── UnknownModelVersion          UNKNOWN_MODEL_VERSION       NOT_FOUND
    ├── RolloutRunning               ROLLOUT_RUNNING             ABORTED
    ├── RolloutFailed                ROLLOUT_FAILED              INTERNAL
    │   └── RolloutRefused           ROLLOUT_REFUSED             FAILED_PRECONDITION
    ├── RolloutCancelled             ROLLOUT_CANCELLED           CANCELLED
    ├── UnknownContent               UNKNOWN_CONTENT             NOT_FOUND
    ├── UnknownUser                  UNKNOWN_USER                NOT_FOUND
    ├── ProfileEmpty                 PROFILE_EMPTY               FAILED_PRECONDITION
    ├── NoClusters                   NO_CLUSTERS                 FAILED_PRECONDITION
    ├── PeopleRefreshRunning         PEOPLE_REFRESH_RUNNING      ABORTED
    ├── PeopleRefreshFailed          PEOPLE_REFRESH_FAILED       any
    ├── PeopleRefreshCancelled       PEOPLE_REFRESH_CANCELLED    CANCELLED
    ├── Overloaded                   OVERLOADED                  RESOURCE_EXHAUSTED
    ├── DeadlineExceeded             DEADLINE_EXCEEDED           DEADLINE_EXCEEDED
    ├── Unavailable                  UNAVAILABLE                 UNAVAILABLE
    │   ├── EncoderDown              ENCODER_DOWN                UNAVAILABLE
    │   └── StorageDown              STORAGE_DOWN                UNAVAILABLE
    ├── Unauthenticated              UNAUTHENTICATED             UNAUTHENTICATED
    ├── PermissionDenied             PERMISSION_DENIED           PERMISSION_DENIED
    └── FileUnreadable               FILE_UNREADABLE             NOT_FOUND, PERMISSION_DENIED
                                                                 or UNKNOWN

FileUnreadable is the client's own: the file never reached the server. A reason that this version
does not know keeps its text and becomes the class of its code, or InklingClientError itself.

This module does not know what may be retried: `retry.py` says that.
"""

from collections.abc import Iterable, Mapping
from typing import cast

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

_STATUS_KEY = "grpc-status-details-bin"
_CODE_BY_NUMBER: dict[int, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}


class InklingClientError(Exception):
    """Base of everything that the client raises on purpose.

    Args:
        message: what is wrong and what is allowed, for a person.
        reason: the word that programs switch on, for example "IMAGE_INVALID". Without an ErrorInfo
            from the server (a broken connection, a proxy) it is the name of the code.
        code: the gRPC status code.
        metadata: details of the server's ErrorInfo, for example {"allowed": "33554432"}.
        retry_after_s: when the server says that a retry has a fair chance; None where it is silent.
    """

    def __init__(
        self,
        message: str,
        *,
        reason: str,
        code: grpc.StatusCode,
        metadata: Mapping[str, str] | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason
        self.code = code
        self.metadata = dict(metadata or {})
        self.retry_after_s = retry_after_s

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.message!r}, reason={self.reason!r})"


class InvalidRequest(InklingClientError):
    """The request cannot succeed as it is."""


class ImageInvalid(InvalidRequest):
    """The bytes are not a picture in a known format, or the picture is damaged."""


class ImageTooLarge(InvalidRequest):
    """A limit on bytes, pixels or sides is exceeded; `metadata` has what, actual and allowed."""


class VideoInvalid(InvalidRequest):
    """The bytes are not a video in a known format, or the video is damaged."""


class VideoTooLarge(InvalidRequest):
    """A limit on a video is exceeded; `metadata` has what, allowed, and actual where known."""


class VideosNotServed(InvalidRequest):
    """The server cannot decode videos."""


class ArgumentOutOfRange(InvalidRequest):
    """A field holds a value outside its range; `metadata` has field and allowed."""


class BadPageToken(InvalidRequest):
    """A page token that is not of this request."""


class UnknownInterest(InklingClientError):
    """The graph version has no such interest; see metadata["graph_version"]."""


class UnknownOperation(InklingClientError):
    """The server knows no such operation (any more): it may have been started anew since."""


class GraphVersionNotServed(InklingClientError):
    """The request insists on a graph version that is not served; see metadata["served"]."""


class RefreshRunning(InklingClientError):
    """There is one refresh at a time; metadata["operation"] names the one that runs."""


class RefreshFailed(InklingClientError):
    """A refresh came to no good end; the version that served before goes on serving."""


class RefreshCancelled(InklingClientError):
    """A refresh was cancelled; the version that served before goes on serving."""


class UnknownModelVersion(InklingClientError):
    """The model repository has no such version; metadata["versions"] has those that it has."""


class RolloutRunning(InklingClientError):
    """There is one rollout at a time; metadata["operation"] names the one that runs."""


class RolloutFailed(InklingClientError):
    """A rollout came to no good end; the model that served before goes on serving."""


class RolloutRefused(RolloutFailed):
    """The new model is beyond a limit, or cannot serve at all; the text has the numbers."""


class RolloutCancelled(InklingClientError):
    """A rollout was cancelled; the model that served before goes on serving."""


class UnknownContent(InklingClientError):
    """Nothing is stored of such an item."""


class UnknownUser(InklingClientError):
    """Nothing is stored of such a person."""


class ProfileEmpty(InklingClientError):
    """Somebody has kept no picture that the model which serves can tell anything about."""


class NoClusters(InklingClientError):
    """There are no visual clusters yet: a refresh of people fits them."""


class PeopleRefreshRunning(InklingClientError):
    """There is one refresh of people at a time; metadata["operation"] names the one that runs."""


class PeopleRefreshFailed(InklingClientError):
    """A refresh of people came to no good end; what was there before goes on serving."""


class PeopleRefreshCancelled(InklingClientError):
    """A refresh of people was cancelled; what was there before goes on serving."""


class Overloaded(InklingClientError):
    """The server is full. `retry_after_s` says when a retry has a fair chance."""


class DeadlineExceeded(InklingClientError):
    """The deadline passed before the answer was there. Never retried: the time is spent."""


class Unavailable(InklingClientError):
    """There is no connection, or what the server depends on is down."""


class EncoderDown(Unavailable):
    """The server is there and its encoders are not. It brings them back by itself."""


class StorageDown(Unavailable):
    """The server is there and its database is not."""


class Unauthenticated(InklingClientError):
    """The server wants to know who is calling."""


class PermissionDenied(InklingClientError):
    """The caller may not do this."""


class FileUnreadable(InklingClientError):
    """A file that was to be tagged cannot be read on this machine."""


_BY_REASON: dict[str, type[InklingClientError]] = {
    "IMAGE_INVALID": ImageInvalid,
    "IMAGE_TOO_LARGE": ImageTooLarge,
    "VIDEO_INVALID": VideoInvalid,
    "VIDEO_TOO_LARGE": VideoTooLarge,
    "VIDEOS_NOT_SERVED": VideosNotServed,
    "ARGUMENT_OUT_OF_RANGE": ArgumentOutOfRange,
    "BAD_PAGE_TOKEN": BadPageToken,
    "UNKNOWN_INTEREST": UnknownInterest,
    "UNKNOWN_OPERATION": UnknownOperation,
    "GRAPH_VERSION_NOT_SERVED": GraphVersionNotServed,
    "REFRESH_RUNNING": RefreshRunning,
    "REFRESH_FAILED": RefreshFailed,
    "REFRESH_CANCELLED": RefreshCancelled,
    "UNKNOWN_MODEL_VERSION": UnknownModelVersion,
    "ROLLOUT_RUNNING": RolloutRunning,
    "ROLLOUT_FAILED": RolloutFailed,
    "ROLLOUT_REFUSED": RolloutRefused,
    "ROLLOUT_CANCELLED": RolloutCancelled,
    "UNKNOWN_CONTENT": UnknownContent,
    "UNKNOWN_USER": UnknownUser,
    "PROFILE_EMPTY": ProfileEmpty,
    "NO_CLUSTERS": NoClusters,
    "PEOPLE_REFRESH_RUNNING": PeopleRefreshRunning,
    "PEOPLE_REFRESH_FAILED": PeopleRefreshFailed,
    "PEOPLE_REFRESH_CANCELLED": PeopleRefreshCancelled,
    "OVERLOADED": Overloaded,
    "DEADLINE_EXCEEDED": DeadlineExceeded,
    "ENCODER_DOWN": EncoderDown,
    "STORAGE_DOWN": StorageDown,
    "UNAUTHENTICATED": Unauthenticated,
    "PERMISSION_DENIED": PermissionDenied,
}
_BY_CODE: dict[grpc.StatusCode, type[InklingClientError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidRequest,
    grpc.StatusCode.RESOURCE_EXHAUSTED: Overloaded,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
    grpc.StatusCode.UNAVAILABLE: Unavailable,
    grpc.StatusCode.UNAUTHENTICATED: Unauthenticated,
    grpc.StatusCode.PERMISSION_DENIED: PermissionDenied,
}


def from_status(status: status_pb2.Status) -> InklingClientError:
    """Builds the typed error of a google.rpc.Status."""
    code = _CODE_BY_NUMBER.get(status.code, grpc.StatusCode.UNKNOWN)
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    retry_after_s = None
    for detail in status.details:
        if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            detail.Unpack(info)
        elif detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR):
            detail.Unpack(retry)
            retry_after_s = retry.retry_delay.ToTimedelta().total_seconds()
    reason, metadata = info.reason, dict(info.metadata)
    if not reason and "message larger than max" in status.message:
        # gRPC's own transport limit, hit before the server's code could see the picture.
        reason = "IMAGE_TOO_LARGE"
    reason = reason or code.name
    kind = _BY_REASON.get(reason) or _BY_CODE.get(code, InklingClientError)
    return kind(
        status.message or reason,
        reason=reason,
        code=code,
        metadata=metadata,
        retry_after_s=retry_after_s,
    )


def from_rpc_error(error: grpc.RpcError) -> InklingClientError:
    """Builds the typed error of a failed call, sync or async."""
    metadata = cast(Iterable[tuple[str, str | bytes]], error.trailing_metadata() or ())
    for key, value in metadata:
        if key == _STATUS_KEY and isinstance(value, bytes):
            try:
                return from_status(status_pb2.Status.FromString(value))
            except DecodeError:
                break  # a proxy's own idea of that header: the plain code and text remain
    code: grpc.StatusCode = error.code()
    return from_status(status_pb2.Status(code=code.value[0], message=error.details() or ""))
