"""ContentService: takes items and engagements in, and recommends.

It knows no SQL, tags or rankings, and holds no `try` (see `boundary.py`).
"""

from collections.abc import Callable

from google.rpc import status_pb2

from inkling.v1 import content_pb2, content_pb2_grpc
from inkling_server.errors import InklingError, UnknownContent
from inkling_server.people.service import People
from inkling_server.rpc import content_converters as convert
from inkling_server.rpc.boundary import Context
from inkling_server.rpc.item_stream import StreamPolicy, answer_items, deadline_of
from inkling_server.rpc.people_limits import check_id


class ContentServicer(content_pb2_grpc.ContentServiceServicer):
    """All RPCs of content.

    Args:
        people: everything about content and people; raises EncoderDown while there is none yet.
        streams: how streams are served.
    """

    def __init__(self, people: Callable[[], People], streams: StreamPolicy) -> None:
        self._people = people
        self._streams = streams

    async def IngestContent(self, _requests: object, context: Context) -> None:  # type: ignore[override]  # noqa: N802
        # A coroutine that reads and writes by itself; the generated base knows only generators.
        deadline = deadline_of(context)

        async def ingest(
            request: content_pb2.IngestContentRequest,
        ) -> content_pb2.IngestedContent:
            order = convert.to_order(request, deadline=deadline)
            return convert.to_ingested(order, await self._people().ingester.ingest(order))

        await answer_items(context, ingest, _reply, self._streams)

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


def _reply(
    request_id: str, result: content_pb2.IngestedContent | status_pb2.Status
) -> content_pb2.IngestContentResponse:
    if isinstance(result, status_pb2.Status):
        return content_pb2.IngestContentResponse(request_id=request_id, error=result)
    return content_pb2.IngestContentResponse(request_id=request_id, content=result)
