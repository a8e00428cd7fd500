"""A few drawn pictures, a graph of seven interests and tiny towers: enough for the whole recipe."""

import io
import json
import tarfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from PIL import Image

from inkling_server.interests.graph import Interest, make_snapshot
from inkling_server.interests.snapshot import save_snapshot
from tests.training import tiny_towers

COLOURS = {
    "dog": (160, 110, 60),
    "cat": (90, 90, 90),
    "beach": (230, 210, 140),
    "ball": (220, 30, 30),
}
PHRASES = ("animal", "ball", "beach", "cat", "dog", "pet", "sand")


@dataclass(frozen=True, slots=True)
class Drawn:
    """Where everything lies."""

    root: Path
    data: Path
    graph: Path
    vision: str
    text: str

    @property
    def towers(self) -> tuple[str, ...]:
        """Arguments that name both towers."""
        return ("--vision", self.vision, "--text", self.text)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Arguments that name pictures and graph."""
        return ("--data", str(self.data), "--graph", str(self.graph))


def draw(root: Path) -> Drawn:
    """Makes it all below `root`."""
    _write_data(root / "data")
    interests = [Interest(phrase, phrase, (), 10 * n) for n, phrase in enumerate(PHRASES)]
    save_snapshot(make_snapshot(interests, datetime(2026, 1, 1, tzinfo=UTC)), root / "graph")
    vision = tiny_towers.save_classifier(root / "vision")
    text = tiny_towers.save_text_model(root / "text")
    return Drawn(root, root / "data", root / "graph", vision, text)


def _write_data(folder: Path) -> None:
    rng = np.random.default_rng(0)
    (folder / "images").mkdir(parents=True)
    for source in ("caltech-101", "coco-mini"):
        with tarfile.open(folder / "images" / f"{source}-000.tar", "w") as shard:
            for number in range(24):
                tag = list(COLOURS)[number % 4]
                noise = rng.integers(-20, 20, (40, 50, 3))
                drawn = np.clip(np.array(COLOURS[tag]) + noise, 0, 255).astype(np.uint8)
                picture = io.BytesIO()
                Image.fromarray(drawn).save(picture, "webp")
                document = {
                    "source": source,
                    "split": "train" if number < 12 else "val",
                    "tags": [tag],
                    "class": tag,
                    "captions": [f"a red {tag}"],
                }
                bodies = {"webp": picture.getvalue(), "json": json.dumps(document).encode()}
                for suffix, body in bodies.items():
                    member = tarfile.TarInfo(f"{number:03}.{suffix}")
                    member.size = len(body)
                    shard.addfile(member, io.BytesIO(body))
