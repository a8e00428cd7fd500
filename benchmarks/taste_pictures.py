"""Labelled photos as embeddings of the model that ships, for bench_taste; or drawn ones for tests.

Embeddings are cached in build/, named after model and pictures. It knows no person and no cluster.

Legend: N pictures, D dimensions, C classes.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

REPOSITORY = Path(__file__).resolve().parents[1]
CACHE = REPOSITORY / "build" / "taste"
# Parts with one class a photo. No tiny-imagenet: nobody keeps photos of 64 pixels.
PARTS = ("caltech-101", "clothing-photos", "food-dishes", "grocery-store", "scenes-8")


@dataclass(frozen=True, slots=True)
class Pictures:
    """Photos with one class each.

    Attributes:
        keys: of each, unique.
        classes: names, "<part>/<class>".
        labels_N: class of each, 0 to C - 1.
        unseen_N: whether the model was trained without it.
        embeddings_ND: of length 1.
        model: whose embeddings they are.
    """

    keys: tuple[str, ...]
    classes: tuple[str, ...]
    labels_N: Ints
    unseen_N: NDArray[np.bool_]
    embeddings_ND: Floats
    model: str

    def __len__(self) -> int:
        return len(self.keys)

    def of(self, chosen: Ints) -> "Pictures":
        """Some of them; classes keep their numbers."""
        return Pictures(
            tuple(self.keys[index] for index in chosen),
            self.classes,
            self.labels_N[chosen],
            self.unseen_N[chosen],
            self.embeddings_ND[chosen],
            self.model,
        )


def read_pictures(data: Path, repository: Path, *, cache: Path = CACHE) -> Pictures:
    """Photos of `PARTS` below `data`, both splits, encoded unless that was done before.

    Args:
        data: folder of the sample data.
        repository: model repository whose newest version encodes, in float32 by ONNX Runtime.
        cache: folder for the embeddings.
    """
    from inkling_server.model_manifest import load_manifest
    from inkling_training.data import load_records
    from inkling_training.exported import ExportedModel

    found = [one for one in load_records(data, frozenset(PARTS)) if one.label is not None]
    records = sorted(found, key=lambda one: one.key)
    keys = tuple(one.key for one in records)
    manifest = load_manifest(repository)
    digest = hashlib.sha256("\n".join((manifest.fingerprint, *keys)).encode()).hexdigest()
    path = cache / f"{digest[:16]}.npy"
    if path.exists():
        embeddings_ND: Floats = np.load(path)
    else:
        print(f"encoding {len(records)} photos into {path}")
        embeddings_ND = ExportedModel(repository).encode_pictures([one.picture for one in records])
        cache.mkdir(parents=True, exist_ok=True)
        np.save(path, embeddings_ND)
    names = [f"{one.source}/{one.label}" for one in records]
    classes = tuple(sorted(set(names)))
    numbers = {name: number for number, name in enumerate(classes)}
    return Pictures(
        keys,
        classes,
        np.array([numbers[name] for name in names], np.int64),
        np.array([one.split == "val" for one in records]),
        embeddings_ND,
        manifest.model_version,
    )


def drawn_pictures(
    *,
    classes: int = 24,
    per_class: int = 24,
    dimension: int = 16,
    spread: float = 0.7,
    seed: int = 0,
) -> Pictures:
    """Points around a direction for each class instead of photos; every fourth is "unseen".

    Args:
        classes: C.
        per_class: pictures of each.
        dimension: D.
        spread: length of a picture's noise; its class has length 1.
        seed: of everything.
    """
    rng = np.random.default_rng(seed)
    centres_CD = rng.standard_normal((classes, dimension))
    centres_CD /= np.linalg.norm(centres_CD, axis=1, keepdims=True)
    labels_N = np.repeat(np.arange(classes), per_class)
    noise_ND = rng.standard_normal((len(labels_N), dimension)) * spread / np.sqrt(dimension)
    points_ND = centres_CD[labels_N] + noise_ND
    points_ND /= np.linalg.norm(points_ND, axis=1, keepdims=True)
    return Pictures(
        tuple(f"drawn/{number:05d}" for number in range(len(labels_N))),
        tuple(f"drawn/{number:03d}" for number in range(classes)),
        labels_N.astype(np.int64),
        np.arange(len(labels_N)) % 4 == 0,
        points_ND.astype(np.float32),
        "drawn",
    )


def split_classes(
    pictures: Pictures, available: Ints, shares: Sequence[float], *, seed: int
) -> list[Ints]:
    """Parts the available pictures, each class by the same shares, by chance.

    Args:
        pictures: all.
        available: indexes of those to part.
        shares: of each part, in (0, 1); their sum is 1.
        seed: of chance.

    Returns:
        Ascending indexes of each part; no picture is in two.
    """
    rng = np.random.default_rng(seed)
    cuts = np.cumsum(shares)[:-1]
    parts: list[list[Ints]] = [[] for _ in shares]
    for label in range(len(pictures.classes)):
        members = rng.permutation(available[pictures.labels_N[available] == label])
        pieces = np.split(members, np.rint(cuts * len(members)).astype(int))
        for part, piece in zip(parts, pieces, strict=True):
            part.append(piece)
    return [np.sort(np.concatenate(part)) for part in parts]


def chosen_classes(
    pictures: Pictures, pool: Ints, count: int, *, fewest: int, seed: int
) -> list[int]:
    """At most `count` classes by chance, of those with at least `fewest` pictures in the pool."""
    sizes = Counter(int(label) for label in pictures.labels_N[pool])
    large = sorted(label for label, size in sizes.items() if size >= fewest)
    order = np.random.default_rng(seed).permutation(len(large))
    return sorted(large[index] for index in order[:count])
