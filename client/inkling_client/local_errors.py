"""Errors that the client makes by itself: what never reached a server, or got no answer.

This module does not know what becomes of them.
"""

import grpc

from inkling_client.errors import (
    ArgumentOutOfRange,
    DeadlineExceeded,
    FileUnreadable,
    ImageTooLarge,
    InklingClientError,
    InvalidRequest,
    Unavailable,
    VideoTooLarge,
)


def stream_ended_early() -> InklingClientError:
    """The server ended a stream and left pictures without an answer."""
    return Unavailable(
        "the server ended the stream before it had answered every picture",
        reason="UNAVAILABLE",
        code=grpc.StatusCode.UNAVAILABLE,
    )


def no_answer_for(stall_timeout_s: float) -> InklingClientError:
    """A stream stood still: pictures were under way, and no answer came for that long."""
    return DeadlineExceeded(
        f"no answer from the server for {stall_timeout_s:g} s",
        reason="DEADLINE_EXCEEDED",
        code=grpc.StatusCode.DEADLINE_EXCEEDED,
    )


def operation_not_done(what: str, timeout_s: float) -> InklingClientError:
    """A refresh or rollout runs on, and its caller would not wait longer."""
    return DeadlineExceeded(
        f"the {what} was not done within {timeout_s:g} s; it goes on",
        reason="DEADLINE_EXCEEDED",
        code=grpc.StatusCode.DEADLINE_EXCEEDED,
    )


def image_bytes_over_limit(actual: int, allowed: int) -> ImageTooLarge:
    """The same error that the server answers, made here so that the bytes need not travel."""
    return ImageTooLarge(
        f"image bytes: {actual:,} is over the limit of {allowed:,}",
        reason="IMAGE_TOO_LARGE",
        code=grpc.StatusCode.INVALID_ARGUMENT,
        metadata={"what": "image bytes", "actual": str(actual), "allowed": str(allowed)},
    )


def video_bytes_over_limit(actual: int, allowed: int) -> VideoTooLarge:
    """The same for a video."""
    return VideoTooLarge(
        f"video bytes: {actual:,} is over the limit of {allowed:,}",
        reason="VIDEO_TOO_LARGE",
        code=grpc.StatusCode.INVALID_ARGUMENT,
        metadata={"what": "video bytes", "actual": str(actual), "allowed": str(allowed)},
    )


def not_sendable(what: str) -> ArgumentOutOfRange:
    """Something that no message can hold; `what` says so without repeating it."""
    return ArgumentOutOfRange(
        what, reason="ARGUMENT_OUT_OF_RANGE", code=grpc.StatusCode.INVALID_ARGUMENT
    )


def file_unreadable(error: OSError) -> FileUnreadable:
    """Says why a file cannot be read, without its name: the caller knows that."""
    if isinstance(error, FileNotFoundError):
        code = grpc.StatusCode.NOT_FOUND
    elif isinstance(error, PermissionError):
        code = grpc.StatusCode.PERMISSION_DENIED
    else:
        code = grpc.StatusCode.UNKNOWN
    text = error.strerror or type(error).__name__
    return FileUnreadable(text, reason="FILE_UNREADABLE", code=code)


def line_invalid(problem: str) -> InvalidRequest:
    """A line of a file that is neither an item nor an engagement; `problem` does not repeat it."""
    return InvalidRequest(problem, reason="LINE_INVALID", code=grpc.StatusCode.INVALID_ARGUMENT)
