"""When a failed call is tried again, and after how long."""

import grpc
import pytest

from inkling_client import (
    DeadlineExceeded,
    EncoderDown,
    ImageInvalid,
    InklingClientError,
    Overloaded,
    RetryPolicy,
    Unavailable,
)

POLICY = RetryPolicy(
    max_attempts=4, initial_backoff_s=1.0, max_backoff_s=5.0, multiplier=3.0, jitter=0.0
)


def error(kind: type[InklingClientError], retry_after_s: float | None = None) -> InklingClientError:
    return kind("x", reason="X", code=grpc.StatusCode.UNKNOWN, retry_after_s=retry_after_s)


@pytest.mark.parametrize("kind", [Unavailable, EncoderDown, Overloaded])
def test_what_may_pass_is_tried_again(kind: type[InklingClientError]) -> None:
    assert [POLICY.wait_s(error(kind), attempt) for attempt in (1, 2, 3, 4)] == [1, 3, 5, None]


@pytest.mark.parametrize("kind", [ImageInvalid, DeadlineExceeded, InklingClientError])
def test_what_will_not_pass_is_final(kind: type[InklingClientError]) -> None:
    assert POLICY.wait_s(error(kind), 1) is None


def test_the_servers_own_wait_comes_first() -> None:
    assert POLICY.wait_s(error(Overloaded, retry_after_s=10), 1) == 11


def test_no_wait_beyond_the_deadline() -> None:
    assert POLICY.wait_s(error(Unavailable), 1, remaining_s=1.1) == 1.0
    assert POLICY.wait_s(error(Unavailable), 1, remaining_s=1.0) is None


def test_jitter_spreads_waits_around_their_mean() -> None:
    policy = RetryPolicy(initial_backoff_s=1.0, jitter=0.25)
    assert policy.backoff_s(1, lambda low, _: low) == 0.75
    assert policy.backoff_s(1, lambda _, high: high) == 1.25


def test_thousands_of_failures_do_not_overflow() -> None:
    assert POLICY.backoff_s(1_000_000) == 5.0


@pytest.mark.parametrize(
    "wrong", [{"max_attempts": 0}, {"multiplier": 0.5}, {"jitter": 2}, {"max_backoff_s": -1}]
)
def test_senseless_policies_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"wait|policy"):
        RetryPolicy(**wrong)  # type: ignore[arg-type]
