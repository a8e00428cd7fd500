"""How the end of the server reaches open streams.

Core gRPC lets RPCs that are under way finish, but a stream whose client never half-closes would
hold the server until its grace period ends: streams watch a `Drain` and stop reading by themselves.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Drain:
    """A switch that is thrown once. Owned by the gateway; belongs to one event loop."""

    def __init__(self) -> None:
        self._begun = asyncio.Event()

    @property
    def begun(self) -> bool:
        """Whether the server has stopped taking new work."""
        return self._begun.is_set()

    def begin(self) -> None:
        """Throws the switch. Idempotent."""
        self._begun.set()

    async def wait(self) -> None:
        """Returns once the switch is thrown."""
        await self._begun.wait()

    async def unless_begun(self, work: Coroutine[Any, Any, T]) -> T | None:
        """The result of `work`; or None, and an end to `work`, where the switch comes first."""
        working = asyncio.ensure_future(work)
        thrown = asyncio.ensure_future(self.wait())
        try:
            await asyncio.wait({working, thrown}, return_when=asyncio.FIRST_COMPLETED)
            return working.result() if working.done() else None
        finally:
            working.cancel()
            thrown.cancel()
            await asyncio.wait({working, thrown})
