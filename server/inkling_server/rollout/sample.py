"""A few pictures of recent requests, so that a new model is tried on what this server really sees.

In memory only: nothing here is written, logged or handed out, and it ends with the process.
"""

import random


class LiveSample:
    """Keeps a changing random sample of what was tagged lately.

    Args:
        max_count: pictures; 0: none are kept.
        max_bytes: of all of them together. One picture may take an eighth.
    """

    def __init__(self, max_count: int, *, max_bytes: int = 16 * 1024 * 1024) -> None:
        self._max_count = max_count
        self._max_bytes = max_bytes
        self._pictures: list[bytes] = []
        self._bytes = 0
        self._seen = 0
        self._random = random.Random()  # noqa: S311 - which pictures, not whose secrets

    def offer(self, picture: bytes) -> None:
        """One picture was tagged. Cheap: called for every one."""
        if not self._max_count or len(picture) * 8 > self._max_bytes:
            return
        # Reservoir sampling over about the last twenty fillings: one busy client does not fill it.
        self._seen = min(self._seen + 1, 20 * self._max_count)
        if len(self._pictures) >= self._max_count:
            if self._random.random() * self._seen >= self._max_count:
                return
            self._drop()
        self._pictures.append(picture)
        self._bytes += len(picture)
        while self._bytes > self._max_bytes:
            self._drop()

    def pictures(self) -> tuple[bytes, ...]:
        """What is kept now."""
        return tuple(self._pictures)

    def _drop(self) -> None:
        place = self._random.randrange(len(self._pictures))
        self._pictures[place], self._pictures[-1] = self._pictures[-1], self._pictures[place]
        self._bytes -= len(self._pictures.pop())
