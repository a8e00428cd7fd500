"""The stream pump alone: bounds, order of finishing, and its three ways to end."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import pytest

from inkling_server.errors import ShuttingDown
from inkling_server.rpc.draining import Drain
from inkling_server.rpc.streaming import OutOfOrderStream
from tests.serving import until


class Wire:
    """Both ends of a stream, in memory."""

    def __init__(self) -> None:
        self.inbox: asyncio.Queue[int | object] = asyncio.Queue()
        self.read_count = 0
        self.written: list[int] = []
        self.writing = asyncio.Event()
        self.writing.set()

    async def read(self) -> int | object:
        message = await self.inbox.get()
        self.read_count += message is not grpc.aio.EOF
        return message

    async def write(self, reply: int) -> None:
        await self.writing.wait()
        self.written.append(reply)

    def send(self, *numbers: int, end: bool = False) -> None:
        for number in numbers:
            self.inbox.put_nowait(number)
        if end:
            self.inbox.put_nowait(grpc.aio.EOF)


def run(
    wire: Wire,
    answer: Callable[[int], Awaitable[int]],
    *,
    max_in_flight: int = 4,
    drain: Drain | None = None,
) -> asyncio.Task[None]:
    stream = OutOfOrderStream[Any, int](
        read=wire.read,
        answer=answer,
        write=wire.write,
        max_in_flight=max_in_flight,
        drain=drain or Drain(),
    )
    return asyncio.create_task(stream.run())


async def echo(number: int) -> int:
    await asyncio.sleep(0)
    return number


async def test_every_question_gets_one_reply() -> None:
    wire = Wire()
    wire.send(*range(100), end=True)
    await run(wire, echo)
    assert sorted(wire.written) == list(range(100))


async def test_stream_without_questions_ends() -> None:
    wire = Wire()
    wire.send(end=True)
    await run(wire, echo)
    assert wire.written == []


async def test_replies_come_as_they_finish() -> None:
    wire, slow = Wire(), asyncio.Event()

    async def answer(number: int) -> int:
        if number == 0:
            await slow.wait()
        return number

    task = run(wire, answer)
    wire.send(0, 1, 2, end=True)
    await until(lambda: len(wire.written) == 2)
    slow.set()
    await task
    assert wire.written[-1] == 0


async def test_no_more_is_read_than_may_be_in_flight() -> None:
    wire, gate = Wire(), asyncio.Event()

    async def answer(number: int) -> int:
        await gate.wait()
        return number

    task = run(wire, answer, max_in_flight=3)
    wire.send(*range(10), end=True)
    await until(lambda: wire.read_count == 3)
    for _ in range(50):
        await asyncio.sleep(0)
    assert wire.read_count == 3
    gate.set()
    await task
    assert sorted(wire.written) == list(range(10))


async def test_client_that_does_not_read_stops_the_reading_too() -> None:
    wire = Wire()
    wire.writing.clear()
    task = run(wire, echo, max_in_flight=3)
    wire.send(*range(10), end=True)
    await until(lambda: wire.read_count == 3)
    for _ in range(50):
        await asyncio.sleep(0)
    assert wire.read_count == 3
    wire.writing.set()
    await task
    assert len(wire.written) == 10


async def test_drain_stops_reading_and_answers_what_was_read() -> None:
    wire, gate, drain = Wire(), asyncio.Event(), Drain()

    async def answer(number: int) -> int:
        await gate.wait()
        return number

    task = run(wire, answer, drain=drain)
    wire.send(0, 1)
    await until(lambda: wire.read_count == 2)
    drain.begin()
    for _ in range(10):
        await asyncio.sleep(0)
    wire.send(2)
    gate.set()
    with pytest.raises(ShuttingDown):
        await task
    assert sorted(wire.written) == [0, 1]


async def test_drain_after_the_last_question_is_a_normal_end() -> None:
    wire, gate, drain = Wire(), asyncio.Event(), Drain()

    async def answer(number: int) -> int:
        await gate.wait()
        return number

    task = run(wire, answer, drain=drain)
    wire.send(0, end=True)
    await until(lambda: wire.inbox.empty() and wire.read_count == 1)
    for _ in range(10):
        await asyncio.sleep(0)
    drain.begin()
    gate.set()
    await task
    assert wire.written == [0]


async def test_cancelling_the_stream_cancels_its_work() -> None:
    wire = Wire()
    cancelled = []

    async def answer(number: int) -> int:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(number)
            raise
        return number

    before = len(asyncio.all_tasks())
    task = run(wire, answer)
    wire.send(0, 1, 2)
    await until(lambda: wire.read_count == 3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(cancelled) == [0, 1, 2]
    assert len(asyncio.all_tasks()) == before


@pytest.mark.parametrize("where", ["read", "answer", "write"])
async def test_a_fault_ends_the_stream_with_itself(where: str) -> None:
    wire = Wire()

    async def fail(*_: object) -> int:
        raise RuntimeError(where)

    if where in {"read", "write"}:
        setattr(wire, where, fail)
    before = len(asyncio.all_tasks())
    task = run(wire, fail if where == "answer" else echo)
    wire.send(0)
    with pytest.raises(RuntimeError, match=where):
        await task
    assert len(asyncio.all_tasks()) == before
