"""Many questions of one stream at a time, answered as they finish.

    read ─► [slot] ─► answer (a task each) ─► finished ─► write ─► slot is free again

The next message is read only when a slot is free, and a slot is free only when its reply has been
written: a client that sends faster than the server works, or reads slower than it answers, is held
back by HTTP/2's flow control, and the server never holds more than `max_in_flight` of its pictures.
Nothing here knows messages, tags or errors.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import grpc

from inkling_server.errors import ShuttingDown
from inkling_server.rpc.draining import Drain

Q = TypeVar("Q")
A = TypeVar("A")


class OutOfOrderStream(Generic[Q, A]):
    """One bidirectional stream.

    Args:
        read: the next question, or `grpc.aio.EOF`.
        answer: must not raise; whatever it raises ends the stream.
        write: sends one reply; never called twice at a time.
        max_in_flight: questions between reading and the end of writing.
        drain: when it begins, reading stops and what was read is still answered.
    """

    def __init__(
        self,
        *,
        read: Callable[[], Awaitable[Q]],
        answer: Callable[[Q], Awaitable[A]],
        write: Callable[[A], Awaitable[None]],
        max_in_flight: int,
        drain: Drain,
    ) -> None:
        self._read, self._answer, self._write = read, answer, write
        self._drain = drain
        self._slots = asyncio.Semaphore(max_in_flight)
        # None says: look again whether everything is done.
        self._finished: asyncio.Queue[A | Exception | None] = asyncio.Queue()
        self._unanswered = 0
        self._working: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Returns when the client has sent everything and has every reply.

        Raises:
            ShuttingDown: the server drains, every question that was read has its reply, and the
                client may have sent more.
        """
        reader = asyncio.create_task(self._read_all())
        reader.add_done_callback(lambda _: self._finished.put_nowait(None))
        drained = asyncio.create_task(self._drain.wait())
        drained.add_done_callback(lambda _: reader.cancel())
        try:
            while self._unanswered or not reader.done():
                finished = await self._finished.get()
                if isinstance(finished, Exception):
                    raise finished
                if finished is not None:
                    await self._write(finished)
                    self._unanswered -= 1
                    self._slots.release()
        finally:
            # Also where the client has gone: whatever works for it stops at its next await.
            children = (reader, drained, *self._working)
            for child in children:
                child.cancel()
            await asyncio.gather(*children, return_exceptions=True)
        if reader.cancelled():
            raise ShuttingDown
        reader.result()

    async def _read_all(self) -> None:
        while True:
            await self._slots.acquire()
            question = await self._read()
            if question is grpc.aio.EOF:
                return
            self._unanswered += 1
            task = asyncio.create_task(self._work(question))
            self._working.add(task)
            task.add_done_callback(self._working.discard)

    async def _work(self, question: Q) -> None:
        try:
            self._finished.put_nowait(await self._answer(question))
        except Exception as error:
            self._finished.put_nowait(error)
