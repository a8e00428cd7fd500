"""Open and closed loops, with a server that is a function."""

import asyncio

import pytest

from benchmarks.speed.jobs import Job, Tally
from benchmarks.speed.pacing import Fate, closed_loop, note, open_loop


def job(**how: float) -> Job:
    values = {"seconds": 0.3, "concurrency": 4} | how
    return Job("grpc-unary", "", "", "", **values)  # type: ignore[arg-type]


async def test_latency_counts_from_the_scheduled_arrival() -> None:
    """A server that does one message at a time: later ones wait for earlier ones, and it shows."""
    turn = asyncio.Lock()

    async def slow(_message: bytes, _timeout_s: float, _cancel: bool) -> Fate:
        async with turn:
            await asyncio.sleep(0.02)
        return "ok"

    tally = Tally()
    await open_loop(job(rate=150.0, deadline_s=30.0), [b"x"], slow, tally)
    assert tally.sent == len(tally.answers) > 20
    latencies = [latency for _, latency in tally.answers]
    # 45 messages of 20 ms each arrive within 0.3 s: the last waits for most of the others.
    assert max(latencies) > 10 * 0.02
    assert max(tally.lags_s) < 0.2  # sending itself was not held up by the slow answers


async def test_open_loop_sends_on_time_whatever_the_answers() -> None:
    async def never(_message: bytes, timeout_s: float, _cancel: bool) -> Fate:
        await asyncio.sleep(timeout_s)
        return "late"

    tally = Tally()
    await open_loop(job(rate=100.0, deadline_s=0.05), [b"x"], never, tally)
    assert tally.late == tally.sent > 10
    assert not tally.answers


async def test_closed_loop_keeps_so_many_under_way() -> None:
    now = most = 0

    async def send(_message: bytes, _timeout_s: float, _cancel: bool) -> Fate:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0)
        now -= 1
        return "ok"

    tally = Tally()
    await closed_loop(job(seconds=5.0, count=100), [b"x"], send, tally)
    assert most == 4
    assert 100 <= tally.sent <= 103


async def test_every_so_many_call_is_cancelled() -> None:
    asked: list[bool] = []

    async def send(_message: bytes, _timeout_s: float, cancel: bool) -> Fate:
        asked.append(cancel)
        return "cancelled" if cancel else "ok"

    tally = Tally()
    await closed_loop(job(seconds=5.0, count=40, cancel_every=10), [b"x"], send, tally)
    assert tally.cancelled == sum(asked) == 4


@pytest.mark.parametrize(
    ("fate", "where"),
    [
        ("refused", "refusals_s"),
        ("late", "late"),
        ("cancelled", "cancelled"),
        ("INTERNAL", "failed"),
    ],
)
def test_each_fate_is_counted_once(fate: str, where: str) -> None:
    tally = Tally()
    note(tally, fate, 0.0, 0.0, 1e9)
    assert getattr(tally, where)
    assert not tally.answers


def test_an_answer_after_its_deadline_is_late() -> None:
    tally = Tally()
    note(tally, "ok", since=0.0, start=0.0, deadline_s=1e-9)
    assert tally.late == 1
