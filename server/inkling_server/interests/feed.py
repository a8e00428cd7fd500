"""The content feed: a folder of JSON lines that others append to, read once from start to end.

    <folder>/**/*.jsonl      content items and engagements, one JSON object a line, in any order
             **/*.jsonl.gz   the same, whole: never appended to

    {"id": "p1", "source": "user_generated", "caption": "…", "created_time": "2026-11-20T09:00:00Z"}
    {"user_id": "u7", "content_id": "p1", "kind": "like", "time": "2026-11-20T10:00:00Z"}

A `Watermark` says how far each file was read. A file that was replaced or cut since then is read
from its start; a last line without its end waits for the next time. A line that is no content item
and no engagement is counted and skipped: one bad line costs nothing else.

It does not know other feeds (`feeds` joins them) nor what is done with items, and it never writes.
"""

import gzip
import hashlib
import json
import re
import zlib
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from inkling_server.interests.content import ContentItem, content_item
from inkling_server.interests.sources import source_names

# Longer lines are no content: they are skipped without being held in memory.
MAX_LINE_BYTES = 4 * 1024 * 1024
_HEAD_BYTES = 4_096
# Kinds of engagement that say that someone cares; "hide" says the opposite and joins nothing.
ENGAGEMENT_KINDS = ("view", "like", "save", "share", "hide")
_MAX_ID = 500
# Maybe: most that look like it are whole, in two halves.
_HALF_CHARACTER = re.compile(rb"\\u[dD][89a-fA-F]")


@dataclass(frozen=True, slots=True)
class Engagement:
    """Someone did something with a content item.

    Attributes:
        user_id: who; never logged.
        content_id: the item's id.
        kind: one of `ENGAGEMENT_KINDS`.
        time: when, where it is said.
    """

    user_id: str
    content_id: str
    kind: str
    time: datetime | None = None

    def __repr__(self) -> str:
        return f"Engagement(kind={self.kind!r})"


@dataclass(frozen=True, slots=True)
class FileMark:
    """How far one file was read.

    Attributes:
        offset: bytes, up to the end of a line.
        head: digest of the file's first bytes, as far as they were read: tells another file.
    """

    offset: int
    head: str


Watermark = Mapping[str, FileMark]
"""By path below the folder, with '/'."""


@dataclass(frozen=True, slots=True)
class InvalidLine:
    """A line that is neither an item nor an engagement; `problem` does not repeat what it says."""

    problem: str


Entry = ContentItem | Engagement | InvalidLine


class FolderFeed:
    """Reads a folder.

    Args:
        folder: may be missing: then there is nothing to read.
        name: what people call it.
    """

    def __init__(self, folder: Path, name: str = "content") -> None:
        self.name = name
        self._folder = folder

    def open(self, watermark: Watermark) -> "FeedReader":
        """What is new since the watermark, as of now: what is appended later is not read."""
        pending = []
        marks: dict[str, FileMark] = {}
        for path in sorted(self._folder.rglob("*.jsonl")) + sorted(
            self._folder.rglob("*.jsonl.gz")
        ):
            if not path.is_file():
                continue  # a folder of that name, or a link to nothing
            name = path.relative_to(self._folder).as_posix()
            size = path.stat().st_size
            mark = watermark.get(name)
            if mark is not None and not _continues(path, size, mark):
                mark = None
            start = 0 if mark is None else mark.offset
            marks[name] = mark or FileMark(0, "")
            if size > start:
                pending.append(_Pending(name, path, start, size))
        return FeedReader(pending, marks)


@dataclass(frozen=True, slots=True)
class _Pending:
    name: str
    path: Path
    start: int
    end: int


