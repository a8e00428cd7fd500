"""One face for both clients of the graph, so that one contract test runs with either."""

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from inkling_client import AsyncInklingClient, InklingClient, RefreshProgress, RefreshResult


class GraphFace(Protocol):
    """What the contract tests call: `name` is a method of the client or of a refresh."""

    async def call(self, name: str, *args: Any, **options: Any) -> Any: ...

    async def collect(self, name: str, *args: Any, **options: Any) -> list[Any]:
        """Everything that an iterating method yields."""

    async def on_refresh(self, handle: Any, name: str, *args: Any, **options: Any) -> Any: ...

    async def wait(
        self, handle: Any, on_progress: Callable[[RefreshProgress], object] | None = None
    ) -> RefreshResult: ...

    async def close(self) -> None: ...


class SyncGraphFace:
    """The blocking client, called from a thread."""

    def __init__(self, target: str, **options: Any) -> None:
        self.client = InklingClient(target, **options)

    async def call(self, name: str, *args: Any, **options: Any) -> Any:
        return await self.on_refresh(self.client.graph, name, *args, **options)

    async def collect(self, name: str, *args: Any, **options: Any) -> list[Any]:
        method = getattr(self.client.graph, name)
        return await asyncio.to_thread(lambda: list(method(*args, **options)))

    async def on_refresh(self, handle: Any, name: str, *args: Any, **options: Any) -> Any:
        return await asyncio.to_thread(getattr(handle, name), *args, **options)

    async def wait(
        self, handle: Any, on_progress: Callable[[RefreshProgress], object] | None = None
    ) -> RefreshResult:
        result: RefreshResult = await asyncio.to_thread(handle.wait, on_progress)
        return result

    async def close(self) -> None:
        self.client.close()


class AsyncGraphFace:
    """The asyncio client."""

    def __init__(self, target: str, **options: Any) -> None:
        self.client = AsyncInklingClient(target, **options)

    async def call(self, name: str, *args: Any, **options: Any) -> Any:
        return await getattr(self.client.graph, name)(*args, **options)

    async def collect(self, name: str, *args: Any, **options: Any) -> list[Any]:
        return [entry async for entry in getattr(self.client.graph, name)(*args, **options)]

    async def on_refresh(self, handle: Any, name: str, *args: Any, **options: Any) -> Any:
        return await getattr(handle, name)(*args, **options)

    async def wait(
        self, handle: Any, on_progress: Callable[[RefreshProgress], object] | None = None
    ) -> RefreshResult:
        result: RefreshResult = await handle.wait(on_progress)
        return result

    async def close(self) -> None:
        await self.client.close()
