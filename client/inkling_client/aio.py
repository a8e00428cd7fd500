"""The asyncio client: the same calls as `client.py`, awaited.

    async with AsyncInklingClient("127.0.0.1:50051") as client:
        result = await client.tag(Path("cat.jpg"))
        async for path, outcome in client.tag_stream((path, path) for path in folder.iterdir()):
            ...

Files are read in threads; nothing here blocks the event loop. One client belongs to one event loop.

This module does not know the rules of retrying (`retry.py`) nor of streams (`stream_ledger.py`).
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable
from functools import partial
from types import TracebackType
from typing import Self, TypeVar

import grpc
from grpc import aio

from inkling.v1 import info_pb2, info_pb2_grpc, tagging_pb2, tagging_pb2_grpc
from inkling_client.aio_stream import AsyncItemStream
from inkling_client.channel import (
    DEFAULT_TARGET,
    DEFAULT_TIMEOUT_S,
    HEALTH_METHOD,
    HEALTH_REQUEST,
    HEALTH_SERVING,
    async_channel,
    full_target,
    sync_channel,
)
from inkling_client.content_aio import AsyncContentClient
from inkling_client.context import Context
from inkling_client.errors import InklingClientError, from_rpc_error
from inkling_client.graph_aio import AsyncGraphClient
from inkling_client.model_aio import AsyncModelClient
from inkling_client.profile_aio import AsyncProfileClient
from inkling_client.requests import (
    ALWAYS_SENT_BYTES,
    READ_CAP_BYTES,
    Image,
    Post,
    TagOptions,
    read_image,
)
from inkling_client.results import ServerInfo, TagResult, server_info, tag_result
from inkling_client.retry import NO_RETRY, STREAM_RETRY, UNARY_RETRY, RetryPolicy
from inkling_client.stream_ledger import StreamLedger
from inkling_client.tag_kind import tag_kind
from inkling_client.video_results import VideoResult
from inkling_client.video_upload import (
    VIDEO_TIMEOUT_S,
    SheetFormat,
    Upload,
    VideoFile,
    VideoOptions,
    VideoSource,
)

K = TypeVar("K")
T = TypeVar("T")


class AsyncInklingClient:
    """Tags pictures and videos on one server. Make it inside the event loop that uses it.

    Args:
        target: "host:port", or "host" for port 50051.
        credentials: encrypts, for example `grpc.ssl_channel_credentials()`; None: plain text.
        timeout_s: deadline of a call, its retries included, where the call names none.
        retry: for every call but `tag_stream`.

    Attributes:
        graph: the interest graph: reads it and refreshes it.
        model: the model's versions: which serves, and rolling another one out.
        content: content items, what people do with them, and what to show them next.
        profiles: people: their profiles, comparing them, erasing them.
    """

    def __init__(
        self,
        target: str = DEFAULT_TARGET,
        *,
        credentials: grpc.ChannelCredentials | None = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        retry: RetryPolicy = UNARY_RETRY,
    ) -> None:
        self._timeout_s = timeout_s
        self._retry = retry
        self._read_cap = READ_CAP_BYTES
        self._max_video_bytes = 0
        self._knows_limits = False
        self._target = (full_target(target), credentials)
        self._uploads: grpc.Channel | None = None
        self._channel = async_channel(*self._target)
        self._tagging = tagging_pb2_grpc.TaggingServiceStub(self._channel)
        self._info = info_pb2_grpc.InfoServiceStub(self._channel)
        self.graph = AsyncGraphClient(self._channel, self._call)
        self.model = AsyncModelClient(self._channel, self._call)
        self.content = AsyncContentClient(self._channel, self._call)
        self.profiles = AsyncProfileClient(self._channel, self._call)
        self._health: aio.UnaryUnaryMultiCallable[bytes, bytes] = self._channel.unary_unary(
            HEALTH_METHOD
        )

    async def tag(
        self,
        image: Image,
        *,
        top_n: int | None = None,
        min_score: float | None = None,
        graph_version: str = "",
        explain: bool = False,
        context: Context | None = None,
        timeout_s: float | None = None,
    ) -> TagResult:
        """Tags one picture; arguments and errors are those of `InklingClient.tag`."""
        deadline = time.monotonic() + (self._timeout_s if timeout_s is None else timeout_s)
        data = await asyncio.to_thread(read_image, image, self._read_cap)
        if len(data) > ALWAYS_SENT_BYTES and not self._knows_limits:
            await self._retrying(self._get_info, deadline)
            read_image(data, self._read_cap)
        request = TagOptions(top_n, min_score, graph_version, explain).request(data, context)

        async def call(left_s: float) -> TagResult:
            return tag_result(await self._tagging.Tag(request, timeout=left_s))

        return await self._retrying(call, deadline)

    def tag_stream(
        self,
        inputs: AsyncIterable[tuple[K, Image | Post]] | Iterable[tuple[K, Image | Post]],
        *,
        top_n: int | None = None,
        min_score: float | None = None,
        graph_version: str = "",
        explain: bool = False,
        max_in_flight: int = 96,
        stall_timeout_s: float = 30.0,
        retry: RetryPolicy = STREAM_RETRY,
    ) -> AsyncGenerator[tuple[K, TagResult | InklingClientError]]:
        """Tags many pictures over one connection, by the rules of `InklingClient.tag_stream`.

        `inputs` may be asynchronous. To end the stream at the very moment that you break out of the
        loop, and not when the iterator is collected, wrap it in `contextlib.aclosing`.
        """
        if max_in_flight < 1 or stall_timeout_s <= 0:
            raise ValueError("max_in_flight and stall_timeout_s must be positive")
        kind = tag_kind(TagOptions(top_n, min_score, graph_version, explain))
        stream = AsyncItemStream(
            open_stream=self._tagging.TagStream,
            ask_info=lambda: self._info.GetInfo(info_pb2.GetInfoRequest(), timeout=self._timeout_s),
            inputs=inputs,
            kind=kind,
            ledger=StreamLedger[K, TagResult](kind, retry, stall_timeout_s),
            max_in_flight=max_in_flight,
            max_image_bytes=self._read_cap,
        )
        return stream.outcomes()

    async def tag_video(
        self,
        video: VideoSource,
        *,
        top_n: int | None = None,
        min_score: float | None = None,
        graph_version: str = "",
        explain: bool = False,
        context: Context | None = None,
        max_frame_count: int | None = None,
        transcribe: bool = False,
        include_frames: bool = False,
        contact_sheet: SheetFormat | None = None,
        timeout_s: float = VIDEO_TIMEOUT_S,
    ) -> VideoResult:
        """Tags one video; arguments and errors are those of `InklingClient.tag_video`."""
        options = VideoOptions(
            top_n=top_n,
            min_score=min_score,
            graph_version=graph_version,
            explain=explain,
            context=context,
            max_frame_count=max_frame_count,
            transcribe=transcribe,
            include_frames=include_frames,
            contact_sheet=contact_sheet,
        )
        message, deadline = options.message(), time.monotonic() + timeout_s
        with await asyncio.to_thread(VideoFile, video) as file:
            if not self._knows_limits:
                await self._retrying(self._get_info, deadline)
            await asyncio.to_thread(file.require_size, self._max_video_bytes)
            return await self._retrying(
                partial(self._upload, message, file),
                deadline,
                None if file.can_repeat else NO_RETRY,
            )

    async def get_info(self, *, timeout_s: float | None = None) -> ServerInfo:
        """Asks the server for its versions, limits and defaults.

        Raises:
            InklingClientError: one of the tree in `errors.py`.
        """
        deadline = time.monotonic() + (self._timeout_s if timeout_s is None else timeout_s)
        return await self._retrying(self._get_info, deadline)

    async def is_serving(self, *, timeout_s: float = 2.0) -> bool:
        """Asks the standard health service; False also where nobody answers."""
        try:
            return await self._health(HEALTH_REQUEST, timeout=timeout_s) == HEALTH_SERVING
        except grpc.RpcError:
            return False

    async def close(self) -> None:
        """Closes the connection; calls under way end with CANCELLED."""
        await self._channel.close()
        if self._uploads is not None:
            self._uploads.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def _upload(
        self, message: tagging_pb2.TagVideoRequest, file: VideoFile, left_s: float
    ) -> VideoResult:
        """One attempt, over a connection of its own: see `video_upload`."""
        if self._uploads is None:
            self._uploads = sync_channel(*self._target)
        upload = Upload(message, file)
        call = tagging_pb2_grpc.TaggingServiceStub(self._uploads).TagVideo.future(
            upload, timeout=left_s
        )
        upload.started(call)
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        call.add_done_callback(lambda _: _tell(loop, ended))
        try:
            await ended.wait()
            return upload.outcome(call)
        finally:
            call.cancel()  # no effect on a call that has ended

    async def _call(
        self,
        call: Callable[[float], Awaitable[T]],
        timeout_s: float | None = None,
        *,
        once: bool = False,
        retry: RetryPolicy | None = None,
    ) -> T:
        deadline = time.monotonic() + (self._timeout_s if timeout_s is None else timeout_s)
        return await self._retrying(call, deadline, NO_RETRY if once else retry)

    async def _retrying(
        self,
        call: Callable[[float], Awaitable[T]],
        deadline: float,
        retry: RetryPolicy | None = None,
    ) -> T:
        """Awaits `call(seconds left)` until it works, its error is final, or time is up."""
        retry = retry or self._retry
        attempt = 1
        while True:
            try:
                return await call(max(deadline - time.monotonic(), 0.0))
            except grpc.RpcError as rpc_error:
                error = from_rpc_error(rpc_error)
                left_s = deadline - time.monotonic()
                wait_s = retry.wait_s(error, attempt, remaining_s=left_s)
                if wait_s is None:
                    raise error from rpc_error
            await asyncio.sleep(wait_s)
            attempt += 1

    async def _get_info(self, left_s: float) -> ServerInfo:
        info = server_info(await self._info.GetInfo(info_pb2.GetInfoRequest(), timeout=left_s))
        self._read_cap = info.limits.max_image_bytes or READ_CAP_BYTES
        self._max_video_bytes = info.limits.max_video_bytes
        self._knows_limits = True
        return info


def _tell(loop: asyncio.AbstractEventLoop, ended: asyncio.Event) -> None:
    """Sets the event from another thread; the loop may be gone by then."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(ended.set)
