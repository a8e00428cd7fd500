"""One face for both clients, so that one contract test runs with either."""

import asyncio
import contextlib
from collections.abc import Iterable
from typing import Any, Protocol

from inkling_client import (
    AsyncInklingClient,
    Image,
    InklingClient,
    InklingClientError,
    Post,
    ServerInfo,
    TagResult,
    VideoResult,
    VideoSource,
)

Outcome = tuple[Any, TagResult | InklingClientError]


class ClientFace(Protocol):
    """What the contract tests call."""

    async def tag(self, image: Image, **options: Any) -> TagResult: ...

    async def tag_video(self, video: VideoSource, **options: Any) -> VideoResult: ...

    async def get_info(self) -> ServerInfo: ...

    async def is_serving(self) -> bool: ...

    async def stream(
        self,
        inputs: Iterable[tuple[Any, Image | Post]],
        stop_after: int | None = None,
        **options: Any,
    ) -> list[Outcome]:
        """All outcomes, or the first `stop_after` of them by breaking out of the loop."""

    async def close(self) -> None: ...


class SyncFace:
    """The blocking client, called from a thread."""

    def __init__(self, target: str, **options: Any) -> None:
        self.client = InklingClient(target, **options)

    async def tag(self, image: Image, **options: Any) -> TagResult:
        return await asyncio.to_thread(self.client.tag, image, **options)

    async def tag_video(self, video: VideoSource, **options: Any) -> VideoResult:
        return await asyncio.to_thread(self.client.tag_video, video, **options)

    async def get_info(self) -> ServerInfo:
        return await asyncio.to_thread(self.client.get_info)

    async def is_serving(self) -> bool:
        return await asyncio.to_thread(self.client.is_serving)

    async def stream(
        self,
        inputs: Iterable[tuple[Any, Image | Post]],
        stop_after: int | None = None,
        **options: Any,
    ) -> list[Outcome]:
        def run() -> list[Outcome]:
            outcomes: list[Outcome] = []
            for outcome in self.client.tag_stream(inputs, **options):
                outcomes.append(outcome)
                if len(outcomes) == stop_after:
                    break
            return outcomes

        return await asyncio.to_thread(run)

    async def close(self) -> None:
        self.client.close()


class AsyncFace:
    """The asyncio client."""

    def __init__(self, target: str, **options: Any) -> None:
        self.client = AsyncInklingClient(target, **options)

    async def tag(self, image: Image, **options: Any) -> TagResult:
        return await self.client.tag(image, **options)

    async def tag_video(self, video: VideoSource, **options: Any) -> VideoResult:
        return await self.client.tag_video(video, **options)

    async def get_info(self) -> ServerInfo:
        return await self.client.get_info()

    async def is_serving(self) -> bool:
        return await self.client.is_serving()

    async def stream(
        self,
        inputs: Iterable[tuple[Any, Image | Post]],
        stop_after: int | None = None,
        **options: Any,
    ) -> list[Outcome]:
        outcomes: list[Outcome] = []
        async with contextlib.aclosing(self.client.tag_stream(inputs, **options)) as stream:
            async for outcome in stream:
                outcomes.append(outcome)
                if len(outcomes) == stop_after:
                    break
        return outcomes

    async def close(self) -> None:
        await self.client.close()
