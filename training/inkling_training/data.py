"""Reads the tagged pictures that the model learns from: tar shards of `<key>.webp` + `<key>.json`.

Every part of the sample data has its own quirks (a caption that is an advert, hashtags equal
to the tags); this module hides them behind one `Record`. It knows no vocabulary, no model and no
pixels: pictures stay bytes.
"""

import gzip
import json
import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
# Folder of the graph that ships with the server.
DEFAULT_GRAPH = REPOSITORY / "server" / "inkling_server" / "interests" / "default_graph"


@dataclass(frozen=True, slots=True)
class Record:
    """One picture with what people said of it.

    Attributes:
        key: unique within all parts: "<part>/<name in the shard>".
        source: the part.
        split: "train" or "val".
        picture: encoded bytes.
        tags: gold tags, lower case, most specific first.
        label: the one class, or None.
        captions: whole sentences or titles that describe the picture.
        title: the one of them that is a title, or "".
    """

    key: str
    source: str
    split: str
    picture: bytes
    tags: tuple[str, ...]
    label: str | None
    captions: tuple[str, ...] = ()
    title: str = ""


def sample_data_dir() -> Path:
    """The folder of sample data: `INKLING_SAMPLE_DATA`, else `../shared/data` beside the
    repository.

    Raises:
        FileNotFoundError: there is none; the message says what to set.
    """
    folder = Path(os.environ.get("INKLING_SAMPLE_DATA", REPOSITORY.parent / "shared" / "data"))
    if not (folder / "images").is_dir():
        raise FileNotFoundError(
            "no sample data: set INKLING_SAMPLE_DATA to a folder with images/*.tar"
        )
    return folder


def read_shard(path: Path) -> Iterator[Record]:
    """Yields one shard's records in the shard's order; plain or compressed tar."""
    picture = b""
    with tarfile.open(path) as shard:
        for member in shard:
            file = shard.extractfile(member)
            if file is None:
                continue
            stem, _, suffix = member.name.rpartition(".")
            if suffix == "json":
                yield _record(stem, json.load(file), picture)
            else:
                picture = file.read()


def load_records(data: Path, sources: frozenset[str] | None = None) -> list[Record]:
    """All records below `data`/images, in a fixed order; about 100 MB with the sample data."""
    return [
        record
        for path in sorted((data / "images").glob("*.tar*"))
        if sources is None or path.name.rsplit("-", 1)[0] in sources
        for record in read_shard(path)
    ]


def _record(stem: str, document: dict[str, object], picture: bytes) -> Record:
    def strings(name: str) -> list[str]:
        value = document.get(name) or []
        assert isinstance(value, list)
        return [str(item) for item in value]

    source = str(document["source"])
    captions = strings("captions") or [str(document.get("caption") or "")]
    if source == "public-domain-recipes":
        captions = []  # the first sentence of a recipe praises the dish; its title names it
    captions.append(str(document.get("title") or ""))
    label = document.get("class")
    return Record(
        key=f"{source}/{stem}",
        source=source,
        split=str(document["split"]),
        picture=picture,
        tags=tuple(tag.casefold() for tag in strings("tags")),
        label=None if label is None else str(label),
        captions=tuple(dict.fromkeys(text.strip() for text in captions if text.strip())),
        title=str(document.get("title") or "").strip(),
    )


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a file of JSON lines, compressed or not; none where there is no file."""
    if not path.exists():
        return
    with path.open("rb") as file:
        lines = gzip.open(file) if path.suffix == ".gz" else file  # noqa: SIM115 (`file` is closed)
        for line in lines:
            yield json.loads(line)
