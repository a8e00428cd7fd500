"""Takes content items in: tags each through the way of every picture, and stores it durably.

    item ─► tagger (picture, texts, author's history) ─► MicroBatcher ─► storage ─► acknowledged
              └ one slot of the gateway's capacity          └ many items, one transaction

An item is acknowledged when its transaction has been committed. Storage that is slower than the
tagger fills the batcher's admission; streams then stop reading. The picture is not kept. It does
not know gRPC, SQL, or how tags come about.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from inkling_server.admission import Admission
from inkling_server.batching import BatchLimits, MicroBatcher
from inkling_server.interests.content import ContentItem
from inkling_server.storage import Storage
from inkling_server.storage.records import StoredContent, StoredTag
from inkling_server.tagging import (
    ContentQuery,
    ContentTags,
    ScoredTag,
    Tagger,
    explanation_fields,
)

# What an author is known for, at most: more would be slower than the rest of the item.
_AUTHOR_INTERESTS = 50
_TEXTS = ("caption", "overlay_text", "title", "body", "transcript")
_LISTS = ("hashtags", "comments")


@dataclass(frozen=True, slots=True)
class IngestLimits:
    """How items are written.

    Attributes:
        capacity: items that are tagged and wait for their transaction. Bounds memory.
        max_batch_size: items of one transaction.
        max_delay_s: longest that an item waits for company while another transaction runs.
    """

    capacity: int = 512
    max_batch_size: int = 64
    max_delay_s: float = 0.05


@dataclass(frozen=True, slots=True)
class IngestOrder:
    """One item to take in.

    Attributes:
        item: its texts, author, place and time.
        point: latitude and longitude in degrees, or None.
        image: the encoded picture; None: an item of texts alone.
        deadline: when the caller stops waiting, on the running loop's clock.
        read_text: read what is written in the picture, too, and keep it with the other texts.
    """

    item: ContentItem
    point: tuple[float, float] | None = None
    image: bytes | None = None
    deadline: float | None = None
    read_text: bool = False

    def __repr__(self) -> str:
        return f"IngestOrder({self.item!r}, image={self.image is not None})"


@dataclass(frozen=True, slots=True)
class Ingested:
    """What became of an item.

    Attributes:
        tags: joined from picture and texts, and the versions that they come from.
        created: no item of this id was there before.
    """

    tags: ContentTags
    created: bool


class Ingester:
    """Takes items in; all methods belong to one event loop.

    Args:
        storage: raises StorageDown while there is none.
        tagger: raises EncoderDown while there is none.
        limits: how items are written.
    """

    def __init__(
        self,
        storage: Callable[[], Storage],
        tagger: Callable[[], Tagger],
        limits: IngestLimits | None = None,
    ) -> None:
        limits = limits or IngestLimits()
        self._storage = storage
        self._tagger = tagger
        self._batcher: MicroBatcher[StoredContent, bool] = MicroBatcher(
            self._put,
            BatchLimits(limits.max_batch_size, max_in_flight=2, max_delay_s=limits.max_delay_s),
            admission=Admission(limits.capacity),
        )

    async def ingest(self, order: IngestOrder) -> Ingested:
        """Tags and stores one item; it is durable when this returns.

        Raises:
            ImageInvalid, ImageTooLarge: the picture cannot be read.
            StorageDown, EncoderDown, ShuttingDown, DeadlineExceeded: try again; writing an item
                again replaces it.
        """
        storage = self._storage()  # first: no picture is decoded for a database that is down
        item = order.item
        history = (
            await storage.content.author_interests(
                item.author_id, limit=_AUTHOR_INTERESTS, besides=item.id
            )
            if item.author_id
            else ()
        )
        tags = await self._tagger().tag_content(
            ContentQuery(
                image=order.image,
                context=item,
                author_interests=history,
                deadline=order.deadline,
                wait=True,
                read_text=order.read_text,
            )
        )
        created = await self._batcher.submit(
            to_stored(order, tags), deadline=order.deadline, wait=True
        )
        return Ingested(tags, created)

    async def close(self) -> None:
        """Fails what waits with ShuttingDown."""
        await self._batcher.close()

    async def _put(self, items: Sequence[StoredContent]) -> list[bool | Exception]:
        created: list[bool | Exception] = []
        for distinct in runs_of_distinct_ids(items):
            created += await self._storage().content.put(distinct)
        return created


def runs_of_distinct_ids(items: Sequence[StoredContent]) -> list[list[StoredContent]]:
    """The items in their order, parted so that no part has an id twice: the later write wins."""
    runs: list[list[StoredContent]] = []
    seen: set[str] = set()
    for item in items:
        if not runs or item.content_id in seen:
            runs.append([])
            seen = set()
        runs[-1].append(item)
        seen.add(item.content_id)
    return runs


def to_stored(order: IngestOrder, tags: ContentTags) -> StoredContent:
    """An item as it is kept: its texts (with what was read in its picture), tags and embedding, and
    not its picture.
    """
    item = replace(order.item, overlay_text=tags.overlay_text or order.item.overlay_text)
    return StoredContent(
        content_id=item.id,
        source=item.source,
        texts=texts_of(item),
        author_id=item.author_id,
        created_time=item.created_time or datetime.now(UTC),
        location=item.location.replace("\0", ""),
        point=order.point,
        tags=tuple(StoredTag(tag.interest_id, tag.score, _explained(tag)) for tag in tags.tags),
        graph_version=tags.graph_version,
        model_version=tags.model_version,
        fingerprint=tags.fingerprint,
        embedding_D=tags.embedding_D,
    )


def texts_of(item: ContentItem) -> dict[str, Any]:
    """The texts that an item has, by field; without NUL, which PostgreSQL cannot hold."""
    texts: dict[str, Any] = {}
    for name in _TEXTS:
        if text := getattr(item, name).replace("\0", ""):
            texts[name] = text
    for name in _LISTS:
        if entries := [entry.replace("\0", "") for entry in getattr(item, name)]:
            texts[name] = entries
    return texts


def _explained(tag: ScoredTag) -> dict[str, Any]:
    return {} if tag.explanation is None else explanation_fields(tag.explanation)
