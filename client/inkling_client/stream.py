"""Drives one stream for the blocking client.

Four parties, one lock:

    feeder thread     inputs ──► ledger          (waits while max_in_flight pictures are held)
    gRPC's own thread ledger ──► wire            (it iterates `_requests`)
    session thread    wire ──► ledger            (opens the call, reads replies, opens it again)
    the caller        ledger.outcomes ──► caller (iterates `outcomes`)

So inputs that are slow to come never hold back answers that are there, and a slow caller holds back
the feeder: never more than max_in_flight pictures are held between input and caller.

This module does not know what may be tried again, and when: the ledger does.
"""

import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any, Generic, Protocol, TypeVar

import grpc

from inkling.v1 import info_pb2
from inkling_client.errors import InklingClientError, from_rpc_error
from inkling_client.local_errors import stream_ended_early
from inkling_client.requests import READ_CAP_BYTES, read_image
from inkling_client.stream_kind import I, Numbered, R, StreamKind
from inkling_client.stream_ledger import StreamLedger

K = TypeVar("K")

# The caller waits no longer than this for the call to end; the session thread is a daemon anyway.
_JOIN_TIMEOUT_S = 2.0


class StreamCall(Protocol):
    """An open call of a stream."""

    def __iter__(self) -> Iterator[Any]: ...

    def cancel(self) -> object: ...


class InfoCall(Protocol):
    """A GetInfo call under way."""

    def result(self) -> info_pb2.GetInfoResponse: ...

    def cancel(self) -> object: ...


