"""The table from errors to statuses: complete, as the contract says, and discreet."""

import logging
from collections.abc import Iterator

import grpc
import pytest
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
    InvalidRequest,
    Overloaded,
    RefreshCancelled,
    RefreshFailed,
    RefreshRefused,
    RefreshRunning,
    ShuttingDown,
    UnknownInterest,
    UnknownOperation,
)
from inkling_server.rpc.status import CODES, DOMAIN, code_of, ending, reason_of, to_status

# As the API promises it to clients; written out, so that no refactoring can change it unseen.
CONTRACT = [
    (ImageInvalid("x"), "INVALID_ARGUMENT", "IMAGE_INVALID"),
    (ImageTooLarge("image bytes", 2, 1), "INVALID_ARGUMENT", "IMAGE_TOO_LARGE"),
    (ArgumentOutOfRange("top_n", "0", "1 to 100"), "INVALID_ARGUMENT", "ARGUMENT_OUT_OF_RANGE"),
    (BadPageToken(), "INVALID_ARGUMENT", "BAD_PAGE_TOKEN"),
    (UnknownInterest("v2"), "NOT_FOUND", "UNKNOWN_INTEREST"),
    (UnknownOperation(), "NOT_FOUND", "UNKNOWN_OPERATION"),
    (GraphVersionNotServed("v2"), "FAILED_PRECONDITION", "GRAPH_VERSION_NOT_SERVED"),
    (RefreshRunning("operations/refresh-1"), "ABORTED", "REFRESH_RUNNING"),
    (RefreshFailed("x"), "INTERNAL", "REFRESH_FAILED"),
    (RefreshRefused("x"), "FAILED_PRECONDITION", "REFRESH_FAILED"),
    (RefreshCancelled(), "CANCELLED", "REFRESH_CANCELLED"),
    (Overloaded(0.25), "RESOURCE_EXHAUSTED", "OVERLOADED"),
    (EncoderDown("x"), "UNAVAILABLE", "ENCODER_DOWN"),
    (ShuttingDown(), "UNAVAILABLE", "SHUTTING_DOWN"),
    (DeadlineExceeded(), "DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED"),
]


def subclasses(kind: type[InklingError]) -> Iterator[type[InklingError]]:
    for child in kind.__subclasses__():
        yield child
        yield from subclasses(child)


def detail(status: status_pb2.Status, kind: type) -> object:
    found = kind()
    assert any(packed.Unpack(found) for packed in status.details)
    return found


@pytest.mark.parametrize(("error", "code", "reason"), CONTRACT, ids=lambda v: type(v).__name__)
def test_error_has_the_code_and_reason_of_the_contract(
    error: InklingError, code: str, reason: str
) -> None:
    status = to_status(error)
    assert code_of(status) is grpc.StatusCode[code]
    assert reason_of(status) == reason
    assert status.message == str(error)
    info = detail(status, error_details_pb2.ErrorInfo)
    assert isinstance(info, error_details_pb2.ErrorInfo)
    assert info.domain == DOMAIN
    assert dict(info.metadata) == error.metadata


def test_every_error_of_the_tree_has_a_code() -> None:
    for kind in subclasses(InklingError):
        if kind is not InvalidRequest:
            assert any(parent in CODES for parent in kind.__mro__), kind


def test_overloaded_says_when_to_retry() -> None:
    retry = detail(to_status(Overloaded(0.25)), error_details_pb2.RetryInfo)
    assert isinstance(retry, error_details_pb2.RetryInfo)
    assert retry.retry_delay.ToNanoseconds() == 250_000_000


def test_unexpected_error_is_opaque_to_the_client_and_found_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    quoted = "".join(["a cap", "tion that someone wrote"])
    try:
        raise KeyError(quoted)
    except KeyError as error:
        status = to_status(error)
    assert code_of(status) is grpc.StatusCode.INTERNAL
    info = detail(status, error_details_pb2.ErrorInfo)
    assert isinstance(info, error_details_pb2.ErrorInfo)
    assert info.reason == "INTERNAL"
    assert "caption" not in status.message
    [record] = caplog.records
    fields = vars(record)
    assert fields["incident_id"] == info.metadata["incident_id"]
    assert fields["error"] == "KeyError"
    assert "test_status" in fields["stack"]
    assert "caption" not in str(fields)


def test_a_status_of_others_has_no_reason() -> None:
    assert reason_of(status_pb2.Status(code=5)) == ""


@pytest.mark.parametrize("error", [Overloaded(1.0), Overloaded(0.25), ImageInvalid("no JPEG")])
def test_ending_of_a_call_is_its_status_as_grpc_sends_it(error: InklingError) -> None:
    for _ in range(2):  # those of a full server are kept
        end, status = ending(error), to_status(error)
        assert (end.code, end.reason) == (code_of(status).name, error.reason)
        assert end.status == rpc_status.to_status(status)
