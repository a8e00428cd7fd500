"""Drives one stream for the asyncio client: `stream.py` with tasks instead of threads.

    feeder task    inputs ──► ledger          (waits while max_in_flight pictures are held)
    sender task    ledger ──► wire            (one for each connection)
    session task   wire ──► ledger            (opens the call, reads replies, opens it again)
    the caller     ledger.outcomes ──► caller (iterates `outcomes`)

The sender writes by itself instead of handing gRPC a request iterator: gRPC leaves the task that
iterates it pending when the server ends the call first (grpc/grpc issue 29518).

This module does not know what may be tried again, and when: the ledger does.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable
from typing import Any, Generic, TypeVar, cast

import grpc
from grpc import aio

from inkling.v1 import info_pb2
from inkling_client.errors import InklingClientError, from_rpc_error
from inkling_client.local_errors import stream_ended_early
from inkling_client.requests import READ_CAP_BYTES, read_image
from inkling_client.stream_kind import I, Numbered, R, StreamKind
from inkling_client.stream_ledger import StreamLedger

K = TypeVar("K")

# The caller waits no longer than this for the call to end.
_END_TIMEOUT_S = 2.0

StreamCall = aio.StreamStreamCall[Any, Any]


class _Changed:
    """Wakes everyone who waits, each time that something changed."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def notify_all(self) -> None:
        self._event.set()
        self._event = asyncio.Event()

    async def wait(self, timeout_s: float | None = None) -> None:
        """Returns at the next change, or after `timeout_s`."""
        event = self._event
        try:
            async with asyncio.timeout(timeout_s):
                await event.wait()
        except TimeoutError:
            pass


