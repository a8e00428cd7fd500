"""One face for both clients' content and profiles, so that one contract test runs with either."""

import asyncio
import contextlib
from collections.abc import Iterable
from typing import Any, Protocol

from inkling_client import (
    AsyncInklingClient,
    IngestItem,
    IngestOutcome,
    InklingClient,
    RetryPolicy,
)

# Quick, so that tests of retries take milliseconds; patient enough for a server that starts again.
QUICK = RetryPolicy(max_attempts=8, initial_backoff_s=0.01, max_backoff_s=0.5, multiplier=2.0)

Outcomes = list[tuple[IngestItem, IngestOutcome]]


class PeopleFace(Protocol):
    """What the contract tests call."""

    client: Any

    async def call(self, handle: Any, name: str, *args: Any, **options: Any) -> Any:
        """A method of `client.content`, of `client.profiles` or of a refresh."""

    async def ingest(
        self, items: Iterable[IngestItem], stop_after: int | None = None, **options: Any
    ) -> Outcomes:
        """All outcomes, or the first `stop_after` of them by breaking out of the loop."""

    async def close(self) -> None: ...


class SyncPeopleFace:
    """The blocking client, called from a thread."""

    def __init__(self, target: str) -> None:
        self.client = InklingClient(target, timeout_s=5.0, retry=QUICK)

    async def call(self, handle: Any, name: str, *args: Any, **options: Any) -> Any:
        return await asyncio.to_thread(getattr(handle, name), *args, **options)

    async def ingest(
        self, items: Iterable[IngestItem], stop_after: int | None = None, **options: Any
    ) -> Outcomes:
        def run() -> Outcomes:
            outcomes: Outcomes = []
            for outcome in self.client.content.ingest(items, retry=QUICK, **options):
                outcomes.append(outcome)
                if len(outcomes) == stop_after:
                    break
            return outcomes

        return await asyncio.to_thread(run)

    async def close(self) -> None:
        self.client.close()


class AsyncPeopleFace:
    """The asyncio client."""

    def __init__(self, target: str) -> None:
        self.client = AsyncInklingClient(target, timeout_s=5.0, retry=QUICK)

    async def call(self, handle: Any, name: str, *args: Any, **options: Any) -> Any:
        return await getattr(handle, name)(*args, **options)

    async def ingest(
        self, items: Iterable[IngestItem], stop_after: int | None = None, **options: Any
    ) -> Outcomes:
        outcomes: Outcomes = []
        stream = self.client.content.ingest(items, retry=QUICK, **options)
        async with contextlib.aclosing(stream):
            async for outcome in stream:
                outcomes.append(outcome)
                if len(outcomes) == stop_after:
                    break
        return outcomes

    async def close(self) -> None:
        await self.client.close()
