"""Small held-out sets and reports with known figures."""

import io
import json
import tarfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from inkling_server.interests.graph import Interest
from inkling_server.model_manifest import Calibration, OperatingPoint
from inkling_training.data import Record
from inkling_training.evaluation.judged import Judged, judge
from inkling_training.gold import Gold
from inkling_training.held_out import HeldOut

POINT = OperatingPoint(top_n=2, min_score=0.25, precision=0.5, coverage=0.5)
CALIBRATION = Calibration(
    scale=4.0,
    bias=-1.0,
    prior_weight=0.3,
    prior_cap=0.7,
    prior_smoothing=5.0,
    calibrated_time=datetime(2026, 1, 1, tzinfo=UTC),
    split="",
    ece=0.0,
    recommended=POINT,
)
# three pictures, four interests
SCORES_BV = np.array([[0.9, 0.8, 0.1, 0.7], [0.2, 0.3, 0.6, 0.5], [0.1, 0.1, 0.2, 0.15]])
RIGHT_BV = np.array(
    [[True, False, True, False], [False, False, False, True], [True, False, False, False]]
)
COUNTED_BV = np.array(
    [[True, True, True, True], [True, True, False, True], [True, True, True, True]]
)


def judged(top_n: int = 2, min_score: float = 0.25) -> Judged:
    """The three pictures above, judged."""
    gold = Gold(RIGHT_BV, RIGHT_BV, COUNTED_BV)
    return judge(lambda rows: SCORES_BV[rows], gold, top_n, min_score, np.array([0, 3]))


def picture(
    colour: tuple[int, int, int] = (200, 30, 30), size: tuple[int, int] = (60, 40)
) -> bytes:
    """A WebP of one colour."""
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, "webp")
    return out.getvalue()


def held_out(pictures: int = 300, interests: int = 20, seed: int = 0) -> HeldOut:
    """Pictures of two sources with classes, captions and random but learnable gold."""
    rng = np.random.default_rng(seed)
    phrases_VD = _unit(rng.normal(size=(interests, 16)))
    classes = rng.integers(0, interests, pictures)
    pictures_BD = _unit(phrases_VD[classes] + 0.35 * rng.normal(size=(pictures, 16)))
    broad_BV = np.zeros((pictures, interests), dtype=bool)
    broad_BV[np.arange(pictures), classes] = True
    broad_BV |= rng.random(broad_BV.shape) < 0.03
    strict_BV = np.zeros_like(broad_BV)
    strict_BV[np.arange(pictures), classes] = True
    counted_BV = (rng.random(broad_BV.shape) > 0.05) | broad_BV
    records = tuple(
        Record(
            f"{source}/{row}",
            source,
            "val",
            picture(),
            (f"interest {classes[row]}",),
            f"interest {classes[row]}",
            (f"picture {row}",),
        )
        for row in range(pictures)
        for source in [("photos", "drawings")[row % 3 == 0]]
    )
    names = tuple(Interest(f"i{n}", f"interest {n}", (), n) for n in range(interests))
    gold = Gold(strict_BV, broad_BV, counted_BV)
    return HeldOut(
        records, names, pictures_BD.astype(np.float32), phrases_VD.astype(np.float32), gold
    )


def write_shards(
    folder: Path, colours: Mapping[str, tuple[int, int, int]], pictures: int, seed: int, split: str
) -> None:
    """Tar shards of noisy pictures of one colour each, of two sources, with captions."""
    rng = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for source in ("coco-mini", "photos"):
        with tarfile.open(folder / "images" / f"{source}-{split}-{seed}.tar", "w") as shard:
            for number in range(pictures):
                name = list(colours)[number % len(colours)]
                noisy = rng.normal(colours[name], 60, (20, 30, 3)) + rng.normal(0, 40, 3)
                out = io.BytesIO()
                Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).save(out, "png")
                document = {
                    "source": source,
                    "split": split,
                    "tags": [name],
                    "class": name,
                    "captions": [f"a {name} thing, number {number}"],
                }
                bodies = {"png": out.getvalue(), "json": json.dumps(document).encode()}
                for suffix, body in bodies.items():
                    member = tarfile.TarInfo(f"{seed}-{split}-{number:03}.{suffix}")
                    member.size = len(body)
                    shard.addfile(member, io.BytesIO(body))


def old_report(**changes: Any) -> dict[str, Any]:
    """A report as it was before schema 2."""
    broad = {"precision": 0.5, "recall": 0.3, "f1": 0.375, "coverage": 0.6, "tags_per_picture": 2.0}
    variant = {
        "broad": broad,
        "strict": broad,
        "mean AP a picture": 0.4,
        "mean AP a tag": 0.35,
        "right in first 5 (strict)": 0.5,
    }
    ours = variant | {"ECE all pairs": 0.001, "ECE pairs above .05": 0.03}
    return {
        "model": "old:1:00",
        "graph": "g",
        "date": "2026-01-01",
        "hardware": "some",
        "operating point": {"top_n": 5, "min_score": 0.3, "precision": 0.5, "coverage": 0.6},
        "tagging, all parts": {
            "pictures": 7,
            "with prior": ours,
            "without prior": ours,
            "most frequent tags": variant,
        },
        "class accuracy": {
            "a": {"classes": 5, "pictures": 3, "top1": 0.2},
            "b": {"classes": 2, "pictures": 4, "top1": 0.4},
        },
    } | changes


def _unit(rows: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    unit: np.ndarray[Any, np.dtype[np.float64]] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit
