"""A tiny set of pairs and its graph: coloured squares and the words for them."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from inkling_server.interests.graph import Edges, GraphSnapshot, Interest
from inkling_server.interests.snapshot import save_snapshot
from inkling_training.pairs.samples import MinedPair, PairSample
from inkling_training.pairs.shards import write_pairs

COLOURS = {"ball": (255, 0, 0), "beach": (255, 230, 120), "cat": (30, 30, 30), "dog": (90, 60, 220)}
SIDE = 64


def graph() -> GraphSnapshot:
    """Four interests and "red"; "cat" and "dog" are neighbours."""
    names = sorted([*COLOURS, "red"])
    edges = Edges(
        np.array([[2, 3]], np.int32),
        np.array([0.8], np.float32),
        np.zeros(1, np.float32),
        np.array([0.8], np.float32),
    )
    return GraphSnapshot(
        "1", datetime(2026, 1, 1, tzinfo=UTC), tuple(Interest(name, name) for name in names), edges
    )


def samples(count: int = 24, seed: int = 0) -> list[PairSample]:
    """Every fifth is for validation; sources are of different sizes."""
    rng = np.random.default_rng(seed)
    names = list(COLOURS)
    made = []
    for number in range(count):
        name = names[number % 4]
        others = [other for other in names if other != name]
        pairs = [MinedPair(name, name, 1.0)]
        if name == "ball":
            pairs.append(MinedPair("red", "red", 0.5))
        source = "small" if number % 6 == 5 else "large"
        made.append(
            PairSample(
                key=f"{source}/{number:03d}",
                source=source,
                split="val" if number % 5 == 4 else "train",
                picture=_picture(COLOURS[name], rng),
                pairs=tuple(pairs),
                negatives=(others[0],),
                captions=(f"a {name} on a beach",),
                tags=(name,),
                random_negatives=(others[1],),
            )
        )
    return made


class FakePairs:
    """What the trainer needs of a `PairDataset`, in memory."""

    def __init__(self, held: list[PairSample]) -> None:
        self._held = held

    def __len__(self) -> int:
        return len(self._held)

    def __getitem__(self, number: int) -> PairSample:
        return self._held[number]

    def rows(self, split: str) -> NDArray[np.int64]:
        return np.array([n for n, one in enumerate(self._held) if one.split == split], np.int64)


def save(folder: Path, count: int = 24) -> tuple[Path, Path]:
    """Writes pairs and graph as real ones are; returns their folders."""
    items = cast(Any, [_Mined(sample) for sample in samples(count)])
    write_pairs(items, folder / "pairs", {"graph_version": "1"})
    save_snapshot(graph(), folder / "graph")
    return folder / "pairs", folder / "graph"


@dataclass(frozen=True)
class _Item:
    key: str
    source: str
    split: str
    picture: bytes

    def read_picture(self) -> bytes:
        return self.picture


class _Mined:
    def __init__(self, sample: PairSample) -> None:
        self._sample = sample
        self.item = _Item(sample.key, sample.source, sample.split, sample.picture)
        self.pairs, self.negatives = sample.pairs, sample.negatives

    def sample(self, picture: bytes) -> PairSample:
        assert picture == self._sample.picture
        return self._sample


def _picture(colour: tuple[int, int, int], rng: np.random.Generator) -> bytes:
    noise = rng.normal(0, 12, (SIDE, SIDE, 3))
    pixels = np.clip(np.array(colour)[None, None] + noise, 0, 255).astype(np.uint8)
    done, encoded = cv2.imencode(".png", pixels[..., ::-1])
    assert done
    return encoded.tobytes()
