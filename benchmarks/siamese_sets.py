"""Labelled pictures for bench_siamese: a part of the sample data, or drawn ones for a quick run.

It knows no network and no figure.
"""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inkling_training.data import load_records

Labels = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class LabelledSet:
    """Pictures to train on and to evaluate on.

    Attributes:
        name: the part of the sample data.
        train, val: encoded pictures.
        train_N, val_N: their classes, 0 to K - 1.
    """

    name: str
    train: list[bytes]
    train_N: Labels
    val: list[bytes]
    val_N: Labels


def read_set(data: Path, name: str) -> LabelledSet:
    """One part of the sample data with its own split.

    Raises:
        ValueError: no such part, or it has no classes.
    """
    records = [one for one in load_records(data, frozenset([name])) if one.label is not None]
    if not records:
        raise ValueError(f"{name}: no such part of the sample data with classes")
    names = sorted({str(one.label) for one in records})
    sides = {side: [one for one in records if one.split == side] for side in ("train", "val")}
    labels = {
        side: np.array([names.index(str(one.label)) for one in some])
        for side, some in sides.items()
    }
    pictures = {side: [one.picture for one in some] for side, some in sides.items()}
    return LabelledSet(name, pictures["train"], labels["train"], pictures["val"], labels["val"])


def drawn_set(classes: int = 4, per_class: int = 24, side: int = 64) -> LabelledSet:
    """Squares of a class's size and colour, scattered on noise; a quarter is "val"."""
    rng = np.random.default_rng(0)
    colours = rng.integers(60, 255, (classes, 3))
    pictures, labels = [], []
    for number in range(classes * per_class):
        label = number % classes
        drawn = rng.integers(0, 60, (side, side, 3))
        edge = 6 + 4 * label
        for _ in range(12 - 2 * label):
            top, left = rng.integers(0, side - edge, 2)
            drawn[top : top + edge, left : left + edge] = colours[label]
        file = io.BytesIO()
        Image.fromarray(drawn.astype(np.uint8)).save(file, "png")
        pictures.append(file.getvalue())
        labels.append(label)
    cut = classes * per_class * 3 // 4
    labels_N = np.array(labels)
    return LabelledSet("drawn", pictures[:cut], labels_N[:cut], pictures[cut:], labels_N[cut:])
