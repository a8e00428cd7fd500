"""A scripted ContentService for the client's tests: it keeps what it is sent, in memory.

An item gets one tag whose phrase is its caption, or its picture's bytes where it has none.
"""

import threading
from collections.abc import Iterator
from typing import Any, NoReturn

import grpc
from google.rpc import status_pb2
from grpc_status import rpc_status

from inkling.v1 import common_pb2, content_pb2, content_pb2_grpc
from tests.client.fake_server import GRAPH, MODEL, status

CLUSTERS = "clusters-1"
UNKNOWN_CONTENT = status(grpc.StatusCode.NOT_FOUND, "UNKNOWN_CONTENT", "no such item")
STORAGE_DOWN = status(grpc.StatusCode.UNAVAILABLE, "STORAGE_DOWN", "the database does not answer")


class FakeContent(content_pb2_grpc.ContentServiceServicer):
    """The servicer, and what it saw.

    Attributes:
        items: by id, as they were sent last.
        stored: ids in the order in which they were stored, one entry each time.
        engagements: by person and request id.
        requests: every unary request, in order.
        script: statuses that an item gets, one at each attempt, before it is stored.
        refuse: statuses that the next calls of an RPC get, by its name.
        lose_answer_of: RPCs whose next answers are lost: done, and the connection breaks.
        break_at: a stream stores this many items, and breaks before it answers the last of them;
            used up by one stream.
        hold: while set, items of streams wait to be stored.
    """

    def __init__(self) -> None:
        self.items: dict[str, content_pb2.IngestContentRequest] = {}
        self.stored: list[str] = []
        self.engagements: dict[tuple[str, str], content_pb2.Engagement] = {}
        self.requests: list[Any] = []
        self.script: dict[str, list[status_pb2.Status]] = {}
        self.refuse: dict[str, list[status_pb2.Status]] = {}
        self.lose_answer_of: list[str] = []
        self.break_at: int | None = None
        self.hold = False
        self.stream_count = 0
        self.received = 0
        self.changed = threading.Condition()
        self.cold_start = False

    def add_to(self, server: grpc.Server) -> None:
        """For `RunningServer`."""
        content_pb2_grpc.add_ContentServiceServicer_to_server(self, server)

    def seen(self, kind: type) -> list[Any]:
        """Requests of one kind."""
        return [request for request in self.requests if isinstance(request, kind)]

    def release(self) -> None:
        """Lets go on what `hold` kept waiting."""
        with self.changed:
            self.hold = False
            self.changed.notify_all()

    def wait_for_received(self, count: int) -> None:
        """Returns when so many items have come; fails after 10 s."""
        with self.changed:
            assert self.changed.wait_for(lambda: self.received >= count, timeout=10)

    def IngestContent(  # noqa: N802
        self, request_iterator: Iterator[content_pb2.IngestContentRequest], context: Any
    ) -> Iterator[content_pb2.IngestContentResponse]:
        with self.changed:
            self.stream_count += 1
            break_at, self.break_at = self.break_at, None
        done = 0
        for request in request_iterator:
            with self.changed:
                self.received += 1
                self.changed.notify_all()
                self.changed.wait_for(lambda: not self.hold or not context.is_active(), timeout=10)
                steps = self.script.get(request.item.content_id)
                failure = steps.pop(0) if steps else None
            if failure is not None:
                yield content_pb2.IngestContentResponse(
                    request_id=request.request_id, error=failure
                )
                continue
            reply = self._store(request)
            done += 1
            if done == break_at:
                context.abort(grpc.StatusCode.UNAVAILABLE, "connection broke")
            yield reply

    def GetContent(self, request: Any, context: Any) -> content_pb2.GetContentResponse:  # noqa: N802
        self._begin("GetContent", request, context)
        found = self.items.get(request.content_id)
        if found is None:
            self._abort(context, UNKNOWN_CONTENT)
        tag = _tag(found)
        tag.explanation.CopyFrom(
            common_pb2.Explanation(cosine=0.25, picture_logit=1.5, prior_logit=-0.5)
        )
        tag.explanation.evidence.add(source="caption", weight=0.5, mention_count=1, text="cat")
        return content_pb2.GetContentResponse(
            item=found.item,
            tags=[tag],
            graph_version=GRAPH,
            model_version=MODEL,
            has_embedding=bool(found.image),
        )

    def DeleteContent(self, request: Any, context: Any) -> content_pb2.DeleteContentResponse:  # noqa: N802
        self._begin("DeleteContent", request, context)
        gone = [self.items.pop(name, None) for name in request.content_ids]
        return content_pb2.DeleteContentResponse(deleted_count=sum(g is not None for g in gone))

    def RecordEngagements(  # noqa: N802
        self, request: Any, context: Any
    ) -> content_pb2.RecordEngagementsResponse:
        self._begin("RecordEngagements", request, context)
        answer = content_pb2.RecordEngagementsResponse()
        for index, engagement in enumerate(request.engagements):
            key = engagement.user_id, engagement.request_id
            if engagement.content_id not in self.items:
                answer.errors.add(index=index, error=UNKNOWN_CONTENT)
            elif key in self.engagements:
                answer.duplicate_count += 1
            else:
                self.engagements[key] = engagement
                answer.recorded_count += 1
        self._end("RecordEngagements", context)
        return answer

    def Recommend(self, request: Any, context: Any) -> content_pb2.RecommendResponse:  # noqa: N802
        self._begin("Recommend", request, context)
        answer = content_pb2.RecommendResponse(
            graph_version=GRAPH,
            model_version=MODEL,
            clusters_version=CLUSTERS,
            cold_start=self.cold_start,
        )
        best = answer.recommendations.add(content_id="pin-7", score=1.5)
        answer.recommendations.add(content_id="pin-9", score=0.5)
        if request.explain:
            best.reasons.add(
                contribution=0.75,
                interest=content_pb2.InterestReason(interest_id="i1", phrase="latte art"),
            )
            best.reasons.add(contribution=0.5, visual=content_pb2.VisualReason(cluster=17))
            best.reasons.add(
                contribution=0.25,
                co_engagement=content_pb2.CoEngagementReason(content_ids=["pin-1", "pin-2"]),
            )
            best.reasons.add(contribution=0.125, popularity=content_pb2.PopularityReason())
            best.reasons.add(contribution=-0.125, freshness=content_pb2.FreshnessReason())
        return answer

    def keep(self, *content_ids: str) -> None:
        """Stores items of these ids, with a caption and a picture."""
        for name in content_ids:
            request = content_pb2.IngestContentRequest(image=b"cat")
            request.item.content_id = name
            request.item.context.caption = "a cat"
            self.items[name] = request

    def _store(
        self, request: content_pb2.IngestContentRequest
    ) -> content_pb2.IngestContentResponse:
        name = request.item.content_id
        with self.changed:
            created = name not in self.items
            self.items[name] = request
            self.stored.append(name)
        content = content_pb2.IngestedContent(
            content_id=name,
            tags=[_tag(request)],
            graph_version=GRAPH,
            model_version=MODEL,
            created=created,
        )
        return content_pb2.IngestContentResponse(request_id=request.request_id, content=content)

    def _begin(self, rpc: str, request: Any, context: Any) -> None:
        with self.changed:
            kept = type(request)()
            kept.CopyFrom(request)
            self.requests.append(kept)
            refusals = self.refuse.get(rpc)
            why = refusals.pop(0) if refusals else None
        if why is not None:
            self._abort(context, why)

    def _end(self, rpc: str, context: Any) -> None:
        if rpc in self.lose_answer_of:
            self.lose_answer_of.remove(rpc)
            context.abort(grpc.StatusCode.UNAVAILABLE, "connection broke")

    def _abort(self, context: Any, why: status_pb2.Status) -> NoReturn:
        context.abort_with_status(rpc_status.to_status(why))
        raise AssertionError("abort raises")


def _tag(request: content_pb2.IngestContentRequest) -> common_pb2.Tag:
    phrase = request.item.context.caption or request.image[:40].decode(errors="replace")
    return common_pb2.Tag(interest_id=f"id:{phrase}", phrase=phrase, score=0.75)
