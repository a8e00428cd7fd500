"""The blocking client.

    with InklingClient("127.0.0.1:50051") as client:
        result = client.tag(Path("cat.jpg"))
        for path, outcome in client.tag_stream((path, path) for path in folder.iterdir()):
            ...

One client holds one connection and may be shared between threads. `aio.py` is the same for asyncio.

This module does not know the rules of retrying (`retry.py`) nor of streams (`stream_ledger.py`).
"""

import time
from collections.abc import Callable, Generator, Iterable
from types import TracebackType
from typing import Self, TypeVar

import grpc

from inkling.v1 import info_pb2, info_pb2_grpc, tagging_pb2_grpc
from inkling_client.channel import (
    DEFAULT_TARGET,
    DEFAULT_TIMEOUT_S,
    HEALTH_METHOD,
    HEALTH_REQUEST,
    HEALTH_SERVING,
    full_target,
    sync_channel,
)
from inkling_client.content_client import ContentClient
from inkling_client.context import Context
from inkling_client.errors import InklingClientError, from_rpc_error
from inkling_client.graph_client import GraphClient
from inkling_client.model_client import ModelClient
from inkling_client.profile_client import ProfileClient
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
from inkling_client.stream import InfoCall, ItemStream
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


class InklingClient:
    """Tags pictures and videos on one server.

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
        self._channel = sync_channel(full_target(target), credentials)
        self._tagging = tagging_pb2_grpc.TaggingServiceStub(self._channel)
        self._info = info_pb2_grpc.InfoServiceStub(self._channel)
        self.graph = GraphClient(self._channel, self._call)
        self.model = ModelClient(self._channel, self._call)
        self.content = ContentClient(self._channel, self._call)
        self.profiles = ProfileClient(self._channel, self._call)
        self._health: Callable[..., bytes] = self._channel.unary_unary(HEALTH_METHOD)

    def tag(
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
        """Tags one picture.

        Args:
            image: the encoded file's bytes, or its path.
            top_n: how many tags at most; None: the server's default.
            min_score: only tags that score strictly more, in [0, 1]; None: the server's default.
            graph_version: answer from this version or fail; "": the current one.
            explain: adds Tag.explanation.
            context: texts about the picture: interests that they name are joined with those that it
                shows, where the server reads texts (`ServerInfo.uses_context`).
            timeout_s: deadline, retries included; None: the client's.

        Raises:
            InklingClientError: one of the tree in `errors.py`.
        """
        deadline = time.monotonic() + (self._timeout_s if timeout_s is None else timeout_s)
        data = read_image(image, self._read_cap)
        if len(data) > ALWAYS_SENT_BYTES and not self._knows_limits:
            self._retrying(self._get_info, deadline)
            read_image(data, self._read_cap)
        request = TagOptions(top_n, min_score, graph_version, explain).request(data, context)
        return self._retrying(
            lambda left_s: tag_result(self._tagging.Tag(request, timeout=left_s)), deadline
        )

    def tag_stream(
        self,
        inputs: Iterable[tuple[K, Image | Post]],
        *,
        top_n: int | None = None,
        min_score: float | None = None,
        graph_version: str = "",
        explain: bool = False,
        max_in_flight: int = 96,
        stall_timeout_s: float = 30.0,
        retry: RetryPolicy = STREAM_RETRY,
    ) -> Generator[tuple[K, TagResult | InklingClientError]]:
        """Tags many pictures over one connection; yields each outcome as it comes, in any order.

        Every input gets exactly one outcome. A picture that fails is an error *value* and ends
        nothing. A connection that breaks is opened again, and what had no answer is sent again.
        Break out of the loop, or close the iterator, to stop early.

        Args:
            inputs: pairs of any id of yours and a picture (bytes, path, or a `Post`: a picture with
                its texts). They are drawn from another thread, no more than `max_in_flight` ahead
                of what you have taken.
            top_n: as in `tag`, for every picture.
            min_score: as in `tag`, for every picture.
            graph_version: as in `tag`, for every picture.
            explain: as in `tag`, for every picture.
            max_in_flight: pictures held in memory at a time; fewer where they are large (64 MiB).
            stall_timeout_s: where no answer comes for so long, what is under way fails with
                DeadlineExceeded.
            retry: attempts for one picture, and for one connection without any answer.

        Raises:
            Exception: what `inputs` raises, after the outcomes of everything before it.
        """
        if max_in_flight < 1 or stall_timeout_s <= 0:
            raise ValueError("max_in_flight and stall_timeout_s must be positive")
        kind = tag_kind(TagOptions(top_n, min_score, graph_version, explain))
        stream = ItemStream(
            open_stream=self._tagging.TagStream,
            ask_info=self._ask_info,
            inputs=inputs,
            kind=kind,
            ledger=StreamLedger[K, TagResult](kind, retry, stall_timeout_s),
            max_in_flight=max_in_flight,
            max_image_bytes=self._read_cap,
        )
        return stream.outcomes()

    def tag_video(
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
        """Tags one video: what it is about, and when each tag shows.

        Args:
            video: the file's bytes, its path, or an open binary file, which is read from where it
                stands. Only a piece of it is in memory at a time.
            top_n: how many tags at most; None: the server's default.
            min_score: only tags that score strictly more, in [0, 1]; None: the server's default.
            graph_version: answer from this version or fail; "": the current one.
            explain: adds Tag.explanation.
            context: texts about the video.
            max_frame_count: frames at most; None: the server's limit.
            transcribe: recognise speech, where the server can.
            include_frames: adds VideoResult.frames.
            contact_sheet: adds one picture of all frames, as "png" or "jpeg".
            timeout_s: deadline, upload and retries included.

        Raises:
            InklingClientError: one of the tree in `errors.py`.
        """
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
        with VideoFile(video) as file:
            if not self._knows_limits:
                self._retrying(self._get_info, deadline)
            file.require_size(self._max_video_bytes)

            def call(left_s: float) -> VideoResult:
                upload = Upload(message, file)
                started = self._tagging.TagVideo.future(upload, timeout=left_s)
                upload.started(started)
                try:
                    return upload.outcome(started)
                finally:
                    started.cancel()  # Ctrl-C; no effect on a call that has ended

            return self._retrying(call, deadline, None if file.can_repeat else NO_RETRY)

    def get_info(self, *, timeout_s: float | None = None) -> ServerInfo:
        """Asks the server for its versions, limits and defaults.

        Raises:
            InklingClientError: one of the tree in `errors.py`.
        """
        deadline = time.monotonic() + (self._timeout_s if timeout_s is None else timeout_s)
        return self._retrying(self._get_info, deadline)

    def is_serving(self, *, timeout_s: float = 2.0) -> bool:
        """Asks the standard health service; False also where nobody answers."""
        try:
            return self._health(HEALTH_REQUEST, timeout=timeout_s) == HEALTH_SERVING
        except grpc.RpcError:
            return False

    def close(self) -> None:
        """Closes the connection; calls under way end with CANCELLED."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _call(
        self,
        call: Callable[[float], T],
        timeout_s: float | None = None,
        *,
        once: bool = False,
        retry: RetryPolicy | None = None,
    ) -> T:
        deadline = time.monotonic() + (self._timeout_s if timeout_s is None else timeout_s)
        return self._retrying(call, deadline, NO_RETRY if once else retry)

    def _retrying(
        self, call: Callable[[float], T], deadline: float, retry: RetryPolicy | None = None
    ) -> T:
        """Calls `call(seconds left)` until it works, its error is final, or time is up."""
        retry = retry or self._retry
        attempt = 1
        while True:
            try:
                return call(max(deadline - time.monotonic(), 0.0))
            except grpc.RpcError as rpc_error:
                error = from_rpc_error(rpc_error)
                left_s = deadline - time.monotonic()
                wait_s = retry.wait_s(error, attempt, remaining_s=left_s)
                if wait_s is None:
                    raise error from rpc_error
            time.sleep(wait_s)
            attempt += 1

    def _get_info(self, left_s: float) -> ServerInfo:
        info = server_info(self._info.GetInfo(info_pb2.GetInfoRequest(), timeout=left_s))
        self._read_cap = info.limits.max_image_bytes or READ_CAP_BYTES
        self._max_video_bytes = info.limits.max_video_bytes
        self._knows_limits = True
        return info

    def _ask_info(self) -> InfoCall:
        return self._info.GetInfo.future(info_pb2.GetInfoRequest(), timeout=self._timeout_s)
