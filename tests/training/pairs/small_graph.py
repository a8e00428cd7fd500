"""A graph and pictures small enough to reason about."""

import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from inkling_server.interests.content import ContentItem
from inkling_server.interests.graph import Edges, GraphSnapshot, Interest, make_snapshot
from inkling_training.pairs.content import PictureItem, digest_of

INTERESTS = (
    Interest("ball", "ball"),
    Interest("beach", "beach", ("beaches",)),
    Interest("cat", "cat", ("cats", "kitty")),
    Interest("dog", "dog", ("dogs", "doggy")),
    Interest("guide-dog", "guide dog"),
    Interest("halifax", "Halifax"),
    Interest("hot-dog", "hot dog"),
    Interest("park", "park"),
    Interest("pizza", "pizza"),
    Interest("poodle", "poodle"),
    Interest("sandwich", "sandwich"),
    Interest("surfing", "surfing"),
    Interest("ufc", "UFC"),
    Interest("wolf", "wolf"),
)
ROWS = {interest.id: row for row, interest in enumerate(INTERESTS)}


def small_graph(
    joined: tuple[tuple[str, str, float, float], ...] = (
        ("cat", "dog", 0.6, 0.0),
        ("dog", "guide-dog", 0.62, 0.0),
        ("dog", "poodle", 0.6, 0.0),
        ("dog", "wolf", 0.55, 0.0),
        ("dog", "hot-dog", 0.5, 0.0),
        ("pizza", "sandwich", 0.5, 0.0),
    ),
) -> GraphSnapshot:
    """Edges are (id, id, semantic, engagement)."""
    rows = sorted((*sorted((ROWS[a], ROWS[b])), s, e) for a, b, s, e in joined)
    edges = Edges(
        np.array([row[:2] for row in rows], np.int32).reshape(-1, 2),
        np.array([row[2] for row in rows], np.float32),
        np.array([row[3] for row in rows], np.float32),
        np.array([max(row[2], row[3]) for row in rows], np.float32),
    )
    return make_snapshot(INTERESTS, datetime(2026, 1, 1, tzinfo=UTC), edges=edges)


def picture(colour: int = 0, format_name: str = "PNG") -> bytes:
    """A small picture; another colour, other bytes."""
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30), (colour * 40 % 256, colour * 40 // 256, 9)).save(buffer, format_name)
    return buffer.getvalue()


def item(name: str, colour: int = 0, **more: Any) -> PictureItem:
    """An item whose texts and facts are given by name."""
    facts = {key: more.pop(key) for key in ("tags", "label", "split", "captions") if key in more}
    data = picture(colour)
    source = more.get("source", "user_generated")
    content = ContentItem(id=name, **more)
    return PictureItem(f"{source}/{name}", source, content, data, digest_of(data), **facts)


def write_content(folder: Path, lines: list[Any], name: str = "content.jsonl") -> None:
    """JSON lines; bytes and text are written as they are."""
    folder.mkdir(exist_ok=True)
    with (folder / name).open("wb") as file:
        for line in lines:
            if not isinstance(line, bytes):
                line = line.encode() if isinstance(line, str) else json.dumps(line).encode()
            file.write(line + b"\n")
