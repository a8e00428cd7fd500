"""How the end of the server reaches open streams.

Core gRPC lets RPCs that are under way finish, but a stream whose client never half-closes would
hold the server until its grace period ends: streams watch a `Drain` and stop reading by themselves.
"""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

import grpc

T = TypeVar("T")
# After the last Inkling RPC has its answer: for that answer's own way out, and for reflection.
_FLUSH_S = 1.0


class UnderWay:
    """Counts calls that have begun and not ended. Belongs to one event loop."""

    def __init__(self) -> None:
        self._count = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def begin(self) -> None:
        """One more."""
        self._count += 1
        self._idle.clear()

    def end(self) -> None:
        """One less."""
        self._count -= 1
        if self._count == 0:
            self._idle.set()

    async def idle(self) -> None:
        """Returns as soon as there is none."""
        await self._idle.wait()


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


async def drain_server(
    server: grpc.aio.Server,
    idle: Coroutine[Any, Any, object],
    hurried: asyncio.Event,
    *,
    grace_s: float,
) -> None:
    """Takes no more calls, waits for those under way, and stops the server.

    Args:
        server: runs.
        idle: returns as soon as no RPC of ours is under way.
        hurried: set where nobody waits any longer.
        grace_s: longest that calls may take.
    """
    stopping = asyncio.create_task(server.stop(grace_s))
    idling = asyncio.create_task(idle)
    hurrying = asyncio.create_task(hurried.wait())
    await asyncio.wait({idling, hurrying}, timeout=grace_s, return_when=asyncio.FIRST_COMPLETED)
    # What is left now is no tagging: an idle reflection stream must not hold the server.
    await server.stop(_FLUSH_S if idling.done() else 0)
    await stopping
    for task in (idling, hurrying):
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
