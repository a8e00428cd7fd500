"""The books of a stream, without any connection; times are the test's own."""

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inkling.v1 import tagging_pb2
from inkling_client import (
    DeadlineExceeded,
    ImageTooLarge,
    InklingClientError,
    RetryPolicy,
    TagResult,
)
from inkling_client.errors import Unauthenticated, Unavailable
from inkling_client.requests import TagOptions
from inkling_client.stream_ledger import StreamLedger
from inkling_client.tag_kind import tag_kind
from tests.client.fake_server import INVALID, overloaded

ROOM = 1000
POLICY = RetryPolicy(
    max_attempts=3, initial_backoff_s=1.0, max_backoff_s=8.0, multiplier=2.0, jitter=0.0
)
BROKEN = Unavailable("broken", reason="UNAVAILABLE", code=grpc.StatusCode.UNAVAILABLE)


class Books(StreamLedger[int, TagResult]):
    """A ledger whose clock the test sets."""

    def __init__(self) -> None:
        self.now_s = 100.0
        super().__init__(tag_kind(TagOptions()), POLICY, 30.0, clock=lambda: self.now_s)

    def put(self, *keys: int) -> None:
        for key in keys:
            request = tagging_pb2.TagRequest(image=b"x")
            self.admit(key, tagging_pb2.TagStreamRequest(request=request))

    def send(self) -> str:
        message = self.take(ROOM)
        assert message is not None
        return message.request_id

    def answer(self, number: str) -> None:
        self.settle(
            tagging_pb2.TagStreamResponse(
                request_id=number, response=tagging_pb2.TagResponse(model_version="m")
            )
        )


def test_what_broke_goes_to_the_front_in_its_order() -> None:
    books = Books()
    books.put(0, 1, 2)
    first, second = books.send(), books.send()
    assert books.broken(BROKEN) == 1.0
    assert [books.send(), books.send(), books.send()] == [first, second, "2"]


def test_waits_grow_until_an_answer_comes() -> None:
    books = Books()
    books.put(0, 1)
    books.send()
    assert books.broken(BROKEN) == 1.0
    books.send()
    assert books.broken(BROKEN) == 2.0
    books.answer(books.send())
    books.send()
    assert books.broken(BROKEN) == 1.0


def test_attempts_used_up_fail_everything_and_later_inputs_fail_fast() -> None:
    books = Books()
    books.put(0, 1)
    for _ in range(3):
        books.take(ROOM)
        books.broken(BROKEN)
    assert [key for key, _ in books.outcomes] == [0, 1]
    assert books.idle
    books.put(2)
    books.send()
    assert books.broken(BROKEN) == 1.0
    assert len(books.outcomes) == 3


def test_a_picture_that_breaks_every_connection_fails_alone() -> None:
    books = Books()
    books.put(0)
    for other in (1, 2, 3):
        books.put(other)
        books.send()
        books.answer(books.send())
        books.broken(BROKEN)
    outcomes = dict(books.outcomes)
    assert outcomes.pop(0) is BROKEN
    assert not any(isinstance(outcome, InklingClientError) for outcome in outcomes.values())


def test_an_error_that_does_not_pass_fails_everything_at_once() -> None:
    books = Books()
    books.put(0, 1)
    books.send()
    error = Unauthenticated("who", reason="UNAUTHENTICATED", code=grpc.StatusCode.UNAUTHENTICATED)
    books.broken(error)
    assert [outcome for _, outcome in books.outcomes] == [error, error]


def test_a_refused_picture_waits_for_as_long_as_the_server_says() -> None:
    books = Books()
    books.put(0)
    number = books.send()
    books.settle(tagging_pb2.TagStreamResponse(request_id=number, error=overloaded(5.0)))
    assert books.due_in_s() == 6.0
    assert books.take(ROOM) is None
    books.now_s += 6.0
    assert books.send() == number


def test_a_standstill_is_counted_from_the_last_answer() -> None:
    books = Books()
    assert books.stall_in_s() is None
    books.put(0, 1)
    first = books.send()
    books.send()
    books.now_s += 20
    books.answer(first)
    assert books.stall_in_s() == 30.0
    books.now_s += 31
    assert books.stall_in_s() == 0.0
    books.stalled()
    assert isinstance(dict(books.outcomes)[1], DeadlineExceeded)
    assert books.idle


def test_replies_to_nobody_are_ignored() -> None:
    books = Books()
    books.put(0)
    number = books.send()
    books.answer("77")
    books.answer(number)
    books.answer(number)
    assert len(books.outcomes) == 1


def test_a_reply_without_result_is_an_error() -> None:
    books = Books()
    books.put(0)
    books.settle(tagging_pb2.TagStreamResponse(request_id=books.send()))
    assert isinstance(books.outcomes[0][1], InklingClientError)


def test_a_picture_over_the_limit_is_not_sent() -> None:
    books = Books()
    books.put(0)
    assert books.take(0) is None
    assert isinstance(books.outcomes[0][1], ImageTooLarge)


@given(
    st.lists(
        st.sampled_from(["admit", "take", "answer", "refuse", "full", "break", "stall", "wait"])
    )
)
def test_every_input_gets_exactly_one_outcome(steps: list[str]) -> None:
    books = Books()
    admitted = 0
    under_way: list[str] = []
    for step in steps:
        if step == "admit":
            books.put(admitted)
            admitted += 1
        elif step == "take":
            message = books.take(ROOM)
            under_way += [message.request_id] if message else []
        elif step in ("answer", "refuse", "full") and under_way:
            number = under_way.pop()
            if step == "answer":
                books.answer(number)
            else:
                error = INVALID if step == "refuse" else overloaded(0.5)
                books.settle(tagging_pb2.TagStreamResponse(request_id=number, error=error))
        elif step == "break":
            books.broken(BROKEN)
            under_way.clear()
        elif step == "stall":
            books.stalled()
            under_way.clear()
        elif step == "wait":
            books.now_s += 0.7
    for _ in range(POLICY.max_attempts):  # whatever is left: the connection dies for good
        books.broken(BROKEN)
    assert sorted(key for key, _ in books.outcomes) == list(range(admitted))
    assert books.idle
    assert books._held_bytes == 0


@pytest.mark.parametrize("reason", ["CANCELLED", "INTERNAL"])
def test_how_transports_report_a_break_does_not_matter(reason: str) -> None:
    books = Books()
    books.put(0)
    books.send()
    books.broken(InklingClientError("rst", reason=reason, code=grpc.StatusCode[reason]))
    assert not books.outcomes
