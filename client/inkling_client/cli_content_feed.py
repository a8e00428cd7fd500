"""A file of content items and engagements, as `inkling content ingest` reads it.

One JSON object a line, in any order, as the server's content feed has them:

    {"id": "p1", "caption": "…", "picture": "photos/p1.jpg", "created_time": "2026-11-20T09:00:00Z"}
    {"user_id": "u7", "content_id": "p1", "kind": "like", "time": "2026-11-20T10:00:00Z"}

Beside the feed's keys an item may have "picture" (a file below the folder of pictures) and "point"
({"latitude_deg", "longitude_deg"}), and an engagement "request_id". An engagement without one gets
one that follows from what its line says: reading the file twice records nothing twice.

This module does not know the server, nor what becomes of lines.
"""

import gzip
import hashlib
import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, cast

from inkling_client.content_values import Engagement, GeoPoint, IngestItem
from inkling_client.context import Context
from inkling_client.errors import InvalidRequest
from inkling_client.local_errors import line_invalid

# Longer lines are no content: they are skipped without being held in memory.
MAX_LINE_BYTES = 4 * 2**20
# Maybe half a character: most that look like it are whole, in two halves.
_HALF_CHARACTER = re.compile(rb"\\u[dD][89a-fA-F]")
_TEXTS = ("caption", "overlay_text", "title", "transcript", "location", "body", "source")
_LISTS = ("hashtags", "comments")


@dataclass(frozen=True, slots=True)
class Line:
    """One line that is not empty.

    Args:
        number: from 1.
        value: what it says; InvalidRequest (LINE_INVALID) where it is neither item nor engagement.
    """

    number: int
    value: IngestItem | Engagement | InvalidRequest = field(repr=False)


class FeedFile:
    """Reads a file, as often as wanted.

    Args:
        path: of the file; one that ends with ".gz" is uncompressed.
        pictures: where pictures are; no picture outside this folder is read.

    Attributes:
        total_bytes: of the file as it lies on the disk.
        done_bytes: read so far of this pass.
    """

    def __init__(self, path: Path, pictures: Path) -> None:
        self._path = path
        self._pictures = pictures
        self.total_bytes = path.stat().st_size
        self.done_bytes = 0

    def lines(self) -> Iterator[Line]:
        """Yields every line that is not empty. Raises OSError where the file cannot be read."""
        self.done_bytes = 0
        number = 0
        with self._path.open("rb") as raw, self._unpacked(raw) as stream:
            try:
                for data in _bounded_lines(stream):
                    number += 1
                    self.done_bytes = min(raw.tell(), self.total_bytes)
                    if data is None or data.strip():
                        yield Line(number, self._value(data))
            except (EOFError, zlib.error, gzip.BadGzipFile):
                yield Line(number + 1, line_invalid("the file is no whole gzip file"))

    def _unpacked(self, raw: BinaryIO) -> BinaryIO:
        return cast(BinaryIO, gzip.open(raw)) if self._path.suffix == ".gz" else raw

    def _value(self, data: bytes | None) -> IngestItem | Engagement | InvalidRequest:
        if data is None:
            return line_invalid(f"longer than {MAX_LINE_BYTES:,} bytes")
        try:
            values = json.loads(data.decode("utf-8-sig"))
            if _HALF_CHARACTER.search(data):
                # Whoever cuts text by UTF-16 units leaves half an emoji, which no message can hold.
                values = json.loads(json.dumps(values, ensure_ascii=False).encode(errors="replace"))
        except (ValueError, RecursionError):
            return line_invalid("not JSON")
        if not isinstance(values, dict):
            return line_invalid("not a JSON object")
        try:
            if "content_id" in values:
                return _engagement(values)
            return _item(values, self._pictures)
        except (ValueError, OverflowError) as error:
            return line_invalid(str(error))


def _bounded_lines(stream: BinaryIO) -> Iterator[bytes | None]:
    """Each line; None for one that is too long."""
    while line := stream.readline(MAX_LINE_BYTES):
        too_long = False
        while not line.endswith(b"\n") and len(line) == MAX_LINE_BYTES:
            too_long = True
            line = stream.readline(MAX_LINE_BYTES)
        yield None if too_long else line


def _item(values: dict[str, Any], pictures: Path) -> IngestItem:
    name = values.get("id")
    if not isinstance(name, str) or not name:
        raise ValueError("neither an item, which has an id, nor an engagement, with a content_id")
    texts: dict[str, Any] = {key: _text(values, key) for key in _TEXTS}
    for key in _LISTS:
        entries = values.get(key) or []
        if not (isinstance(entries, list) and all(isinstance(entry, str) for entry in entries)):
            raise ValueError(f"{key} must be a list of strings")
        texts[key] = tuple(entries)
    read_text = values.get("read_text") or False
    if not isinstance(read_text, bool):
        raise ValueError("read_text must be true or false")
    texts["hashtags"] = tuple(tag.removeprefix("#") for tag in texts["hashtags"])
    return IngestItem(
        content_id=name,
        image=_picture(values.get("picture"), pictures),
        context=Context(**texts, read_text=read_text),
        author_id=_text(values, "author_id"),
        created_time=_time(values.get("created_time")),
        point=_point(values.get("point")),
    )


def _engagement(values: dict[str, Any]) -> Engagement:
    for key in ("user_id", "content_id"):
        if not isinstance(values.get(key), str) or not values[key]:
            raise ValueError(f"{key} must be a string that is not empty")
    kind = "view" if values.get("kind") is None else values["kind"]
    if not isinstance(kind, str):
        raise ValueError("kind must be a string")
    return Engagement(
        user_id=values["user_id"],
        content_id=values["content_id"],
        kind=cast(Any, kind),  # which ones there are, the value itself says
        time=_time(values.get("time")),
        request_id=_text(values, "request_id") or _id_of(values),
    )


def _id_of(values: dict[str, Any]) -> str:
    """A request id that follows from what the line says; order and spaces do not matter."""
    said = {key: value for key, value in values.items() if key != "request_id"}
    text = json.dumps(said, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _text(values: dict[str, Any], key: str) -> str:
    value = values.get(key)
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{key} must be a string")
    return value or ""


def _time(value: object) -> datetime | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise ValueError("a time must be ISO-8601 text")
    try:
        time = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError("a time must be ISO-8601 text") from None
    # Exports often leave the zone out; everybody then means UTC.
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def _point(value: object) -> GeoPoint | None:
    if value is None:
        return None
    fields = value if isinstance(value, dict) else {}
    numbers = [fields.get("latitude_deg"), fields.get("longitude_deg")]
    if not all(type(number) in (int, float) for number in numbers):
        raise ValueError("point must have the numbers latitude_deg and longitude_deg")
    return GeoPoint(*map(float, cast("list[float]", numbers)))


def _picture(value: object, folder: Path) -> Path | None:
    if value is None:
        return None
    if not isinstance(value, str) or not value:
        raise ValueError("picture must be a file's path")
    path = folder / value
    if "\0" in value or not path.resolve().is_relative_to(folder.resolve()):
        # A feed that somebody else wrote must not send files from anywhere.
        raise ValueError("picture must be below the folder of pictures")
    return path