class AsyncItemStream(Generic[K, I, R]):
    """One run over `inputs`; the arguments are those of `stream.ItemStream`.

    Args:
        open_stream: starts a call.
        ask_info: asks the server for its limits.
        inputs: pairs of a key and what is sent.
        kind: how inputs travel.
        ledger: empty books.
        max_in_flight: pictures held at a time.
        max_image_bytes: no file is read beyond it; the server says it anew at each connection.
    """

    def __init__(
        self,
        *,
        open_stream: Callable[[], StreamCall],
        ask_info: Callable[[], Awaitable[info_pb2.GetInfoResponse]],
        inputs: AsyncIterable[tuple[K, I]] | Iterable[tuple[K, I]],
        kind: StreamKind[I, R],
        ledger: StreamLedger[K, R],
        max_in_flight: int,
        max_image_bytes: int,
    ) -> None:
        self._open_stream = open_stream
        self._ask_info = ask_info
        self._inputs = inputs
        self._kind = kind
        self._ledger = ledger
        self._max_in_flight = max_in_flight

        self._changed = _Changed()
        self._held = 0
        self._limit = max_image_bytes
        self._inputs_ended = False
        self._inputs_error: Exception | None = None
        self._stalled = False
        self._call: StreamCall | None = None

    async def outcomes(self) -> AsyncGenerator[tuple[K, R | InklingClientError]]:
        """Yields each input's outcome as it comes; ends everything when the caller stops early.

        Raises:
            Exception: what `inputs` raised, after the outcomes of everything that it gave before.
        """
        session = asyncio.create_task(self._run_sessions(), name="inkling-session")
        feeder = asyncio.create_task(self._feed(), name="inkling-feeder")
        session.add_done_callback(lambda _: self._changed.notify_all())
        try:
            while (outcome := await self._next_outcome(session)) is not None:
                yield outcome
            # It half-closes and hears the server out.
            await asyncio.wait([session], timeout=_END_TIMEOUT_S)
        finally:
            session.cancel()
            feeder.cancel()
            await asyncio.gather(session, feeder, return_exceptions=True)

    async def _next_outcome(
        self, session: asyncio.Task[None]
    ) -> tuple[K, R | InklingClientError] | None:
        while not self._ledger.outcomes:
            if self._inputs_ended and self._ledger.idle:
                if self._inputs_error is not None:
                    raise self._inputs_error
                return None
            if session.done():
                # It ends by itself only when all is answered: this is a closed client, say.
                await session
            stall_in_s = None if self._stalled else self._ledger.stall_in_s()
            if stall_in_s != 0.0:
                await self._changed.wait(stall_in_s)
                continue
            self._stalled = True  # the session task books it once the call has ended
            if self._call is not None:
                self._call.cancel()
        self._held -= 1
        self._changed.notify_all()
        return self._ledger.outcomes.popleft()

    # -- feeder task -----------------------------------------------------------------------------

    async def _feed(self) -> None:
        try:
            if isinstance(self._inputs, AsyncIterable):
                async for key, item in self._inputs:
                    await self._admit(key, item)
            else:
                for key, item in self._inputs:
                    await self._admit(key, item)
        except Exception as error:  # whatever the caller's iterator raises is theirs
            self._inputs_error = error
        finally:
            self._inputs_ended = True
            self._changed.notify_all()

    async def _admit(self, key: K, item: I) -> None:
        """Takes on one input; returns once there is a place for the next."""
        try:
            image = self._kind.image_of(item)
            if isinstance(image, bytes):
                data = read_image(image, self._limit)
            else:
                data = await asyncio.to_thread(read_image, image, self._limit)
            message = self._kind.message_of(item, data)
        except InklingClientError as error:
            self._ledger.fail(key, error)
        else:
            self._ledger.admit(key, message)
        self._held += 1
        self._changed.notify_all()
        # `inputs` may make its pictures as it goes: none is drawn before it has a place.
        while self._held >= self._max_in_flight or self._ledger.full:
            await self._changed.wait()

    # -- session task ----------------------------------------------------------------------------

    async def _run_sessions(self) -> None:
        while await self._wait_for_work():
            error = await self._run_session()
            wait_s = 0.0
            if self._stalled:
                self._stalled = False
                self._ledger.stalled()
            elif error is not None or self._ledger.unanswered:
                wait_s = self._ledger.broken(error or stream_ended_early())
            self._changed.notify_all()
            await asyncio.sleep(wait_s)

    async def _wait_for_work(self) -> bool:
        """Waits until there is something to send; False once there never will be."""
        while self._ledger.idle and not self._inputs_ended:
            await self._changed.wait()
        return not self._ledger.idle

    async def _run_session(self) -> InklingClientError | None:
        """One connection, until it ends; returns the error that it ended with."""
        sender: asyncio.Task[None] | None = None
        try:
            info = await self._ask_info()
            self._limit = info.limits.max_image_bytes or READ_CAP_BYTES
            call = self._call = self._open_stream()
            sender = asyncio.create_task(self._send(call), name="inkling-sender")
            while (reply := await call.read()) is not aio.EOF:
                self._ledger.settle(cast(Numbered, reply))
                self._changed.notify_all()
        except grpc.RpcError as error:
            return from_rpc_error(error)
        except asyncio.CancelledError:
            # gRPC raises this also in the task that reads a call which *we* cancelled for a stall.
            task = asyncio.current_task()
            if not self._stalled or (task is not None and task.cancelling()):
                raise
        finally:
            if self._call is not None:
                self._call.cancel()  # no effect on a call that has ended
                self._call = None
            if sender is not None:
                sender.cancel()
                await asyncio.gather(sender, return_exceptions=True)
        return None

    async def _send(self, call: StreamCall) -> None:
        """Sends what waits; half-closes when every input has its outcome."""
        try:
            while not (self._inputs_ended and self._ledger.idle):
                message = self._ledger.take(self._limit)
                if self._ledger.outcomes:
                    self._changed.notify_all()  # `take` refused a picture
                if message is not None:
                    await call.write(message)
                elif not (self._inputs_ended and self._ledger.idle):
                    await self._changed.wait(self._ledger.due_in_s())
            await call.done_writing()
        except (grpc.RpcError, asyncio.InvalidStateError):
            pass  # the call has ended, and whoever reads it hears why
