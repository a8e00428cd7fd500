"""What both clients promise for streams: the same tests run with either."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from inkling_client import (
    AsyncInklingClient,
    Context,
    DeadlineExceeded,
    FileUnreadable,
    Image,
    ImageInvalid,
    ImageTooLarge,
    InklingClient,
    InklingClientError,
    Overloaded,
    Post,
    RetryPolicy,
    TagResult,
    Unavailable,
)
from tests.client.fake_server import (
    INVALID,
    MAX_IMAGE_BYTES,
    FakeInkling,
    RunningServer,
    overloaded,
)
from tests.client.one_face import ClientFace, Outcome

QUICK = RetryPolicy(max_attempts=8, initial_backoff_s=0.01, max_backoff_s=0.5, multiplier=2.0)


def pictures(count: int) -> list[tuple[int, bytes]]:
    return [(number, f"picture {number}".encode()) for number in range(count)]


def phrases(outcomes: list[Outcome]) -> dict[object, str]:
    """id -> what was seen in its picture: the phrase, or the error's reason."""
    return {
        key: outcome.tags[0].phrase if isinstance(outcome, TagResult) else outcome.reason
        for key, outcome in outcomes
    }


async def test_every_picture_gets_its_own_answer(client: ClientFace, fake: FakeInkling) -> None:
    outcomes = await client.stream(pictures(300))
    assert len(outcomes) == 300
    assert phrases(outcomes) == {n: f"picture {n}" for n in range(300)}
    assert fake.stream_count == 1


async def test_pictures_may_bring_their_texts(client: ClientFace) -> None:
    inputs: list[tuple[int, bytes | Post]] = [
        (0, b"plain"),
        (1, Post(b"told", Context(caption="a caption"))),
    ]
    outcomes = dict(await client.stream(inputs, explain=True))
    quotes = {}
    for key, outcome in outcomes.items():
        assert isinstance(outcome, TagResult)
        why = outcome.tags[0].explanation
        assert why is not None
        quotes[key] = [one.text for one in why.evidence]
    assert quotes == {0: [], 1: ["a caption"]}


async def test_a_text_that_cannot_be_sent_costs_its_picture_alone(client: ClientFace) -> None:
    bad = Post(b"told", Context(caption="half \ud83d"))
    seen = phrases(await client.stream([(0, bad), (1, b"plain")]))
    assert seen == {0: "ARGUMENT_OUT_OF_RANGE", 1: "plain"}


async def test_answers_out_of_order_are_matched(client: ClientFace, fake: FakeInkling) -> None:
    fake.hold = True
    stream = asyncio.create_task(client.stream(pictures(20)))
    await asyncio.to_thread(fake.wait_for, "streamed", 20)
    fake.release()  # last come, first served
    outcomes = await stream
    assert phrases(outcomes) == {n: f"picture {n}" for n in range(20)}
    assert [key for key, _ in outcomes] == list(range(19, -1, -1))


async def test_ids_may_be_anything_and_repeat(client: ClientFace) -> None:
    inputs = [(("a", 1), b"cat"), (("a", 1), b"dog"), (None, b"cow")]
    outcomes = await client.stream(inputs)
    assert sorted(repr(key) for key, _ in outcomes) == ["('a', 1)", "('a', 1)", "None"]


async def test_a_bad_picture_is_a_value_and_ends_nothing(
    client: ClientFace, fake: FakeInkling, tmp_path: Path
) -> None:
    fake.script[b"text"] = [INVALID]
    inputs: list[tuple[int, Image]] = [
        (0, b"cat"),
        (1, b"text"),
        (2, tmp_path / "missing.jpg"),
        (3, bytes(MAX_IMAGE_BYTES + 1)),
        (4, b"dog"),
    ]
    outcomes = dict(await client.stream(inputs))
    assert isinstance(outcomes[0], TagResult)
    assert isinstance(outcomes[1], ImageInvalid)
    assert isinstance(outcomes[2], FileUnreadable)
    assert isinstance(outcomes[3], ImageTooLarge)
    assert isinstance(outcomes[4], TagResult)
    assert sorted(fake.streamed) == [b"cat", b"dog", b"text"]


async def test_options_travel_with_every_picture(client: ClientFace) -> None:
    outcomes = await client.stream(pictures(3), explain=True)
    for _, outcome in outcomes:
        assert isinstance(outcome, TagResult)
        assert outcome.tags[0].explanation is not None


