"""A bounded pool of decoder threads.

    decode() ─► jobs ─► threads ─► done ─► one turn of the event loop takes all that is there

Decoding releases the GIL, so threads fill cores. Work whose caller is gone is not begun, and its
bytes are dropped at once rather than when a thread gets round to it. The threads wake the event
loop once for everything that they finished since it last looked: a `concurrent.futures` pool wakes
it for each picture, which costs a system call and two futures more. The pool does not limit queued
work: whoever calls it holds an admission slot. It does not know batches, models or tags.
"""

import asyncio
import threading
from collections import deque
from queue import SimpleQueue

from inkling_server import images
from inkling_server.encoders import Pixels
from inkling_server.errors import DeadlineExceeded, ShuttingDown
from inkling_server.images import ImageLimits
from inkling_server.model_manifest import PixelSpec


class _Job:
    """One picture on its way through the pool; `data` is None once nobody wants it."""

    __slots__ = ("data", "deadline", "future", "result", "spec")

    def __init__(
        self,
        data: bytes,
        spec: PixelSpec,
        deadline: float | None,
        future: asyncio.Future[Pixels],
    ) -> None:
        self.data: bytes | None = data
        self.spec, self.deadline, self.future = spec, deadline, future
        self.result: Pixels | Exception | None = None


class DecodePool:
    """Decodes pictures on threads. Used from one event loop.

    Args:
        threads: cores that decoding may fill.
        limits: what a picture may be.
    """

    def __init__(self, threads: int, limits: ImageLimits) -> None:
        self._limits = limits
        self._thread_count = threads
        self._threads: list[threading.Thread] = []
        # None ends a thread.
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._done: deque[_Job] = deque()
        # The loop will look at `_done`. A thread adds to `_done` first and then reads this; the
        # loop clears this first and then empties `_done`: nothing stays behind unseen.
        self._announced = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._unanswered: set[asyncio.Future[Pixels]] = set()
        self._closed = False

    async def decode(
        self, data: bytes, spec: PixelSpec, *, deadline: float | None = None
    ) -> Pixels:
        """Decodes one picture.

        Args:
            data: the encoded file.
            spec: the pixels that the encoder wants.
            deadline: on the loop's clock; work that starts later than this is not done.

        Raises:
            ImageInvalid, ImageTooLarge: see `images.decode`.
            DeadlineExceeded: its turn came too late.
            ShuttingDown: the pool was closed before its turn came.
        """
        if self._closed:
            raise ShuttingDown
        loop = self._loop or self._start()
        future: asyncio.Future[Pixels] = loop.create_future()
        job = _Job(data, spec, deadline, future)
        self._unanswered.add(future)
        self._jobs.put(job)
        try:
            return await future
        finally:
            job.data = None
            self._unanswered.discard(future)
            if future.done() and not future.cancelled():
                # Cancelled in the turn in which the answer came: nobody will look at its error.
                future.exception()

    def close(self) -> None:
        """Drops queued work, whose callers get ShuttingDown; running work ends by itself.
        Idempotent."""
        if self._closed:
            return
        self._closed = True
        for _ in self._threads:
            self._jobs.put(None)
        for future in self._unanswered:
            if not future.done():
                future.set_exception(ShuttingDown())

    def _start(self) -> asyncio.AbstractEventLoop:
        self._loop = asyncio.get_running_loop()
        for number in range(self._thread_count):
            # Daemons: a picture that takes long must not hold up the end of the process.
            thread = threading.Thread(
                target=self._work, name=f"inkling-decode_{number}", daemon=True
            )
            thread.start()
            self._threads.append(thread)
        return self._loop

    def _work(self) -> None:
        loop = self._loop
        assert loop is not None
        while (job := self._jobs.get()) is not None:
            job.result = self._decode(job, loop)
            self._done.append(job)
            del job
            if not self._announced:
                self._announced = True
                try:
                    loop.call_soon_threadsafe(self._deliver)
                except RuntimeError:
                    return  # the loop is closed: nobody waits any more

    def _decode(self, job: _Job, loop: asyncio.AbstractEventLoop) -> Pixels | Exception:
        data = job.data
        late = job.deadline is not None and loop.time() >= job.deadline
        if data is None or late or self._closed:
            return DeadlineExceeded()
        try:
            return images.decode(data, job.spec, self._limits)
        except Exception as error:
            return error

    def _deliver(self) -> None:
        self._announced = False
        while self._done:
            job = self._done.popleft()
            result, job.result = job.result, None
            if job.future.done():
                continue
            if isinstance(result, Exception):
                job.future.set_exception(result)
            elif result is not None:
                job.future.set_result(result)
