"""A scripted server of Inkling's services on a real socket.

What it answers depends on the picture's bytes alone, so that a test reads without looking here:
every picture gets one tag whose phrase is the picture's own bytes, unless `script` says otherwise.
"""

import queue
import threading
from collections.abc import Callable, Iterator
from concurrent import futures

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from inkling.v1 import (
    common_pb2,
    info_pb2,
    info_pb2_grpc,
    tagging_pb2,
    tagging_pb2_grpc,
)

MODEL = "fake:1:00"
GRAPH = "g1"
MAX_IMAGE_BYTES = 5 * 2**20


def status(
    code: grpc.StatusCode,
    reason: str,
    message: str = "because",
    *,
    metadata: dict[str, str] | None = None,
    retry_after_s: float | None = None,
) -> status_pb2.Status:
    """A status as Inkling's server sends it."""
    details = []
    info = error_details_pb2.ErrorInfo(domain="inkling", reason=reason, metadata=metadata or {})
    details.append(Any())
    details[-1].Pack(info)
    if retry_after_s is not None:
        delay = Duration()
        delay.FromNanoseconds(int(retry_after_s * 1e9))
        details.append(Any())
        details[-1].Pack(error_details_pb2.RetryInfo(retry_delay=delay))
    return status_pb2.Status(code=code.value[0], message=message, details=details)


INVALID = status(grpc.StatusCode.INVALID_ARGUMENT, "IMAGE_INVALID", "not a picture")
VIDEO_TOO_LARGE = status(grpc.StatusCode.INVALID_ARGUMENT, "VIDEO_TOO_LARGE", "too long")
DOWN = status(grpc.StatusCode.UNAVAILABLE, "ENCODER_DOWN")


