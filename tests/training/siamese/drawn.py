"""Small drawn pictures of a few labels, as records' bytes and as shards."""

import io
import json
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

COLOURS = {
    "beach": (230, 210, 140),
    "ball": (220, 30, 30),
    "cat": (90, 90, 90),
    "sea": (30, 90, 200),
}


def draw(label: str, rng: np.random.Generator, side: int = 56) -> bytes:
    """A noisy field of the label's colour with a few squares, WebP."""
    drawn = np.array(COLOURS[label]) + rng.integers(-25, 25, (side, side, 3))
    for _ in range(4):
        top, left = rng.integers(0, side - 12, 2)
        drawn[top : top + 10, left : left + 10] = rng.integers(0, 255, 3)
    file = io.BytesIO()
    Image.fromarray(np.clip(drawn, 0, 255).astype(np.uint8)).save(file, "webp")
    return file.getvalue()


def write_shard(folder: Path, source: str, count: int, seed: int = 0) -> None:
    """`count` pictures a label, a quarter of them "val", in `folder`/images."""
    rng = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    with tarfile.open(folder / "images" / f"{source}-000.tar", "w") as shard:
        for number in range(count * len(COLOURS)):
            label = list(COLOURS)[number % len(COLOURS)]
            document = {
                "source": source,
                "split": "val" if number // len(COLOURS) % 4 == 3 else "train",
                "tags": [label],
                "class": label,
            }
            for suffix, body in (
                ("webp", draw(label, rng)),
                ("json", json.dumps(document).encode()),
            ):
                member = tarfile.TarInfo(f"{number:03}.{suffix}")
                member.size = len(body)
                shard.addfile(member, io.BytesIO(body))
