"""TaggingService: hands pictures and videos to their taggers, and the answers back.

It knows no queue, encoder or index, holds no `try` (see `boundary.py`), and keeps no reference to a
picture after it has been answered.
"""

from collections.abc import Callable

from google.rpc import status_pb2

from inkling.v1 import tagging_pb2, tagging_pb2_grpc
from inkling_server.errors import ShuttingDown
from inkling_server.rpc.boundary import Context
from inkling_server.rpc.converters import to_query, to_response
from inkling_server.rpc.item_stream import StreamPolicy, answer_items, deadline_of
from inkling_server.rpc.video_converters import to_video_response
from inkling_server.rpc.video_upload import receive_video
from inkling_server.tagging import Tagger
from inkling_server.video_tagging import VideoTagger


class TaggingServicer(tagging_pb2_grpc.TaggingServiceServicer):
    """Tag, TagStream and TagVideo.

    Args:
        tagger: the current Tagger; raises EncoderDown while there is none yet.
        streams: how streams are served.
        videos: the current VideoTagger; raises VideosNotServed where there is none.
    """

    def __init__(
        self,
        tagger: Callable[[], Tagger],
        streams: StreamPolicy,
        videos: Callable[[], VideoTagger],
    ) -> None:
        self._tagger = tagger
        self._videos = videos
        self._streams = streams

    async def Tag(  # noqa: N802
        self, request: tagging_pb2.TagRequest, context: Context
    ) -> tagging_pb2.TagResponse:
        query = to_query(request, deadline=deadline_of(context), wait=False)
        return to_response(await self._tagger().tag(query))

    async def TagStream(self, _requests: object, context: Context) -> None:  # type: ignore[override]  # noqa: N802
        # A coroutine that reads and writes by itself; the generated base knows only generators.
        deadline = deadline_of(context)

        async def tag(request: tagging_pb2.TagStreamRequest) -> tagging_pb2.TagResponse:
            query = to_query(request.request, deadline=deadline, wait=True)
            return to_response(await self._tagger().tag(query))

        await answer_items(context, tag, _reply, self._streams)

    async def TagVideo(  # noqa: N802
        self, _requests: object, context: Context
    ) -> tagging_pb2.TagVideoResponse:
        # It reads by itself; the generated base knows only iterators.
        videos = self._videos()
        async with videos.room() as spool:
            receiving = receive_video(context, spool, videos.check, deadline=deadline_of(context))
            query = await self._streams.drain.unless_begun(receiving)
            if query is None:
                raise ShuttingDown
            return to_video_response(await videos.tag_video(query))


def _reply(
    request_id: str, result: tagging_pb2.TagResponse | status_pb2.Status
) -> tagging_pb2.TagStreamResponse:
    if isinstance(result, status_pb2.Status):
        return tagging_pb2.TagStreamResponse(request_id=request_id, error=result)
    return tagging_pb2.TagStreamResponse(request_id=request_id, response=result)
