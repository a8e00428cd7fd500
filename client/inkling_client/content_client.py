"""The blocking client of content: `InklingClient.content`.

    content = client.content
    for item, outcome in content.ingest(items):
        ...
    content.record([Engagement("ann", "pin-1", "save")])
    for item in content.recommend("ann").items:
        ...

This module does not know the rules of retrying (`retry.py`) nor of streams (`stream_ledger.py`).
The same for asyncio is `content_aio.py`.
"""

from collections.abc import Generator, Iterable

import grpc

from inkling.v1 import content_pb2, content_pb2_grpc, info_pb2, info_pb2_grpc
from inkling_client.channel import DEFAULT_TIMEOUT_S
from inkling_client.content_calls import (
    BATCH_SIZE,
    INGEST,
    RECORD_TIMEOUT_S,
    batches,
    delete_requests,
    recommend_request,
    record_request,
)
from inkling_client.content_results import (
    IngestedContent,
    IngestOutcome,
    Recommendations,
    Recorded,
    StoredContent,
    recommendations,
    recorded,
    stored_content,
)
from inkling_client.content_values import Engagement, IngestItem
from inkling_client.operation_handle import Caller
from inkling_client.requests import READ_CAP_BYTES
from inkling_client.retry import STREAM_RETRY, RetryPolicy
from inkling_client.stream import ItemStream
from inkling_client.stream_ledger import StreamLedger


class ContentClient:
    """Stores content items and what people do with them. Errors are `InklingClientError`s."""

    def __init__(self, channel: grpc.Channel, caller: Caller) -> None:
        self._content = content_pb2_grpc.ContentServiceStub(channel)
        self._info = info_pb2_grpc.InfoServiceStub(channel)
        self._call = caller

    def ingest(
        self,
        items: Iterable[IngestItem],
        *,
        max_in_flight: int = 64,
        stall_timeout_s: float = 30.0,
        retry: RetryPolicy = STREAM_RETRY,
    ) -> Generator[tuple[IngestItem, IngestOutcome]]:
        """Stores many items over one connection; yields each with its outcome, in any order.

        Every item gets exactly one outcome: an `IngestedContent` says that it is stored durably,
        one that fails is an error *value* and ends nothing. A connection that breaks is opened
        again, and what had no answer is sent again: writing an item again replaces it, so that
        nothing is lost and nothing is there twice. Two items of the same id may be stored in either
        order. Break out of the loop, or close the iterator, to stop early.

        Args:
            items: drawn from another thread, no more than `max_in_flight` ahead of what you have
                taken.
            max_in_flight: items held in memory at a time; fewer where they are large (64 MiB).
            stall_timeout_s: where no answer comes for so long, what is under way fails with
                DeadlineExceeded: it may be stored or not; send it again.
            retry: attempts for one item, and for one connection without any answer.

        Raises:
            Exception: what `items` raises, after the outcomes of everything before it.
        """
        if max_in_flight < 1 or stall_timeout_s <= 0:
            raise ValueError("max_in_flight and stall_timeout_s must be positive")
        stream = ItemStream(
            open_stream=self._content.IngestContent,
            ask_info=lambda: self._info.GetInfo.future(
                info_pb2.GetInfoRequest(), timeout=DEFAULT_TIMEOUT_S
            ),
            inputs=((item, item) for item in items),
            kind=INGEST,
            ledger=StreamLedger[IngestItem, IngestedContent](INGEST, retry, stall_timeout_s),
            max_in_flight=max_in_flight,
            max_image_bytes=READ_CAP_BYTES,
        )
        return stream.outcomes()

    def get(self, content_id: str) -> StoredContent:
        """One item as it is stored. Raises UnknownContent where there is none."""
        request = content_pb2.GetContentRequest(content_id=content_id)
        return self._call(lambda s: stored_content(self._content.GetContent(request, timeout=s)))

    def delete(self, content_ids: Iterable[str]) -> int:
        """Deletes items, with all that people did with them; returns how many there were.

        Ids that are not there are no error. Any number: they are sent 1,000 at a time. Where an
        answer was lost and the call sent again, what was deleted before is not counted.
        """
        return sum(map(self._delete, delete_requests(content_ids)))

    def _delete(self, request: content_pb2.DeleteContentRequest) -> int:
        answer = self._call(lambda s: self._content.DeleteContent(request, timeout=s))
        return answer.deleted_count

    def record(
        self,
        engagements: Iterable[Engagement],
        *,
        batch_size: int = BATCH_SIZE,
        timeout_s: float = RECORD_TIMEOUT_S,
        retry: RetryPolicy = STREAM_RETRY,
    ) -> Recorded:
        """Records what people did, any number of engagements; returns when all is durable.

        A bad one costs the others nothing: see `Recorded.errors`. A request that gets no answer, or
        finds the database down, is sent again: each engagement is recorded once by its request_id.
        Where this raises, some may be recorded; recording the same values again is safe.

        Args:
            engagements: drawn as they are sent.
            batch_size: of one request, 1 to 10,000.
            timeout_s: of one request, retries included.
            retry: of one request.

        Raises:
            InklingClientError: one of the tree in `errors.py`.
        """
        parts = self.record_batches(
            engagements, batch_size=batch_size, timeout_s=timeout_s, retry=retry
        )
        return sum(parts, start=Recorded(0, 0))

    def record_batches(
        self,
        engagements: Iterable[Engagement],
        *,
        batch_size: int = BATCH_SIZE,
        timeout_s: float = RECORD_TIMEOUT_S,
        retry: RetryPolicy = STREAM_RETRY,
    ) -> Generator[Recorded]:
        """As `record`, but yields what has become of each request's engagements as it is known."""
        offset = 0
        for batch in batches(engagements, batch_size):
            yield self._record(batch, timeout_s, retry).shifted(offset)
            offset += len(batch)

    def _record(self, batch: list[Engagement], timeout_s: float, retry: RetryPolicy) -> Recorded:
        request = record_request(batch)
        return self._call(
            lambda s: recorded(self._content.RecordEngagements(request, timeout=s)),
            timeout_s,
            retry=retry,
        )

    def recommend(
        self,
        user_id: str,
        *,
        limit: int | None = None,
        diversity: float | None = None,
        explain: bool = False,
        interest_ids: Iterable[str] = (),
        excluded_content_ids: Iterable[str] = (),
    ) -> Recommendations:
        """What to show somebody: items that they have neither seen nor hidden and did not post.

        Args:
            user_id: may be unknown: then it is what people in general keep.
            limit: 1 to 100; None: 20.
            diversity: how much unlike each other the items are, in [0, 1]; 0 ranks by score alone;
                None: 0.3.
            explain: adds Recommendation.reasons.
            interest_ids: only items that have one of these; at most 64.
            excluded_content_ids: never these; at most 1,000.
        """
        request = recommend_request(
            user_id,
            limit=limit,
            diversity=diversity,
            explain=explain,
            interest_ids=interest_ids,
            excluded_content_ids=excluded_content_ids,
        )
        return self._call(lambda s: recommendations(self._content.Recommend(request, timeout=s)))
