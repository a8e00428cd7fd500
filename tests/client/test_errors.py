"""From google.rpc.Status to the tree of errors."""

import grpc
import pytest
from google.rpc import status_pb2

import inkling_client
from inkling_client import InklingClientError
from inkling_client.errors import from_status
from tests.client.fake_server import overloaded, status

Code = grpc.StatusCode


@pytest.mark.parametrize(
    ("code", "reason", "name"),
    [
        (Code.INVALID_ARGUMENT, "IMAGE_INVALID", "ImageInvalid"),
        (Code.INVALID_ARGUMENT, "IMAGE_TOO_LARGE", "ImageTooLarge"),
        (Code.INVALID_ARGUMENT, "VIDEO_INVALID", "VideoInvalid"),
        (Code.INVALID_ARGUMENT, "VIDEO_TOO_LARGE", "VideoTooLarge"),
        (Code.UNIMPLEMENTED, "VIDEOS_NOT_SERVED", "VideosNotServed"),
        (Code.INVALID_ARGUMENT, "ARGUMENT_OUT_OF_RANGE", "ArgumentOutOfRange"),
        (Code.INVALID_ARGUMENT, "SOMETHING_NEW", "InvalidRequest"),
        (Code.FAILED_PRECONDITION, "GRAPH_VERSION_NOT_SERVED", "GraphVersionNotServed"),
        (Code.RESOURCE_EXHAUSTED, "OVERLOADED", "Overloaded"),
        (Code.UNAVAILABLE, "ENCODER_DOWN", "EncoderDown"),
        (Code.UNAVAILABLE, "STORAGE_DOWN", "StorageDown"),
        (Code.UNAVAILABLE, "SHUTTING_DOWN", "Unavailable"),
        (Code.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED", "DeadlineExceeded"),
        (Code.UNAUTHENTICATED, "UNAUTHENTICATED", "Unauthenticated"),
        (Code.PERMISSION_DENIED, "PERMISSION_DENIED", "PermissionDenied"),
        (Code.NOT_FOUND, "UNKNOWN_CONTENT", "UnknownContent"),
        (Code.NOT_FOUND, "UNKNOWN_USER", "UnknownUser"),
        (Code.FAILED_PRECONDITION, "PROFILE_EMPTY", "ProfileEmpty"),
        (Code.FAILED_PRECONDITION, "NO_CLUSTERS", "NoClusters"),
        (Code.ABORTED, "PEOPLE_REFRESH_RUNNING", "PeopleRefreshRunning"),
        (Code.INTERNAL, "PEOPLE_REFRESH_FAILED", "PeopleRefreshFailed"),
        (Code.CANCELLED, "PEOPLE_REFRESH_CANCELLED", "PeopleRefreshCancelled"),
        (Code.NOT_FOUND, "UNKNOWN_SOMETHING", "InklingClientError"),
    ],
)
def test_every_reason_has_its_class(code: grpc.StatusCode, reason: str, name: str) -> None:
    error = from_status(status(code, reason, "text", metadata={"field": "top_n"}))
    assert type(error) is getattr(inkling_client, name)
    assert (error.code, error.reason, str(error)) == (code, reason, "text")
    assert error.metadata == {"field": "top_n"}
    assert error.retry_after_s is None


def test_retry_info_is_seconds() -> None:
    assert from_status(overloaded(1.25)).retry_after_s == 1.25


def test_without_details_the_code_speaks() -> None:
    error = from_status(status_pb2.Status(code=13, message=""))
    assert (error.reason, error.code, str(error)) == ("INTERNAL", Code.INTERNAL, "INTERNAL")
    assert from_status(status_pb2.Status(code=99)).code is Code.UNKNOWN


def test_errors_know_themselves() -> None:
    error = from_status(overloaded(1.0))
    assert repr(error) == "Overloaded('because', reason='OVERLOADED')"
    assert isinstance(error, InklingClientError)


def test_every_error_is_exported() -> None:
    def tree(kind: type[InklingClientError]) -> set[str]:
        return {kind.__name__}.union(*(tree(child) for child in kind.__subclasses__()))

    assert tree(InklingClientError) <= set(inkling_client.__all__)