def overloaded(retry_after_s: float) -> status_pb2.Status:
    """A full server."""
    return status(grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED", retry_after_s=retry_after_s)


class FakeInkling(tagging_pb2_grpc.TaggingServiceServicer, info_pb2_grpc.InfoServiceServicer):
    """The servicer, and what it saw.

    Attributes:
        script: statuses that a picture gets, one at each attempt, before it is tagged. The picture
            b"GetInfo" stands for that call.
        hung: pictures that never get an answer.
        hold: while set, stream replies are kept back.
        break_after: a stream is aborted after so many replies; used up by one stream.
        end_after: a stream ends with OK after so many replies; used up by one stream.
        videos: options and file of each video that came whole.
        video_chunks: lengths of the pieces that came.
        refuse_after: bytes of a video after which it is refused without reading on.
        cancellation_s: how long the end of a video is distrusted: gRPC tells of a caller who leaves
            as of an end first.
    """

    def __init__(self) -> None:
        self.script: dict[bytes, list[status_pb2.Status]] = {}
        self.hung: set[bytes] = set()
        self.hold = False
        self.break_after: int | None = None
        self.end_after: int | None = None
        self.limits = info_pb2.Limits(
            max_image_bytes=MAX_IMAGE_BYTES,
            max_image_pixels=10**8,
            max_image_side=20_000,
            max_top_n=100,
            max_stream_in_flight=64,
            max_queue_count=256,
        )
        self.changed = threading.Condition()
        self.requests: list[tagging_pb2.TagRequest] = []
        self.videos: list[tuple[tagging_pb2.TagVideoOptions, bytes]] = []
        self.video_chunks: list[int] = []
        self.refuse_after: int | None = None
        self.cancellation_s = 0.0
        self.streamed: list[bytes] = []
        self.answered: list[bytes] = []
        self.stream_count = 0
        self.half_closed_count = 0
        self.ended_count = 0
        self._held: list[tuple[queue.SimpleQueue[object], tagging_pb2.TagStreamRequest]] = []

    def GetInfo(  # noqa: N802
        self, request: info_pb2.GetInfoRequest, context: grpc.ServicerContext
    ) -> info_pb2.GetInfoResponse:
        if failure := self._scripted_failure(b"GetInfo"):
            context.abort_with_status(rpc_status.to_status(failure))
        return info_pb2.GetInfoResponse(
            server_version="0.1.0",
            model_version=MODEL,
            graph_version=GRAPH,
            interest_count=2345,
            embedding_dimension=256,
            limits=self.limits,
            defaults=info_pb2.Defaults(top_n=5, min_score=0.25, precision=0.75, coverage=0.5),
            encoders=[
                info_pb2.EncoderInfo(
                    name="vision_encoder", version=1, backend="python", runtime="fake, bf16"
                )
            ],
            tag_index="fake index",
            calibrated_time=Timestamp(seconds=1_790_000_000),
        )

    def Tag(  # noqa: N802
        self, request: tagging_pb2.TagRequest, context: grpc.ServicerContext
    ) -> tagging_pb2.TagResponse:
        with self.changed:
            self.requests.append(request)
            self.changed.notify_all()
        if request.image in self.hung:
            ended = threading.Event()
            if context.add_callback(ended.set):
                ended.wait()
        if failure := self._scripted_failure(request.image):
            context.abort_with_status(rpc_status.to_status(failure))
        return response(request)

    def TagStream(  # noqa: N802
        self,
        request_iterator: Iterator[tagging_pb2.TagStreamRequest],
        context: grpc.ServicerContext,
    ) -> Iterator[tagging_pb2.TagStreamResponse]:
        with self.changed:
            self.stream_count += 1
            break_after, self.break_after = self.break_after, None
            end_after, self.end_after = self.end_after, None
        replies: queue.SimpleQueue[object] = queue.SimpleQueue()

        def ended() -> None:
            replies.put(None)
            with self.changed:
                self.ended_count += 1
                self.changed.notify_all()

        context.add_callback(ended)
        reader = threading.Thread(
            target=self._read_stream, args=(request_iterator, replies), daemon=True
        )
        reader.start()
        sent = 0
        while (message := replies.get()) is not None:
            assert isinstance(message, tagging_pb2.TagStreamRequest)
            if sent == break_after:
                context.abort(grpc.StatusCode.UNAVAILABLE, "connection broke")
            if sent == end_after:
                break
            sent += 1
            with self.changed:
                self.answered.append(message.request.image)
                self.changed.notify_all()
            yield self._stream_reply(message)

    def TagVideo(  # noqa: N802
        self,
        request_iterator: Iterator[tagging_pb2.TagVideoRequest],
        context: grpc.ServicerContext,
    ) -> tagging_pb2.TagVideoResponse:
        options, data = next(request_iterator).options, bytearray()
        for message in request_iterator:
            with self.changed:
                self.video_chunks.append(len(message.chunk))
                self.changed.notify_all()
            data += message.chunk
            if self.refuse_after is not None and len(data) > self.refuse_after:
                context.abort_with_status(rpc_status.to_status(VIDEO_TOO_LARGE))
        if self.cancellation_s:
            left = threading.Event()
            if not context.add_callback(left.set) or left.wait(self.cancellation_s):
                return tagging_pb2.TagVideoResponse()  # nobody is there
        with self.changed:
            self.videos.append((options, bytes(data)))
            self.changed.notify_all()
        if bytes(data) in self.hung:
            ended = threading.Event()
            if context.add_callback(ended.set):
                ended.wait()
        if failure := self._scripted_failure(bytes(data)):
            context.abort_with_status(rpc_status.to_status(failure))
        return video_response(options, bytes(data))

    def release(self) -> None:
        """Answers what `hold` kept back, last come first served."""
        with self.changed:
            self.hold = False
            while self._held:
                replies, message = self._held.pop()
                replies.put(message)

    def wait_for(self, what: str, count: int) -> None:
        """Waits until the list or number named `what` has reached `count`; fails after 10 s."""

        def reached() -> bool:
            value = getattr(self, what)
            return (value if isinstance(value, int) else len(value)) >= count

        with self.changed:
            assert self.changed.wait_for(reached, timeout=10), f"{what} never reached {count}"

    def _read_stream(
        self,
        request_iterator: Iterator[tagging_pb2.TagStreamRequest],
        replies: queue.SimpleQueue[object],
    ) -> None:
        try:
            for message in request_iterator:
                with self.changed:
                    self.streamed.append(message.request.image)
                    if message.request.image not in self.hung:
                        if self.hold:
                            self._held.append((replies, message))
                        else:
                            replies.put(message)
                    self.changed.notify_all()
        except Exception:  # the call was cancelled; grpc raises its own bare Exception here
            return
        with self.changed:
            self.half_closed_count += 1
            self.changed.notify_all()
        replies.put(None)

    def _stream_reply(self, message: tagging_pb2.TagStreamRequest) -> tagging_pb2.TagStreamResponse:
        if failure := self._scripted_failure(message.request.image):
            return tagging_pb2.TagStreamResponse(request_id=message.request_id, error=failure)
        return tagging_pb2.TagStreamResponse(
            request_id=message.request_id, response=response(message.request)
        )

    def _scripted_failure(self, image: bytes) -> status_pb2.Status | None:
        with self.changed:
            steps = self.script.get(image)
            return steps.pop(0) if steps else None


def response(request: tagging_pb2.TagRequest) -> tagging_pb2.TagResponse:
    """One tag: the picture's own bytes as its phrase."""
    phrase = request.image[:40].decode(errors="replace")
    tag = common_pb2.Tag(interest_id=f"id:{phrase}", phrase=phrase, score=0.75)
    if request.explain:
        tag.explanation.CopyFrom(
            common_pb2.Explanation(cosine=0.25, picture_logit=1.5, prior_logit=-0.5, tag_logit=0.25)
        )
    if request.context.read_text:
        tag.explanation.evidence.add(source="overlay", weight=0.5, mention_count=1, text="drawn")
    if request.context.caption:
        tag.explanation.evidence.add(
            source="caption", weight=0.75, mention_count=2, text=request.context.caption
        )
    return tagging_pb2.TagResponse(tags=[tag], graph_version=GRAPH, model_version=MODEL)


def video_response(
    options: tagging_pb2.TagVideoOptions, data: bytes
) -> tagging_pb2.TagVideoResponse:
    """The first bytes as the phrase, which shows for 1.5 s to 4 s and 8 s to 9 s of 10 s; and one
    that only texts name.
    """
    request = tagging_pb2.TagRequest(image=data, explain=options.explain, context=options.context)
    (tag,) = response(request).tags
    answer = tagging_pb2.TagVideoResponse(
        tags=[
            tagging_pb2.VideoTag(
                tag=tag,
                intervals=[_interval(1_500, 4_000), _interval(8_000, 9_000)],
                best_time=Duration(seconds=2),
                share=0.35,
            ),
            tagging_pb2.VideoTag(
                tag=common_pb2.Tag(interest_id="id:caption", phrase="caption", score=0.5)
            ),
        ],
        facts=tagging_pb2.VideoFacts(
            duration=Duration(seconds=10),
            width=1920,
            height=1080,
            video_codec="h264",
            frame_count=4,
            decoded_frame_count=300,
        ),
        graph_version=GRAPH,
        model_version=MODEL,
    )
    if options.include_frames:
        answer.frames.add(time=Duration(seconds=2), end=Duration(seconds=4), tags=[tag], text="hi")
    if options.transcribe:
        answer.transcript = "well said"
    if options.contact_sheet:
        answer.contact_sheet = options.contact_sheet.encode() + b" sheet"
    return answer


def _interval(start_ms: int, end_ms: int) -> tagging_pb2.Interval:
    interval = tagging_pb2.Interval()
    interval.start.FromMilliseconds(start_ms)
    interval.end.FromMilliseconds(end_ms)
    return interval


class RunningServer:
    """The fake on a loopback port; can stop, and start again on the same port.

    Args:
        credentials: to encrypt with.
        add_more: adds further services to the server.
    """

    def __init__(
        self,
        credentials: grpc.ServerCredentials | None = None,
        add_more: Callable[[grpc.Server], None] = lambda _: None,
    ) -> None:
        self._add_more = add_more
        self.fake = FakeInkling()
        self.health = health.HealthServicer()
        self._credentials = credentials
        self._server: grpc.Server | None = None
        self.port = 0
        self.start()

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        server = grpc.server(
            futures.ThreadPoolExecutor(max_workers=16),
            options=[("grpc.max_receive_message_length", 6 * 2**20)],
        )
        tagging_pb2_grpc.add_TaggingServiceServicer_to_server(self.fake, server)
        info_pb2_grpc.add_InfoServiceServicer_to_server(self.fake, server)
        health_pb2_grpc.add_HealthServicer_to_server(self.health, server)
        self._add_more(server)
        self.health.set("", health_pb2.HealthCheckResponse.SERVING)
        address = f"127.0.0.1:{self.port}"
        if self._credentials is None:
            self.port = server.add_insecure_port(address)
        else:
            self.port = server.add_secure_port(address, self._credentials)
        server.start()
        self._server = server

    def stop(self) -> None:
        """Ends at once: calls under way break."""
        if self._server is not None:
            self._server.stop(None).wait()
            self._server = None
