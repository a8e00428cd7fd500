"""One at a time: whoever changes what serves holds the turn.

    refresh, rollback, follow (refresh.manager) ─┐
                                                 ├─► Turn ─► StateHolder.swap
    rollout, rollback (rollout.manager) ─────────┘

A refresh embeds with the model that serves when it begins, and a rollout embeds the graph that
serves when it begins: neither may change under the other. It belongs to one event loop, and does
not know what its holders do.
"""

import asyncio
from collections.abc import Callable

from inkling_server.errors import InklingError


class Turn:
    """A lock whose holder says who it is."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._busy: Callable[[], InklingError] | None = None

    def is_taken(self) -> bool:
        """Somebody holds it."""
        return self._lock.locked()

    async def take(self, busy: Callable[[], InklingError]) -> None:
        """Takes it at once, or not at all.

        Args:
            busy: what others get meanwhile.

        Raises:
            InklingError: what the present holder says.
        """
        if self._lock.locked():
            assert self._busy is not None
            raise self._busy()
        # A free lock is taken without a pause, so nobody comes between.
        await self._lock.acquire()
        self._busy = busy

    def release(self) -> None:
        """Gives it back."""
        self._busy = None
        self._lock.release()