class FeedReader:
    """One pass over what is new; iterate once.

    Attributes:
        total_bytes: of the files, compressed ones as they lie on disk.
        done_bytes: read so far.
    """

    def __init__(self, pending: list[_Pending], marks: dict[str, FileMark]) -> None:
        self._pending = pending
        self._marks = marks
        self.total_bytes = sum(file.end - file.start for file in pending)
        self.done_bytes = 0

    @property
    def watermark(self) -> Watermark:
        """How far files were read: to be kept once what was read is."""
        return dict(self._marks)

    def __iter__(self) -> Iterator[Entry]:
        for file in self._pending:
            before = self.done_bytes
            if file.path.suffix == ".gz":
                yield from self._read_compressed(file)
                end = file.end
            else:
                end = yield from self._read_appended(file)
            self.done_bytes = before + file.end - file.start
            self._marks[file.name] = FileMark(end, _head(file.path, end))

    def _read_appended(self, file: _Pending) -> Generator[Entry, None, int]:
        """Yields entries; returns where the last whole line ends."""
        offset = file.start
        with file.path.open("rb") as stream:
            stream.seek(file.start)
            for line, length in _lines(stream, file.end - file.start):
                offset += length
                self.done_bytes += length
                if line is None or line.strip():
                    yield _entry(line)
        return offset

    def _read_compressed(self, file: _Pending) -> Iterator[Entry]:
        before = self.done_bytes
        try:
            with file.path.open("rb") as raw, gzip.open(raw) as stream:
                for line, _ in _lines(stream, None):
                    self.done_bytes = before + min(raw.tell(), file.end)
                    if line is None or line.strip():
                        yield _entry(line)
        except (OSError, EOFError, zlib.error):
            yield InvalidLine("the file is no whole gzip file")


def _lines(stream: Any, limit: int | None) -> Iterator[tuple[bytes | None, int]]:
    """Each whole line and its length in bytes; None for one that is too long.

    Args:
        stream: at the start of a line.
        limit: bytes that may be read; None: to the end, where a last line needs no line break.
    """
    left = limit
    while left is None or left > 0:
        room = MAX_LINE_BYTES if left is None else min(MAX_LINE_BYTES, left)
        line = stream.readline(room)
        length = len(line)
        if not line:
            return
        too_long = False
        while not line.endswith(b"\n") and length >= MAX_LINE_BYTES:
            too_long = True
            room = MAX_LINE_BYTES if left is None else min(MAX_LINE_BYTES, left - length)
            line = stream.readline(room)
            length += len(line)
            if not line:
                break
        if left is not None:
            if not line.endswith(b"\n"):
                return  # someone is still writing it
            left -= length
        yield (None if too_long else line), length


def _entry(line: bytes | None) -> Entry:
    if line is None:
        return InvalidLine(f"longer than {MAX_LINE_BYTES:,} bytes")
    try:
        values = json.loads(line.decode("utf-8-sig"))
        if _HALF_CHARACTER.search(line):
            # Whoever cuts text by UTF-16 units leaves half an emoji, which no file can hold.
            values = json.loads(json.dumps(values, ensure_ascii=False).encode(errors="replace"))
    except (ValueError, RecursionError):
        return InvalidLine("not JSON")
    if not isinstance(values, dict):
        return InvalidLine("not a JSON object")
    try:
        return _engagement(values) if "content_id" in values else _item(values)
    except (ValueError, OverflowError) as error:
        return InvalidLine(str(error))


def _item(values: dict[str, Any]) -> ContentItem:
    source = values.get("source")
    if source is not None and source not in source_names():
        raise ValueError(f"source must be one of: {', '.join(source_names())}")
    return content_item({**values, "created_time": _time(values.get("created_time"))})


def _engagement(values: dict[str, Any]) -> Engagement:
    for name in ("user_id", "content_id"):
        value = values.get(name)
        if not isinstance(value, str) or not 1 <= len(value) <= _MAX_ID:
            raise ValueError(f"{name} must be a string of 1 to {_MAX_ID} characters")
    kind = "view" if values.get("kind") is None else values["kind"]
    if kind not in ENGAGEMENT_KINDS:
        raise ValueError(f"kind must be one of: {', '.join(ENGAGEMENT_KINDS)}")
    return Engagement(values["user_id"], values["content_id"], kind, _time(values.get("time")))


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


def _continues(path: Path, size: int, mark: FileMark) -> bool:
    """Whether the file is still the one that the mark is of, perhaps longer."""
    if path.suffix == ".gz" and size != mark.offset:
        return False
    return size >= mark.offset and _head(path, mark.offset) == mark.head


def _head(path: Path, offset: int) -> str:
    with path.open("rb") as file:
        return _digest(file, min(offset, _HEAD_BYTES))


def _digest(file: BinaryIO, count: int) -> str:
    return hashlib.sha256(file.read(count)).hexdigest()[:32]
