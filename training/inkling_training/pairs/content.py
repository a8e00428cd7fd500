"""Content items with their pictures, as mining wants them, whatever they were read from.

    tar shards of labelled pictures ─► records ─┐
                                                 ├─► PictureItem: texts, picture, gold tags, split
    folder of JSON lines and pictures ──────────┘       (`content_folder` reads these)

Quirks of the sample data end here: what a shop says of a product is read as an article and not as
what one sees; a recipe's hashtags are its gold tags, so only the gold tags are taken. This module
knows no interests and does not look into pictures.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from inkling_server.interests.content import ContentItem
from inkling_training.data import Record, load_records

# Captions of these parts praise a product: they name what it goes well with, too.
_ADVERTISING = frozenset({"grocery-store"})


@dataclass(frozen=True, slots=True)
class PictureItem:
    """One content item with its picture.

    Attributes:
        key: unique: "<source>/<id>".
        source: the part of the data, or the feed's source.
        content: its texts, for the server's own reading.
        picture: encoded bytes, or the file that holds them.
        digest: SHA-256 of the picture's bytes, hexadecimal.
        captions: texts that describe the picture, as a person would read them.
        title: the one of them that is a title, or "".
        tags: gold tags, lower case; () where nobody gave any.
        label: the one class, or None.
        split: "train", "val", or None where it is not said.
    """

    key: str
    source: str
    content: ContentItem
    picture: bytes | Path
    digest: str
    captions: tuple[str, ...] = ()
    title: str = ""
    tags: tuple[str, ...] = ()
    label: str | None = None
    split: str | None = None

    def read_picture(self) -> bytes | None:
        """The picture's bytes; None where the file is gone or another one by now."""
        if isinstance(self.picture, bytes):
            return self.picture
        try:
            data = self.picture.read_bytes()
        except OSError:
            return None
        return data if digest_of(data) == self.digest else None


@dataclass(slots=True)
class ContentRead:
    """What became of the content that was read.

    Attributes:
        items: in a fixed order; keys are unique.
        skipped: how many lines or pictures were set aside, by reason; never what they said.
    """

    items: list[PictureItem] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)


def digest_of(picture: bytes) -> str:
    """SHA-256, hexadecimal."""
    return hashlib.sha256(picture).hexdigest()


def read_records(data: Path, sources: Iterable[str] | None = None) -> ContentRead:
    """Items of the tar shards below `data`/images.

    Args:
        data: as `data.load_records` wants it.
        sources: parts to read; None: all.

    Raises:
        ValueError: no shard holds one of these sources.
    """
    wanted = None if sources is None else frozenset(sources)
    records = load_records(data, wanted)
    missing = (wanted or frozenset()) - {record.source for record in records}
    if missing:
        raise ValueError(f"no pictures of {', '.join(sorted(missing))} in {data.name}/images")
    read = ContentRead()
    seen: set[str] = set()
    for record in records:
        if not record.picture:
            read.skipped["empty picture"] += 1
        elif record.key in seen:
            read.skipped["repeated id"] += 1
        else:
            seen.add(record.key)
            read.items.append(item_of(record))
    return read


def item_of(record: Record) -> PictureItem:
    """One labelled picture as an item."""
    captions = [text for text in record.captions if text != record.title]
    text = "\n".join(captions)
    advertises = record.source in _ADVERTISING
    return PictureItem(
        key=record.key,
        source=record.source,
        content=ContentItem(
            id=record.key,
            source="publisher" if advertises else "user_generated",
            caption="" if advertises else text,
            body=text if advertises else "",
            title=record.title,
        ),
        picture=record.picture,
        digest=digest_of(record.picture),
        captions=record.captions,
        title=record.title,
        tags=record.tags,
        label=record.label,
        split=record.split,
    )


def limit_per_class(
    items: Sequence[PictureItem], limit: int | None, seed: int
) -> list[PictureItem]:
    """At most `limit` items of each source's class, chosen by seed; items without class all stay.

    The order of items stays as it is.
    """
    if limit is None:
        return list(items)
    groups: dict[tuple[str, str], list[PictureItem]] = defaultdict(list)
    for item in items:
        if item.label is not None:
            groups[item.source, item.label].append(item)
    kept = {
        item.key
        for group in groups.values()
        for item in sorted(group, key=lambda item: stable_hash(f"{seed}/{item.key}"))[:limit]
    }
    return [item for item in items if item.label is None or item.key in kept]


def stable_hash(text: str) -> int:
    """The same 64-bit number on every machine, for ever."""
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big")


def with_split(item: PictureItem, split: str) -> PictureItem:
    """The same item in that split."""
    return item if item.split == split else replace(item, split=split)