async def test_never_more_than_max_in_flight_pictures_are_held(
    client: ClientFace, fake: FakeInkling
) -> None:
    drawn = 0

    def inputs() -> Iterator[tuple[int, bytes]]:
        nonlocal drawn
        for item in pictures(50):
            drawn += 1
            yield item

    fake.hold = True
    stream = asyncio.create_task(client.stream(inputs(), max_in_flight=7))
    await asyncio.to_thread(fake.wait_for, "streamed", 7)
    assert drawn == 7
    assert len(fake.streamed) == 7
    fake.release()
    assert len(await stream) == 50


async def test_large_pictures_are_held_by_their_bytes(
    client: ClientFace, fake: FakeInkling
) -> None:
    large = bytes(4 * 2**20)
    inputs = iter([(n, large) for n in range(40)])
    fake.hold = True
    stream = asyncio.create_task(client.stream(inputs))
    await asyncio.to_thread(fake.wait_for, "streamed", 16)
    assert len(fake.streamed) == 16  # 64 MiB
    fake.release()
    assert len(await stream) == 40


async def test_a_caller_that_takes_nothing_holds_back_the_inputs(server: RunningServer) -> None:
    inputs = iter(pictures(50))
    async with AsyncInklingClient(server.target) as client:
        stream = client.tag_stream(inputs, max_in_flight=5)
        await anext(stream)
        await asyncio.to_thread(server.fake.wait_for, "answered", 5)
        assert len(list(inputs)) >= 44  # 5 are held and one was taken
        await stream.aclose()


async def test_slow_inputs_do_not_hold_back_answers(server: RunningServer) -> None:
    first_outcome_taken = threading.Event()

    def inputs() -> Iterator[tuple[int, bytes]]:
        yield 0, b"cat"
        assert first_outcome_taken.wait(10)
        yield 1, b"dog"

    def run() -> list[Outcome]:
        outcomes: list[Outcome] = []
        with InklingClient(server.target) as client:
            for outcome in client.tag_stream(inputs()):
                outcomes.append(outcome)
                first_outcome_taken.set()
        return outcomes

    assert [key for key, _ in await asyncio.to_thread(run)] == [0, 1]


async def test_asynchronous_inputs(server: RunningServer) -> None:
    first_outcome_taken = asyncio.Event()

    async def inputs() -> AsyncIterator[tuple[int, bytes]]:
        yield 0, b"cat"
        await first_outcome_taken.wait()
        yield 1, b"dog"

    keys = []
    async with AsyncInklingClient(server.target) as client:
        async for key, _ in client.tag_stream(inputs()):
            keys.append(key)
            first_outcome_taken.set()
    assert keys == [0, 1]


async def test_breaking_out_ends_the_call_and_the_reading(
    client: ClientFace, fake: FakeInkling
) -> None:
    drawn = 0

    def endless() -> Iterator[tuple[int, bytes]]:
        nonlocal drawn
        while True:
            drawn += 1
            yield drawn, b"cat"

    assert len(await client.stream(endless(), stop_after=3, max_in_flight=4)) == 3
    await asyncio.to_thread(fake.wait_for, "ended_count", 1)
    assert drawn <= 8
    assert not [t.name for t in threading.enumerate() if t.name == "inkling-session"]
    assert not [t.get_name() for t in asyncio.all_tasks() if t.get_name().startswith("inkling")]


async def test_the_stream_is_half_closed_at_the_end(client: ClientFace, fake: FakeInkling) -> None:
    await client.stream(pictures(3))
    await asyncio.to_thread(fake.wait_for, "half_closed_count", 1)


async def test_no_inputs_no_connection(client: ClientFace, server: RunningServer) -> None:
    server.stop()
    assert await client.stream([]) == []


async def test_a_broken_connection_costs_nothing(client: ClientFace, fake: FakeInkling) -> None:
    fake.break_after = 30
    outcomes = await client.stream(pictures(100), retry=QUICK)
    assert phrases(outcomes) == {n: f"picture {n}" for n in range(100)}
    assert len(outcomes) == 100
    assert fake.stream_count == 2


