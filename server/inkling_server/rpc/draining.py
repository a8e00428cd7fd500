"""How the end of the server reaches open streams.

Core gRPC lets RPCs that are under way finish, but a stream whose client never half-closes would
hold the server until its grace period ends: streams watch a `Drain` and stop reading by themselves.
"""

import asyncio


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
