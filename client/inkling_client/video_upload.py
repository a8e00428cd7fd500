"""How a video travels: options first, then the file in pieces, once for each attempt.

    with VideoFile(video, max_bytes) as file:
        upload = Upload(message, file)
        call = stub.TagVideo.future(upload, timeout=...)
        result = upload.outcome(call)

A file is read by gRPC's own thread, a piece at a time, as fast as the server takes it: it is never
in memory as a whole, and nothing here blocks an event loop. A call of `grpc.aio` would not do: it
forgets the server's status where a message was on its way when the server refused the file.

This module does not know connections, and nothing of what may be retried.
"""

import io
import os
import stat
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Literal, Protocol, Self

import grpc

from inkling.v1 import tagging_pb2
from inkling_client.context import Context
from inkling_client.errors import InklingClientError
from inkling_client.local_errors import file_unreadable, not_sendable, video_bytes_over_limit
from inkling_client.video_results import VideoResult, video_result

# The file itself, where it lies, or an open binary file, which is read from where it stands.
VideoSource = bytes | os.PathLike[str] | BinaryIO
SheetFormat = Literal["png", "jpeg"]

CHUNK_BYTES = 256 * 1024
# Deadline of a video, upload and retries included, where a call names none.
VIDEO_TIMEOUT_S = 300.0


class UploadCall(Protocol):
    """What is used of a `grpc.Future` of TagVideo."""

    def result(self) -> tagging_pb2.TagVideoResponse: ...
    def cancel(self) -> bool: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoOptions:
    """What a call may ask for; arguments as those of `InklingClient.tag_video`."""

    top_n: int | None = None
    min_score: float | None = None
    graph_version: str = ""
    explain: bool = False
    context: Context | None = None
    max_frame_count: int | None = None
    transcribe: bool = False
    include_frames: bool = False
    contact_sheet: SheetFormat | None = None

    def message(self) -> tagging_pb2.TagVideoRequest:
        """The first message. Raises ArgumentOutOfRange where a text cannot be sent."""
        try:
            return tagging_pb2.TagVideoRequest(
                options=tagging_pb2.TagVideoOptions(
                    top_n=self.top_n,
                    min_score=self.min_score,
                    graph_version=self.graph_version,
                    explain=self.explain,
                    context=None if self.context is None else self.context.message(),
                    max_frame_count=self.max_frame_count,
                    transcribe=self.transcribe,
                    include_frames=self.include_frames,
                    contact_sheet=self.contact_sheet or "",
                )
            )
        except ValueError:
            if self.context is None:
                raise
            # Protobuf's own text repeats what it cannot hold.
            raise not_sendable("a text of the context holds half a character") from None


class VideoFile:
    """A video that can be read as often as there are attempts. Use it as a context manager.

    Args:
        video: what the caller gave. Its own open file is not closed.

    Attributes:
        can_repeat: it can be read again from its start: everything but a pipe.

    Raises:
        FileUnreadable: it cannot be opened.
    """

    def __init__(self, video: VideoSource) -> None:
        self._owned = True
        self._reading = threading.Lock()
        self._file: BinaryIO
        if isinstance(video, bytes):
            self._file = io.BytesIO(video)
        elif isinstance(video, os.PathLike):
            self._file = _opened(Path(video))
        else:
            self._file, self._owned = video, False
        try:
            self.can_repeat = self._file.seekable()
            self._start = self._file.tell() if self.can_repeat else 0
        except (OSError, ValueError) as error:
            raise _unreadable(error) from error

    def require_size(self, max_bytes: int) -> None:
        """Raises VideoTooLarge where the file is known to be longer; 0: there is no limit."""
        if self.can_repeat and max_bytes:
            size = self._file.seek(0, os.SEEK_END) - self._start
            self._file.seek(self._start)
            if size > max_bytes:
                raise video_bytes_over_limit(size, max_bytes)

    def chunks(self) -> Iterator[bytes]:
        """Its pieces, from the start. Raises FileUnreadable."""
        place = self._start
        while data := self._read(place):
            place += len(data)
            yield data

    def _read(self, place: int) -> bytes:
        # gRPC may still draw the next piece of an attempt that has failed while another one begins.
        try:
            with self._reading:
                if self.can_repeat:
                    self._file.seek(place)
                return self._file.read(CHUNK_BYTES)
        except (OSError, ValueError) as error:
            raise _unreadable(error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._owned:
            self._file.close()


class Upload:
    """The messages of one attempt: an iterator for gRPC, and its end.

    Args:
        options: the first message.
        file: open.
    """

    def __init__(self, options: tagging_pb2.TagVideoRequest, file: VideoFile) -> None:
        self._options = options
        self._chunks = file.chunks()
        self._begun = False
        self._failure: InklingClientError | None = None
        self._call: UploadCall | None = None
        self._started = threading.Event()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> tagging_pb2.TagVideoRequest:
        if not self._begun:
            self._begun = True
            return self._options
        try:
            return tagging_pb2.TagVideoRequest(chunk=next(self._chunks))
        except InklingClientError as error:
            # gRPC would log what an iterator raises, and an end would make half a video whole.
            self._failure = error
            self._started.wait()
            assert self._call is not None
            self._call.cancel()
            raise StopIteration from None

    def started(self, call: UploadCall) -> None:
        """The call that these messages belong to; must be told as soon as it is there."""
        self._call = call
        self._started.set()

    def outcome(self, call: UploadCall) -> VideoResult:
        """Waits for the call's end.

        Raises:
            FileUnreadable: reading failed on the way.
            grpc.RpcError: the call failed.
        """
        try:
            return video_result(call.result())
        except (grpc.RpcError, grpc.FutureCancelledError):
            if self._failure is not None:
                raise self._failure from None
            raise


def _opened(path: Path) -> BinaryIO:
    try:
        file = path.open("rb")
    except (OSError, ValueError) as error:
        raise _unreadable(error) from error
    if stat.S_ISDIR(os.fstat(file.fileno()).st_mode):
        file.close()
        raise file_unreadable(IsADirectoryError(0, "is a directory"))
    return file


def _unreadable(error: OSError | ValueError) -> InklingClientError:
    # ValueError: a name with a zero byte in it, or a file that was closed.
    return file_unreadable(error if isinstance(error, OSError) else OSError(0, str(error)))