async def test_only_what_had_no_answer_is_sent_again(client: ClientFace, fake: FakeInkling) -> None:
    fake.break_after = 30
    await client.stream(pictures(100), max_in_flight=10, retry=QUICK)
    # All but the 10 that were under way when the connection broke are sent once.
    assert len(fake.streamed) <= 110


async def test_a_restarted_server_gets_what_is_left(
    client: ClientFace, server: RunningServer, fake: FakeInkling
) -> None:
    fake.hold = True
    stream = asyncio.create_task(client.stream(pictures(40), max_in_flight=10, retry=QUICK))
    await asyncio.to_thread(fake.wait_for, "streamed", 10)
    await asyncio.to_thread(server.stop)
    fake.release()
    server.start()
    outcomes = await stream
    assert phrases(outcomes) == {n: f"picture {n}" for n in range(40)}
    assert len(outcomes) == 40


async def test_a_stream_that_the_server_ends_early_is_opened_again(
    client: ClientFace, fake: FakeInkling
) -> None:
    fake.end_after = 5
    outcomes = await client.stream(pictures(20), retry=QUICK)
    assert phrases(outcomes) == {n: f"picture {n}" for n in range(20)}


async def test_a_server_gone_for_good_leaves_one_error_for_each_picture(
    client: ClientFace, server: RunningServer
) -> None:
    server.stop()
    retry = RetryPolicy(max_attempts=3, initial_backoff_s=0.01)
    outcomes = await client.stream(pictures(200), retry=retry, max_in_flight=32)
    assert sorted(key for key, _ in outcomes) == list(range(200))
    assert all(isinstance(outcome, Unavailable) for _, outcome in outcomes)


async def test_a_full_server_is_asked_again(client: ClientFace, fake: FakeInkling) -> None:
    fake.script[b"cat"] = [overloaded(0.05), overloaded(0.05)]
    outcomes = await client.stream([(0, b"cat"), (1, b"dog")], retry=QUICK)
    assert phrases(outcomes) == {0: "cat", 1: "dog"}
    assert fake.streamed.count(b"cat") == 3


async def test_a_server_that_stays_full_is_an_error_of_that_picture(
    client: ClientFace, fake: FakeInkling
) -> None:
    fake.script[b"cat"] = [overloaded(0.01)] * 50
    outcomes = dict(await client.stream([(0, b"cat"), (1, b"dog")], retry=QUICK))
    assert isinstance(outcomes[0], Overloaded)
    assert isinstance(outcomes[1], TagResult)


async def test_a_standstill_ends_what_is_under_way_and_nothing_else(
    client: ClientFace, fake: FakeInkling
) -> None:
    fake.hung = {b"picture 1", b"picture 2"}
    outcomes = dict(await client.stream(pictures(6), max_in_flight=2, stall_timeout_s=0.3))
    assert isinstance(outcomes[1], DeadlineExceeded)
    assert isinstance(outcomes[2], DeadlineExceeded)
    assert [n for n, outcome in outcomes.items() if isinstance(outcome, TagResult)] == [0, 3, 4, 5]


async def test_an_error_of_the_inputs_comes_after_their_outcomes(client: ClientFace) -> None:
    def inputs() -> Iterator[tuple[int, bytes]]:
        yield from pictures(3)
        raise ZeroDivisionError("the caller's own")

    with pytest.raises(ZeroDivisionError, match="the caller's own"):
        await client.stream(inputs())


def test_outcomes_before_an_error_of_the_inputs_are_not_lost(server: RunningServer) -> None:
    def inputs() -> Iterator[tuple[int, bytes]]:
        yield from pictures(3)
        raise ZeroDivisionError

    seen: list[tuple[int, TagResult | InklingClientError]] = []
    with InklingClient(server.target) as client, pytest.raises(ZeroDivisionError):
        seen.extend(client.tag_stream(inputs()))
    assert len(seen) == 3


async def test_senseless_bounds_are_refused_at_the_call(client: ClientFace) -> None:
    with pytest.raises(ValueError, match="positive"):
        await client.stream([], max_in_flight=0)
    with pytest.raises(ValueError, match="positive"):
        await client.stream([], stall_timeout_s=0)


async def test_a_closed_client_is_not_a_hanging_stream(server: RunningServer) -> None:
    client = InklingClient(server.target)
    client.close()
    with pytest.raises(ValueError, match=r"[Cc]hannel closed"):
        list(client.tag_stream(pictures(3)))
