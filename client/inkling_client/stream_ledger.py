"""The books of one stream: what waits, what is under way, and the one outcome of every input.

    admit ──► waiting ──take──► sent ──settle──► outcomes
                 ▲               │ │
                 │   (refused,   │ └─stalled───► outcomes (DeadlineExceeded)
                 ├── may pass) ◄─┤
                 └───── broken ──┘─────────────► outcomes (attempts used up)

On the wire every request has a number of our own, so that callers may use any id, also the same one
twice. Every admitted input gets exactly one outcome, whatever the connection does.

This module does not know threads, tasks, gRPC calls or files: `stream.py` and `aio_stream.py` drive
it and guard it, each in its own way. Not thread-safe.
"""

import heapq
import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from inkling_client.errors import InklingClientError
from inkling_client.local_errors import image_bytes_over_limit, no_answer_for
from inkling_client.retry import RetryPolicy, stream_may_reconnect
from inkling_client.stream_kind import Numbered, R, StreamKind

K = TypeVar("K")

# No further picture is drawn while those that have no answer yet hold so much: 64 phone photos of
# 10 MB each would be too much for a small machine, and a fast link needs far less under way.
MAX_HELD_BYTES = 64 * 2**20


@dataclass(slots=True)
class _Item(Generic[K]):
    key: K
    message: Numbered
    image_bytes: int
    held_bytes: int
    attempts: int = 0


class StreamLedger(Generic[K, R]):
    """Keeps the books.

    Args:
        kind: how requests and replies are read.
        retry: how often one picture, and one connection without any answer, is tried.
        stall_timeout_s: longest time without any answer while pictures are under way.
        clock: monotonic seconds.
        draw: uniform random numbers between two bounds, for jitter.
    """

    def __init__(
        self,
        kind: StreamKind[Any, R],
        retry: RetryPolicy,
        stall_timeout_s: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        draw: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._kind = kind
        self._retry = retry
        self._stall_timeout_s = stall_timeout_s
        self._clock = clock
        self._draw = draw
        self._next_number = 0
        self._waiting: deque[_Item[K]] = deque()
        self._delayed: list[tuple[float, int, _Item[K]]] = []  # heap by due time
        self._sent: dict[str, _Item[K]] = {}
        self._failures = 0  # broken connections since the last answer
        self._progress_time_s = 0.0
        self._held_bytes = 0  # of requests without an outcome
        self.outcomes: deque[tuple[K, R | InklingClientError]] = deque()

    @property
    def idle(self) -> bool:
        """Whether every admitted input has its outcome."""
        return not (self._waiting or self._delayed or self._sent)

    @property
    def full(self) -> bool:
        """Whether the requests without an outcome hold as many bytes as they may."""
        return self._held_bytes >= MAX_HELD_BYTES

    @property
    def unanswered(self) -> bool:
        """Whether something was sent and has no answer yet."""
        return bool(self._sent)

    def admit(self, key: K, message: Numbered) -> None:
        """Takes on one input; gives its message a number."""
        message.request_id = str(self._next_number)
        self._next_number += 1
        item = _Item(key, message, self._kind.image_bytes(message), message.ByteSize())
        self._held_bytes += item.held_bytes
        self._waiting.append(item)

    def fail(self, key: K, error: InklingClientError) -> None:
        """Takes on one input that cannot be sent at all."""
        self.outcomes.append((key, error))

    def take(self, max_image_bytes: int) -> Numbered | None:
        """The next message to send, counted as sent; None while there is none.

        A picture over `max_image_bytes` gets its outcome here and is not sent.
        """
        now_s = self._clock()
        while self._delayed and self._delayed[0][0] <= now_s:
            self._waiting.append(heapq.heappop(self._delayed)[2])
        while self._waiting:
            item = self._waiting.popleft()
            if item.image_bytes > max_image_bytes:
                error = image_bytes_over_limit(item.image_bytes, max_image_bytes)
                self._finish(item, error)
                continue
            if not self._sent:
                self._progress_time_s = now_s
            item.attempts += 1
            self._sent[item.message.request_id] = item
            return item.message
        return None

    def due_in_s(self) -> float | None:
        """Seconds until `take` may have more, where only time is missing; None otherwise."""
        if not self._delayed:
            return None
        return max(0.0, self._delayed[0][0] - self._clock())

    def stall_in_s(self) -> float | None:
        """Seconds until the stream counts as stalled; None while nothing is under way."""
        if not self._sent:
            return None
        return max(0.0, self._progress_time_s + self._stall_timeout_s - self._clock())

    def settle(self, reply: Numbered) -> None:
        """Books one reply. A number that is not under way is ignored."""
        item = self._sent.pop(reply.request_id, None)
        if item is None:
            return
        self._failures = 0
        self._progress_time_s = self._clock()
        outcome = self._kind.outcome_of(reply)
        wait_s = None
        if isinstance(outcome, InklingClientError):
            wait_s = self._retry.wait_s(outcome, item.attempts, draw=self._draw)
        if wait_s is None:
            self._finish(item, outcome)
        else:
            number = int(item.message.request_id)  # unique, so that items are never compared
            heapq.heappush(self._delayed, (self._clock() + wait_s, number, item))

    def broken(self, error: InklingClientError) -> float:
        """Books a connection that ended with `error`; returns the wait before the next, in seconds.

        What was under way goes back to the front of the queue. Where attempts are used up, or
        `error` is not one that passes, the pictures get `error` as their outcome instead.
        """
        self._failures += 1
        final = self._failures >= self._retry.max_attempts or not stream_may_reconnect(error)
        under_way = list(self._sent.values())
        self._sent.clear()
        if final:
            under_way += [*self._waiting, *(item for _, _, item in sorted(self._delayed))]
            self._waiting.clear()
            self._delayed.clear()
        for item in reversed(under_way):
            if not final and item.attempts < self._retry.max_attempts:
                self._waiting.appendleft(item)
        for item in under_way:
            if final or item.attempts >= self._retry.max_attempts:
                self._finish(item, error)
        if final:
            # Later inputs find out fast, one short attempt a window, until an answer comes again.
            return self._retry.backoff_s(1, self._draw)
        return self._retry.backoff_s(self._failures, self._draw) + (error.retry_after_s or 0.0)

    def stalled(self) -> None:
        """Books that no answer came for too long: what is under way is given up."""
        for item in self._sent.values():
            self._finish(item, no_answer_for(self._stall_timeout_s))
        self._sent.clear()

    def _finish(self, item: _Item[K], outcome: R | InklingClientError) -> None:
        self._held_bytes -= item.held_bytes
        self.outcomes.append((item.key, outcome))
