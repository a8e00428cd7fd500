"""Takes in one video that comes in pieces: options first, then chunks, into a spool.

    read ─► options ─► checked ─► chunk ─► spool ─► chunk ─► ... ─► end ─► the query

Everything that can be refused is refused at once: nothing more is read, and gRPC's flow control has
held the rest back at the client. It knows neither videos nor tags.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import grpc

from inkling.v1 import tagging_pb2
from inkling_server.errors import ArgumentOutOfRange, DeadlineExceeded
from inkling_server.rpc.boundary import Context, NotAMessage
from inkling_server.rpc.video_converters import to_video_query
from inkling_server.video_queries import VideoQuery
from inkling_server.video_tagging import Spool

MAX_CHUNK_BYTES = 1024 * 1024
# A caller who opens a call and then dribbles holds room that others want.
_MESSAGE_TIMEOUT_S = 60.0
_UPLOAD_TIMEOUT_S = 600.0
# grpc.aio tells of a caller who leaves as of an end of messages, and cancels a moment later.
# Without waiting, half a video would go to the decoder, and be counted as one that is damaged.
_CANCELLATION_S = 0.02
_ALLOWED = "options first and once, then chunks"


async def receive_video(
    context: Context,
    spool: Spool,
    check: Callable[[VideoQuery], None],
    *,
    deadline: float | None,
) -> VideoQuery:
    """Reads a call to its end.

    Args:
        context: of the call.
        spool: takes the file.
        check: raises where options cannot be answered, before any chunk is read.
        deadline: on the loop's clock; goes into the query.

    Raises:
        ArgumentOutOfRange: parts in a wrong order, of a wrong size, or wrong options.
        VideoInvalid, VideoTooLarge: the spool refuses the file.
        DeadlineExceeded: the file takes too long to come.
    """
    try:
        async with asyncio.timeout(_UPLOAD_TIMEOUT_S):
            first = await _read(context)
            if first is None or first.WhichOneof("part") != "options":
                raise ArgumentOutOfRange("part", "the first message has no options", _ALLOWED)
            query = to_video_query(first.options, Path(), deadline=deadline)
            check(query)
            while (message := await _read(context)) is not None:
                if message.WhichOneof("part") != "chunk":
                    raise ArgumentOutOfRange("part", "no chunk after the first message", _ALLOWED)
                if len(message.chunk) > MAX_CHUNK_BYTES:
                    raise ArgumentOutOfRange(
                        "chunk", f"{len(message.chunk):,} bytes", f"at most {MAX_CHUNK_BYTES:,}"
                    )
                await spool.write(message.chunk)
            await asyncio.sleep(_CANCELLATION_S)
            return replace(query, path=await spool.finish())
    except TimeoutError:
        raise DeadlineExceeded from None


async def _read(context: Context) -> tagging_pb2.TagVideoRequest | None:
    """The next message; None at the end."""
    async with asyncio.timeout(_MESSAGE_TIMEOUT_S):
        message = await context.read()
    if message is grpc.aio.EOF:
        return None
    if isinstance(message, NotAMessage):
        raise message
    assert isinstance(message, tagging_pb2.TagVideoRequest)
    return message
