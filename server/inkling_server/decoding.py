"""A bounded pool of decoder threads.

Decoding releases the GIL, so threads fill cores. Work whose caller is gone is not begun, and its
bytes are dropped at once rather than when a thread gets round to it. The pool does not limit queued
work: whoever calls it holds an admission slot. It does not know batches, models or tags.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from inkling_server import images
from inkling_server.encoders import Pixels
from inkling_server.errors import DeadlineExceeded
from inkling_server.images import ImageLimits
from inkling_server.model_manifest import PixelSpec


class _Job:
    """One picture on its way through the pool; `data` is None once nobody wants it."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data: bytes | None = data


class DecodePool:
    """Decodes pictures on threads.

    Args:
        threads: cores that decoding may fill.
        limits: what a picture may be.
    """

    def __init__(self, threads: int, limits: ImageLimits) -> None:
        self._limits = limits
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="inkling-decode")

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
        """
        job = _Job(data)
        loop = asyncio.get_running_loop()

        def work() -> Pixels:
            wanted = job.data
            if wanted is None or (deadline is not None and loop.time() >= deadline):
                raise DeadlineExceeded
            return images.decode(wanted, spec, self._limits)

        try:
            return await loop.run_in_executor(self._executor, work)
        finally:
            job.data = None

    def close(self) -> None:
        """Drops queued work; running work ends by itself. Idempotent."""
        self._executor.shutdown(wait=False, cancel_futures=True)
