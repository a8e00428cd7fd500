"""Reads a folder of content: JSON lines in the feed's item format, with pictures beside them.

    <folder>/**/*.jsonl, *.jsonl.gz     one item a line: see docs/graph.md, "Give it content"
             any/where/p1.jpg           named by the line's "picture", relative to the folder

    {"id": "p1", "source": "user_generated", "caption": "First latte art! #latteart",
     "picture": "photos/p1.jpg", "tags": ["latte art"], "class": "latte", "split": "val"}

`tags`, `class` and `split` are optional. Nobody is trusted: a picture lies within the folder,
whatever links say, and is decoded once before it counts. What is broken is counted by reason and
skipped; no reason repeats what a line says. Engagements between the items are left out.
"""

import gzip
import json
import re
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from inkling_server.errors import InklingError
from inkling_server.images import ImageLimits, decode
from inkling_server.interests.content import ContentItem, content_item
from inkling_server.interests.feed import MAX_LINE_BYTES
from inkling_server.interests.sources import find_source, source_names
from inkling_server.interests.text.document import Field
from inkling_server.model_manifest import PixelSpec
from inkling_training.pairs.content import ContentRead, PictureItem, digest_of

MAX_TAGS = 200
_MAX_NAME = 500  # characters of an id, a class or a tag
_MAX_CAPTION = 1_000
_MAX_CAPTIONS = 20
_HALF_CHARACTER = re.compile(rb"\\u[dD][89a-fA-F]")
_PROBE = PixelSpec(size=32)


class _Broken(Exception):
    """An item that is skipped; the text is the reason, and is counted."""


def read_folder(folder: Path, sources: frozenset[str] | None = None) -> ContentRead:
    """All items below a folder, in the order of file names and lines.

    Args:
        folder: holds the lines and the pictures.
        sources: of the feed's sources, those to read; None: all.

    Raises:
        FileNotFoundError: there is no such folder, or it has no file of JSON lines.
    """
    root = folder.resolve()
    paths = sorted((*folder.rglob("*.jsonl"), *folder.rglob("*.jsonl.gz")))
    paths = [path for path in paths if path.is_file() and path.resolve().is_relative_to(root)]
    if not paths:
        raise FileNotFoundError(f"no *.jsonl or *.jsonl.gz below {folder.name}")
    read = ContentRead()
    seen: set[str] = set()
    for path in paths:
        for line in _lines(path):
            try:
                item = _item(line, root, sources)
                if item is None:
                    continue
                if item.key in seen:
                    raise _Broken("repeated id")
            except _Broken as broken:
                read.skipped[str(broken)] += 1
                continue
            seen.add(item.key)
            read.items.append(item)
    return read


def _lines(path: Path) -> Iterator[bytes | None]:
    """Lines that are not blank; None for one that is too long, b"" for a damaged file's end."""
    try:
        with path.open("rb") as raw:
            stream: Any = gzip.open(raw) if path.suffix == ".gz" else raw  # noqa: SIM115
            while line := stream.readline(MAX_LINE_BYTES):
                if len(line) == MAX_LINE_BYTES and not line.endswith(b"\n"):
                    # The rest is read past, a piece at a time.
                    while (rest := stream.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
                        pass
                    yield None
                elif line.strip():
                    yield line
    except (OSError, EOFError, zlib.error):
        yield b""


def _item(line: bytes | None, root: Path, sources: frozenset[str] | None) -> PictureItem | None:
    values = _object(line)
    if "content_id" in values:
        return None  # an engagement
    source = values.get("source", "user_generated")
    if source not in source_names():
        raise _Broken("unknown source")
    if sources is not None and source not in sources:
        return None
    name = values.get("id")
    if not isinstance(name, str) or not 0 < len(name) <= _MAX_NAME:
        raise _Broken("no id, or a long one")
    try:
        content = content_item({**values, "created_time": None})  # no part of a pair
    except ValueError:
        raise _Broken("a text field of a wrong type") from None
    split = values.get("split")
    if split not in (None, "train", "val"):
        raise _Broken("split is neither train nor val")
    label = values.get("class")
    if label is not None and not (isinstance(label, str) and 0 < len(label) <= _MAX_NAME):
        raise _Broken("class is no short text")
    picture, digest = _picture(values.get("picture"), root)
    return PictureItem(
        key=f"{source}/{name}",
        source=source,
        content=content,
        picture=picture,
        digest=digest,
        captions=_captions(content),
        title=content.title.strip()[:_MAX_CAPTION],
        tags=_tags(values.get("tags")),
        label=label,
        split=split,
    )


def _object(line: bytes | None) -> dict[str, Any]:
    if line is None:
        raise _Broken("line too long")
    if not line:
        raise _Broken("file damaged")
    try:
        values = json.loads(line.decode("utf-8-sig"))
        if _HALF_CHARACTER.search(line):
            # Half an emoji, which no file can hold.
            values = json.loads(json.dumps(values, ensure_ascii=False).encode(errors="replace"))
    except (ValueError, RecursionError):
        raise _Broken("line is not JSON") from None
    if not isinstance(values, dict):
        raise _Broken("line is not a JSON object")
    return values


def _tags(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    if not (isinstance(value, list) and all(isinstance(tag, str) for tag in value)):
        raise _Broken("tags are no list of strings")
    tags = (tag.strip().casefold() for tag in value[:MAX_TAGS])
    return tuple(dict.fromkeys(tag for tag in tags if 0 < len(tag) <= _MAX_NAME))


def _captions(content: ContentItem) -> tuple[str, ...]:
    """Title and caption, cleaned as the source does it: no mentions, no links."""
    passages = find_source(content.source).read(content).passages
    lines = [
        line.strip()[:_MAX_CAPTION]
        for field, text in passages
        if field in (Field.TITLE, Field.CAPTION)
        for line in text.splitlines()
        if line.strip()
    ]
    return tuple(dict.fromkeys(lines))[:_MAX_CAPTIONS]


def _picture(value: object, root: Path) -> tuple[Path, str]:
    """The file and its digest; decoded once, so that training meets no broken picture."""
    path = _safe_path(value, root)
    limits = ImageLimits()
    try:
        if path.stat().st_size > limits.max_bytes:
            raise _Broken("picture too large")
        data = path.read_bytes()
    except OSError:
        raise _Broken("picture cannot be read") from None
    if not data:
        raise _Broken("empty picture")
    try:
        decode(data, _PROBE, limits)
    except InklingError:
        raise _Broken("picture cannot be decoded, or is too large") from None
    return path, digest_of(data)


def _safe_path(value: object, root: Path) -> Path:
    """The file within the folder that the name means.

    Links may lead to other places of the folder, never out of it.
    """
    if value is None:
        raise _Broken("no picture")
    if not isinstance(value, str) or not value.strip() or "\0" in value or "\\" in value:
        raise _Broken("picture is no relative path")
    name = PurePosixPath(value)
    if name.is_absolute() or ".." in name.parts:
        raise _Broken("picture lies outside of the folder")
    try:
        path = (root / name).resolve(strict=True)
        if not path.is_relative_to(root):
            raise _Broken("picture lies outside of the folder")
        if not path.is_file():
            raise _Broken("picture is no file")
    except FileNotFoundError:
        raise _Broken("picture is missing") from None
    except (OSError, RuntimeError, ValueError):  # too long a name, a ring of links
        raise _Broken("picture cannot be read") from None
    return path
