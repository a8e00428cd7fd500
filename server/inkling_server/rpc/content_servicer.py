"""ContentService: takes items and engagements in, and recommends.

It knows no SQL, tags or rankings, and holds no `try` (see `boundary.py`).
"""

import asyncio
from collections.abc import Callable
from typing import Any

from google.rpc import status_pb2

from inkling.v1 import content_pb2, content_pb2_grpc
from inkling_server.errors import InklingError, UnknownContent
from inkling_server.people.service import People
from inkling_server.rpc import content_converters as convert
from inkling_server.rpc.boundary import Context, NotAMessage, or_status
from inkling_server.rpc.converters import MAX_REQUEST_ID_LENGTH, check_request_id
from inkling_server.rpc.draining import Drain
from inkling_server.rpc.people_limits import check_id
from inkling_server.rpc.status import reason_of
from inkling_server.rpc.streaming import OutOfOrderStream


class ContentServicer(content_pb2_grpc.ContentServiceServicer):
    """All RPCs of content.

    Args:
        people: everything about content and people; raises EncoderDown while there is none yet.
        max_stream_in_flight: items of one stream that are worked on at a time.
        drain: ends the reading of open streams.
        on_stream_answer: told the reason of each answer on a stream, "" for success.
    """

    def __init__(
        self,
        people: Callable[[], People],
        *,
        max_stream_in_flight: int,
        drain: Drain,
        on_stream_answer: Callable[[str], None],
    ) -> None:
        self._people = people
        self._max_stream_in_flight = max_stream_in_flight
        self._drain = drain
        self._on_stream_answer = on_stream_answer

    async def IngestContent(self, _requests: object, context: Context) -> None:  # type: ignore[override]  # noqa: N802
        # A coroutine that reads and writes by itself; the generated base knows only generators.
        deadline = _deadline(context)

        async def answer(
            request: content_pb2.IngestContentRequest,
        ) -> content_pb2.IngestContentResponse:
            result = await or_status(self._ingest_one(request, deadline))
            request_id = getattr(request, "request_id", "")[:MAX_REQUEST_ID_LENGTH]
            if isinstance(result, status_pb2.Status):
                self._on_stream_answer(reason_of(result))
                return content_pb2.IngestContentResponse(request_id=request_id, error=result)
            self._on_stream_answer("")
            return content_pb2.IngestContentResponse(request_id=request_id, content=result)

        await OutOfOrderStream(
            read=context.read,
            answer=answer,
            write=context.write,
            max_in_flight=self._max_stream_in_flight,
            drain=self._drain,
        ).run()

    async def GetContent(  # noqa: N802
        self, request: content_pb2.GetContentRequest, context: Context
    ) -> content_pb2.GetContentResponse:
        del context
        people = self._people()
        stored = await people.storage().content.get(check_id("content_id", request.content_id))
        if stored is None:
            raise UnknownContent
        return convert.to_content(stored, people.phrases())

    async def DeleteContent(  # noqa: N802
        self, request: content_pb2.DeleteContentRequest, context: Context
    ) -> content_pb2.DeleteContentResponse:
        del context
        ids = convert.to_deleted_ids(request)
        return content_pb2.DeleteContentResponse(
            deleted_count=await self._people().delete_content(ids)
        )

    async def RecordEngagements(  # noqa: N802
        self, request: content_pb2.RecordEngagementsRequest, context: Context
    ) -> content_pb2.RecordEngagementsResponse:
        del context
        rows, places, problems = convert.to_engagements(request)
        people = self._people()
        if not rows:
            return convert.to_recorded(0, 0, problems)
        recorded = await people.record(rows)
        unknown: dict[int, InklingError] = {
            places[row]: UnknownContent() for row in recorded.unknown_content
        }
        return convert.to_recorded(
            recorded.recorded_count, recorded.duplicate_count, problems | unknown
        )

    async def Recommend(  # noqa: N802
        self, request: content_pb2.RecommendRequest, context: Context
    ) -> content_pb2.RecommendResponse:
        del context
        people = self._people()
        answer = await people.recommend(convert.to_recommend_query(request))
        return convert.to_recommendations(
            answer.recommended,
            people.phrases(),
            graph_version=answer.graph_version,
            model_version=answer.model_version,
            clusters_version=answer.clusters_version,
        )

    async def _ingest_one(
        self, request: content_pb2.IngestContentRequest | NotAMessage, deadline: float | None
    ) -> content_pb2.IngestedContent:
        if isinstance(request, NotAMessage):
            raise request
        check_request_id(request.request_id)
        order = convert.to_order(request, deadline=deadline)
        return convert.to_ingested(order, await self._people().ingester.ingest(order))


def _deadline(context: Context) -> float | None:
    """When the caller stops waiting, on the running loop's clock."""
    remaining_s: Any = context.time_remaining()
    return None if remaining_s is None else asyncio.get_running_loop().time() + remaining_s
