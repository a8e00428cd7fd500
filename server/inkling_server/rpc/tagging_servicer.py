"""TaggingService: hands pictures to the Tagger and its answers back.

It knows no queue, encoder or index, holds no `try` (see `boundary.py`), and keeps no reference to a
picture after it has been answered.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from google.rpc import status_pb2

from inkling.v1 import tagging_pb2, tagging_pb2_grpc
from inkling_server.rpc.boundary import Context, NotAMessage, or_status
from inkling_server.rpc.converters import (
    MAX_REQUEST_ID_LENGTH,
    check_request_id,
    to_query,
    to_response,
)
from inkling_server.rpc.draining import Drain
from inkling_server.rpc.status import reason_of
from inkling_server.rpc.streaming import OutOfOrderStream
from inkling_server.tagging import Tagger


class TaggingServicer(tagging_pb2_grpc.TaggingServiceServicer):
    """Tag and TagStream.

    Args:
        tagger: the current Tagger; raises EncoderDown while there is none yet.
        max_stream_in_flight: pictures of one stream that are worked on at a time.
        drain: ends the reading of open streams.
        on_stream_answer: told the reason of each answer on a stream, "" for tags.
    """

    def __init__(
        self,
        tagger: Callable[[], Tagger],
        *,
        max_stream_in_flight: int,
        drain: Drain,
        on_stream_answer: Callable[[str], None],
    ) -> None:
        self._tagger = tagger
        self._max_stream_in_flight = max_stream_in_flight
        self._drain = drain
        self._on_stream_answer = on_stream_answer

    async def Tag(  # noqa: N802
        self, request: tagging_pb2.TagRequest, context: Context
    ) -> tagging_pb2.TagResponse:
        query = to_query(request, deadline=_deadline(context), wait=False)
        return to_response(await self._tagger().tag(query))

    async def TagStream(self, _requests: object, context: Context) -> None:  # type: ignore[override]  # noqa: N802
        # A coroutine that reads and writes by itself; the generated base knows only generators.
        deadline = _deadline(context)

        async def answer(request: tagging_pb2.TagStreamRequest) -> tagging_pb2.TagStreamResponse:
            result = await or_status(self._tag_one(request, deadline))
            request_id = getattr(request, "request_id", "")[:MAX_REQUEST_ID_LENGTH]
            if isinstance(result, status_pb2.Status):
                self._on_stream_answer(reason_of(result))
                return tagging_pb2.TagStreamResponse(request_id=request_id, error=result)
            self._on_stream_answer("")
            return tagging_pb2.TagStreamResponse(request_id=request_id, response=result)

        await OutOfOrderStream(
            read=context.read,
            answer=answer,
            write=context.write,
            max_in_flight=self._max_stream_in_flight,
            drain=self._drain,
        ).run()

    async def _tag_one(
        self, request: tagging_pb2.TagStreamRequest | NotAMessage, deadline: float | None
    ) -> tagging_pb2.TagResponse:
        if isinstance(request, NotAMessage):
            raise request
        check_request_id(request.request_id)
        query = to_query(request.request, deadline=deadline, wait=True)
        return to_response(await self._tagger().tag(query))


def _deadline(context: Context) -> float | None:
    """When the caller stops waiting, on the running loop's clock."""
    remaining_s: Any = context.time_remaining()
    return None if remaining_s is None else asyncio.get_running_loop().time() + remaining_s