class ItemStream(Generic[K, I, R]):
    """One run over `inputs`.

    Args:
        open_stream: starts a call that sends what the given iterator yields.
        ask_info: starts to ask the server for its limits.
        inputs: pairs of a key and what is sent; iterated in the feeder thread.
        kind: how inputs travel.
        ledger: empty books.
        max_in_flight: pictures held at a time.
        max_image_bytes: no file is read beyond it; the server says it anew at each connection.
    """

    def __init__(
        self,
        *,
        open_stream: Callable[[Iterator[Any]], StreamCall],
        ask_info: Callable[[], InfoCall],
        inputs: Iterable[tuple[K, I]],
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

        self._changed = threading.Condition()  # guards everything below, and the ledger
        self._held = 0
        self._limit = max_image_bytes
        self._inputs_ended = False
        self._inputs_error: BaseException | None = None
        self._session_error: BaseException | None = None
        self._closed = False
        self._stalled = False
        self._call: StreamCall | InfoCall | None = None

    def outcomes(self) -> Generator[tuple[K, R | InklingClientError]]:
        """Yields each input's outcome as it comes; ends everything when the caller stops early.

        Raises:
            Exception: what `inputs` raised, after the outcomes of everything that it gave before.
        """
        session = threading.Thread(target=self._run_sessions, daemon=True, name="inkling-session")
        feeder = threading.Thread(target=self._feed, daemon=True, name="inkling-feeder")
        session.start()
        feeder.start()
        try:
            while (outcome := self._next_outcome()) is not None:
                yield outcome
            session.join(_JOIN_TIMEOUT_S)  # it half-closes and hears the server out
        finally:
            with self._changed:
                self._closed = True
                call = self._call
                self._changed.notify_all()
            if call is not None:
                call.cancel()
            session.join(_JOIN_TIMEOUT_S)
            # Not the feeder: the caller's own iterator may block it for as long as it likes.

    def _next_outcome(self) -> tuple[K, R | InklingClientError] | None:
        while True:
            with self._changed:
                if self._ledger.outcomes:
                    self._held -= 1
                    self._changed.notify_all()
                    return self._ledger.outcomes.popleft()
                if self._session_error is not None:
                    raise self._session_error
                if self._inputs_ended and self._ledger.idle:
                    if self._inputs_error is not None:
                        raise self._inputs_error
                    return None
                stall_in_s = None if self._stalled else self._ledger.stall_in_s()
                if stall_in_s != 0.0:
                    self._changed.wait(stall_in_s)
                    continue
                self._stalled = True  # the session thread books it once the call has ended
                call = self._call
            if call is not None:
                call.cancel()

    # -- feeder thread ---------------------------------------------------------------------------

    def _feed(self) -> None:
        try:
            inputs = iter(self._inputs)
            # A place first, a picture then: `inputs` may make its pictures as it goes.
            while self._wait_for_place():
                try:
                    key, item = next(inputs)
                except StopIteration:
                    return
                self._admit(key, item)
        except BaseException as error:  # whatever the caller's iterator raises is theirs
            with self._changed:
                self._inputs_error = error
        finally:
            with self._changed:
                self._inputs_ended = True
                self._changed.notify_all()

    def _wait_for_place(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._has_place())
            return not self._closed

    def _has_place(self) -> bool:
        return self._held < self._max_in_flight and not self._ledger.full

    def _admit(self, key: K, item: I) -> None:
        try:
            image = read_image(self._kind.image_of(item), self._limit)
            message = self._kind.message_of(item, image)
        except InklingClientError as error:
            with self._changed:
                self._ledger.fail(key, error)
                self._held += 1
                self._changed.notify_all()
            return
        with self._changed:
            self._ledger.admit(key, message)
            self._held += 1
            self._changed.notify_all()

    # -- session thread --------------------------------------------------------------------------

    def _run_sessions(self) -> None:
        try:
            while self._wait_for_work():
                error = self._run_session()
                with self._changed:
                    wait_s = 0.0
                    if self._stalled:
                        self._stalled = False
                        self._ledger.stalled()
                    elif error is not None or self._ledger.unanswered:
                        wait_s = self._ledger.broken(error or stream_ended_early())
                    self._changed.notify_all()
                    self._changed.wait_for(lambda: self._closed, wait_s)
        except BaseException as error:  # a closed client, say: raised where it is seen
            with self._changed:
                self._session_error = error
                self._changed.notify_all()

    def _wait_for_work(self) -> bool:
        """Waits until there is something to send; False once there never will be."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._closed or self._inputs_ended or not self._ledger.idle
            )
            return not self._closed and not (self._inputs_ended and self._ledger.idle)

    def _run_session(self) -> InklingClientError | None:
        """One connection, until it ends; returns the error that it ended with."""
        session_over = threading.Event()
        try:
            info_call = self._ask_info()
            if not self._set_call(info_call):
                return None
            self._limit = info_call.result().limits.max_image_bytes or READ_CAP_BYTES
            call = self._open_stream(self._requests(session_over))
            if not self._set_call(call):
                return None
            for reply in call:
                with self._changed:
                    self._ledger.settle(reply)
                    self._changed.notify_all()
        except grpc.RpcError as error:
            return from_rpc_error(error)
        finally:
            with self._changed:
                session_over.set()
                self._call = None
                self._changed.notify_all()
        return None

    def _set_call(self, call: StreamCall | InfoCall) -> bool:
        with self._changed:
            self._call = call
            closed = self._closed
        if closed:
            call.cancel()
        return not closed

    # -- gRPC's thread ---------------------------------------------------------------------------

    def _requests(self, session_over: threading.Event) -> Iterator[Numbered]:
        """What one connection sends. Ends, and so half-closes, when every input has its outcome."""
        while (message := self._next_message(session_over)) is not None:
            yield message

    def _next_message(self, session_over: threading.Event) -> Numbered | None:
        with self._changed:
            while not (self._closed or session_over.is_set()):
                message = self._ledger.take(self._limit)
                if self._ledger.outcomes:
                    self._changed.notify_all()  # `take` refused a picture
                if message is not None or (self._inputs_ended and self._ledger.idle):
                    return message
                self._changed.wait(self._ledger.due_in_s())
        return None
