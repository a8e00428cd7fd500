"""How much work the gateway takes in, and who waits when it is full.

A slot is held from a request's arrival to its answer. On a full server, unary calls are refused at
once with a hint when to retry; streams wait in line, first come first served, and nobody overtakes
the line. A busy server also refuses who would be gone before their turn: taking them in would spend
on them what others are still there to receive, and a server that is only just too slow would answer
nobody in time. Bookkeeping only: it knows nothing of pictures, batches or gRPC. One event loop owns
it.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable

from inkling_server.errors import Overloaded, ShuttingDown

_RATE_WINDOW = 64
_MIN_RETRY_S, _MAX_RETRY_S = 0.05, 10.0
# Below this share of its capacity a server is not busy, and a rate says little about the next turn.
_BUSY_SHARE = 0.25
# Before anything was ever finished: one batch's time on a slow CPU, roughly.
_UNKNOWN_RETRY_S = 1.0


class Admission:
    """A bounded number of slots.

    Args:
        capacity: slots in all, >= 1.
        reserved_for_unary: slots that those who wait leave free for those who do not, so that bulk
            streams cannot shut interactive callers out; < capacity.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        capacity: int,
        *,
        reserved_for_unary: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if capacity < 1:
            raise ValueError("capacity: must be at least 1")
        if not 0 <= reserved_for_unary < capacity:
            raise ValueError("reserved_for_unary: must be at least 0 and less than capacity")
        self.capacity = capacity
        self._open_to_waiters = capacity - reserved_for_unary
        self._clock = clock
        self._used = 0
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._closed = False
        self._empty = asyncio.Event()
        self._empty.set()
        self._departures: deque[float] = deque(maxlen=_RATE_WINDOW)
        self._past_rate: float | None = None

    @property
    def used(self) -> int:
        """Slots that are taken now."""
        return self._used

    @property
    def waiting(self) -> int:
        """Those who stand in line."""
        return len(self._waiters)

    def slot(self, *, wait: bool) -> "_Slot":
        """Holds one slot during an `async with` block.

        Args:
            wait: stand in line on a full server, instead of being refused.

        Raises:
            Overloaded: full, and `wait` is false.
            ShuttingDown: `close` was called.
        """
        return _Slot(self, wait=wait)

    def retry_after_s(self) -> float:
        """When the work that is inside now will probably be done, from the recent rate."""
        rate = self._rate() or self._past_rate
        if not rate:
            return _UNKNOWN_RETRY_S
        return min(max((self._used + len(self._waiters)) / rate, _MIN_RETRY_S), _MAX_RETRY_S)

    def close(self) -> None:
        """Refuses newcomers and those in line. Slots that are held stay valid."""
        self._closed = True
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_exception(ShuttingDown())

    async def drained(self) -> None:
        """Returns as soon as no slot is held."""
        await self._empty.wait()

    async def enter(self, *, wait: bool, patience_s: float | None = None) -> None:
        """What `slot` does at its beginning; `leave` is its end.

        Args:
            wait: as in `slot`.
            patience_s: how long a caller who does not wait in line waits for the answer; None: for
                as long as it takes.

        Raises:
            Overloaded, ShuttingDown: as `slot`; Overloaded also where a busy server's recent rate
                says that the answer would come too late.
        """
        if self._closed:
            raise ShuttingDown()
        if wait:
            if self._waiters or self._used >= self._open_to_waiters:
                await self._stand_in_line()
            else:
                self._take()
        elif self._used >= self.capacity or self._too_late(patience_s):
            raise Overloaded(self.retry_after_s())
        else:
            self._take()

    def leave(self, *, answered: bool = True) -> None:
        """Gives a slot back; the head of the line gets it.

        Args:
            answered: the work was done. Whoever gave up says nothing about how fast it is done.
        """
        self._used -= 1
        if answered:
            self._departures.append(self._clock())
        self._call_next()
        if self._used == 0:
            self._past_rate = self._rate() or self._past_rate
            self._empty.set()

    async def _stand_in_line(self) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.cancelled():
                self._waiters.remove(waiter)
                self._call_next()
            elif waiter.exception() is None:
                # The slot was handed over and the new owner cancelled in the same turn of the loop.
                self.leave(answered=False)
            raise

    def _too_late(self, patience_s: float | None) -> bool:
        if patience_s is None or self._used < self.capacity * _BUSY_SHARE:
            return False
        rate = self._rate()
        return rate is not None and self._used / rate > patience_s

    def _take(self) -> None:
        if self._used == 0:
            # Idle time says nothing about the rate: its window starts with the work.
            self._departures.clear()
            self._departures.append(self._clock())
            self._empty.clear()
        self._used += 1

    def _call_next(self) -> None:
        """Hands free slots to the head of the line, so that no newcomer can snatch them."""
        while self._waiters and self._used < self._open_to_waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                self._take()
                waiter.set_result(None)

    def _rate(self) -> float | None:
        """Answers a second since the server was last idle (at most the last few); None: none."""
        if len(self._departures) < 2:
            return None
        elapsed_s = self._clock() - self._departures[0]
        return (len(self._departures) - 1) / elapsed_s if elapsed_s > 0 else None


class _Slot:
    """`Admission.slot`'s block. A class: each picture pays for it, and a generator costs more."""

    __slots__ = ("_admission", "_wait")

    def __init__(self, admission: Admission, *, wait: bool) -> None:
        self._admission, self._wait = admission, wait

    async def __aenter__(self) -> None:
        await self._admission.enter(wait=self._wait)

    async def __aexit__(self, kind: object, *_: object) -> None:
        self._admission.leave(answered=kind is None)
