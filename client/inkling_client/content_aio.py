"""The asyncio client of content, `AsyncInklingClient.content`: `content_client.py`, awaited.

    content = client.content
    async for item, outcome in content.ingest(items):
        ...
    await content.record([Engagement("ann", "pin-1", "save")])
    found = await content.recommend("ann")

This module does not know the rules of retrying (`retry.py`) nor of streams (`stream_ledger.py`).
"""

from collections.abc import AsyncGenerator, AsyncIterable, Iterable

from grpc import aio

from inkling.v1 import content_pb2, content_pb2_grpc, info_pb2, info_pb2_grpc
from inkling_client.aio_stream import AsyncItemStream
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
from inkling_client.operation_aio import AsyncCaller
from inkling_client.requests import READ_CAP_BYTES
from inkling_client.retry import STREAM_RETRY, RetryPolicy
from inkling_client.stream_ledger import StreamLedger


class AsyncContentClient:
    """Stores content items and what people do with them; see `ContentClient`."""

    def __init__(self, channel: aio.Channel, caller: AsyncCaller) -> None:
        self._content = content_pb2_grpc.ContentServiceStub(channel)
        self._info = info_pb2_grpc.InfoServiceStub(channel)
        self._call = caller

    def ingest(
        self,
        items: AsyncIterable[IngestItem] | Iterable[IngestItem],
        *,
        max_in_flight: int = 64,
        stall_timeout_s: float = 30.0,
        retry: RetryPolicy = STREAM_RETRY,
    ) -> AsyncGenerator[tuple[IngestItem, IngestOutcome]]:
        """Stores many items over one connection, by the rules of `ContentClient.ingest`.

        `items` may be asynchronous. To end the stream at the very moment that you break out of the
        loop, and not when the iterator is collected, wrap it in `contextlib.aclosing`.
        """
        if max_in_flight < 1 or stall_timeout_s <= 0:
            raise ValueError("max_in_flight and stall_timeout_s must be positive")
        stream = AsyncItemStream(
            open_stream=self._content.IngestContent,
            ask_info=lambda: self._info.GetInfo(
                info_pb2.GetInfoRequest(), timeout=DEFAULT_TIMEOUT_S
            ),
            inputs=_with_themselves(items),
            kind=INGEST,
            ledger=StreamLedger[IngestItem, IngestedContent](INGEST, retry, stall_timeout_s),
            max_in_flight=max_in_flight,
            max_image_bytes=READ_CAP_BYTES,
        )
        return stream.outcomes()

    async def get(self, content_id: str) -> StoredContent:
        """One item as it is stored. Raises UnknownContent where there is none."""
        request = content_pb2.GetContentRequest(content_id=content_id)
        return stored_content(
            await self._call(lambda s: self._content.GetContent(request, timeout=s))
        )

    async def delete(self, content_ids: Iterable[str]) -> int:
        """Deletes items, and says how many there were; see `ContentClient.delete`."""
        return sum([await self._delete(request) for request in delete_requests(content_ids)])

    async def _delete(self, request: content_pb2.DeleteContentRequest) -> int:
        answer = await self._call(lambda s: self._content.DeleteContent(request, timeout=s))
        return answer.deleted_count

    async def record(
        self,
        engagements: Iterable[Engagement],
        *,
        batch_size: int = BATCH_SIZE,
        timeout_s: float = RECORD_TIMEOUT_S,
        retry: RetryPolicy = STREAM_RETRY,
    ) -> Recorded:
        """Records what people did, once each, by the rules of `ContentClient.record`."""
        total = Recorded(0, 0)
        async for part in self.record_batches(
            engagements, batch_size=batch_size, timeout_s=timeout_s, retry=retry
        ):
            total += part
        return total

    async def record_batches(
        self,
        engagements: Iterable[Engagement],
        *,
        batch_size: int = BATCH_SIZE,
        timeout_s: float = RECORD_TIMEOUT_S,
        retry: RetryPolicy = STREAM_RETRY,
    ) -> AsyncGenerator[Recorded]:
        """As `record`, but yields what has become of each request's engagements as it is known."""
        offset = 0
        for batch in batches(engagements, batch_size):
            part = await self._record(batch, timeout_s, retry)
            yield part.shifted(offset)
            offset += len(batch)

    async def _record(
        self, batch: list[Engagement], timeout_s: float, retry: RetryPolicy
    ) -> Recorded:
        request = record_request(batch)
        return recorded(
            await self._call(
                lambda s: self._content.RecordEngagements(request, timeout=s),
                timeout_s,
                retry=retry,
            )
        )

    async def recommend(
        self,
        user_id: str,
        *,
        limit: int | None = None,
        diversity: float | None = None,
        explain: bool = False,
        interest_ids: Iterable[str] = (),
        excluded_content_ids: Iterable[str] = (),
    ) -> Recommendations:
        """What to show somebody next; arguments are those of `ContentClient.recommend`."""
        request = recommend_request(
            user_id,
            limit=limit,
            diversity=diversity,
            explain=explain,
            interest_ids=interest_ids,
            excluded_content_ids=excluded_content_ids,
        )
        return recommendations(
            await self._call(lambda s: self._content.Recommend(request, timeout=s))
        )


async def _with_themselves(
    items: AsyncIterable[IngestItem] | Iterable[IngestItem],
) -> AsyncGenerator[tuple[IngestItem, IngestItem]]:
    """Each item as its own key."""
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item, item
    else:
        for item in items:
            yield item, item
