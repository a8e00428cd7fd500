"""The validation pictures as the exported model sees them: embeddings, cosines and golds, in two
halves.

One half (by a checksum of the record's name) calibrates, the other reports. Embedding the pictures
takes a minute or two, so embeddings are cached by the fingerprints of model and data when a folder
is given.

Legend: B pictures, V interests, D dimensions.
"""

import hashlib
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inkling_server.interests.graph import GraphSnapshot, Interest
from inkling_training.data import Record, load_records
from inkling_training.exported import Embeddings, ExportedModel
from inkling_training.gold import EVERYDAY, Gold, build_gold


class NothingToJudge(ValueError):
    """No validation picture has a tag that the graph knows."""


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Some validation records and what the model makes of them.

    Attributes:
        pictures_BD, phrases_VD: embeddings, rows of length 1.
        gold: what is right.
    """

    records: tuple[Record, ...]
    interests: tuple[Interest, ...]
    pictures_BD: Embeddings
    phrases_VD: Embeddings
    gold: Gold

    @property
    def cosines_BV(self) -> NDArray[np.float64]:  # noqa: N802 - shapes in names
        """Cosine of each picture with each interest."""
        return (self.pictures_BD @ self.phrases_VD.T).astype(np.float64)

    def take(self, chosen_B: NDArray[np.bool_]) -> "HeldOut":
        """The records where the flag is set."""
        records = tuple(r for r, keep in zip(self.records, chosen_B, strict=True) if keep)
        gold = Gold(
            self.gold.strict_BV[chosen_B],
            self.gold.broad_BV[chosen_B],
            self.gold.counted_BV[chosen_B],
        )
        return HeldOut(records, self.interests, self.pictures_BD[chosen_B], self.phrases_VD, gold)

    def of_source(self, source: str) -> "HeldOut":
        """The records of one part."""
        return self.take(np.array([record.source == source for record in self.records]))

    def half(self, number: int) -> "HeldOut":
        """0: for calibration, 1: for reports."""
        return self.take(
            np.array([zlib.crc32(record.key.encode()) % 2 == number for record in self.records])
        )

    def picture_weights(self) -> NDArray[np.float64]:
        """One weight a picture, sum 1: everyday photos have half of it, the other parts share the
        rest by
        the square root of their size."""
        sources = [record.source for record in self.records]
        sizes = {source: sources.count(source) for source in set(sources)}
        shares = {source: size**0.5 for source, size in sizes.items() if source != EVERYDAY}
        total = sum(shares.values())
        each = {source: 0.5 * share / total / sizes[source] for source, share in shares.items()}
        if EVERYDAY in sizes:
            each[EVERYDAY] = 0.5 / sizes[EVERYDAY]
        weights_B = np.array([each[source] for source in sources])
        scaled_B: NDArray[np.float64] = weights_B / weights_B.sum()
        return scaled_B


def load_held_out(
    model: ExportedModel, graph: GraphSnapshot, data: Path, cache: Path | None = None
) -> HeldOut:
    """Embeds all validation records that have a gold tag within the graph."""
    return embed_held_out(model, graph, validation(load_records(data)), cache)


def validation(records: Sequence[Record]) -> list[Record]:
    """The records that no training looks at."""
    return [record for record in records if record.split == "val"]


def embed_held_out(
    model: ExportedModel,
    graph: GraphSnapshot,
    records: Sequence[Record],
    cache: Path | None = None,
) -> HeldOut:
    """Like `load_held_out`, of validation records that are in memory already.

    Raises:
        NothingToJudge: no record has a gold tag within the graph.
    """
    phrases = [interest.phrase for interest in graph.interests]
    known = hashlib.sha256("\n".join(phrases).encode()).hexdigest()[:16]
    model_print = model.manifest.fingerprint
    pictures_BD = _cached(
        cache and cache / f"val-{model_print}-{data_fingerprint(records)}.npy",
        lambda: model.encode_pictures([record.picture for record in records]),
    )
    phrases_VD = _cached(
        cache and cache / f"phrases-{model_print}-{known}.npy", lambda: model.encode_texts(phrases)
    )
    gold = build_gold(records, graph.interests, phrases_VD)
    chosen_B = np.asarray(gold.broad_BV.any(axis=1))
    if not chosen_B.any():
        raise NothingToJudge(
            f"none of the {len(records)} validation pictures has a tag that graph {graph.version} "
            "knows: other data or another graph is needed"
        )
    whole = HeldOut(tuple(records), graph.interests, pictures_BD, phrases_VD, gold)
    return whole.take(chosen_B)


def data_fingerprint(records: Sequence[Record]) -> str:
    """16 hex digits that change with any picture, tag, class or caption, or their order."""
    digest = hashlib.sha256()
    for record in records:
        said = (record.key, record.tags, record.label, record.captions, record.split)
        digest.update(repr(said).encode())
        digest.update(hashlib.sha256(record.picture).digest())
    return digest.hexdigest()[:16]


def gold_fingerprint(held_out: HeldOut) -> str:
    """16 hex digits that change when anything else counts as right, for the same pictures."""
    digest = hashlib.sha256("\n".join(interest.id for interest in held_out.interests).encode())
    for flags_BV in (held_out.gold.strict_BV, held_out.gold.broad_BV):
        digest.update(np.packbits(flags_BV).tobytes())
    return digest.hexdigest()[:16]


def keys_digest(keys: Iterable[str]) -> str:
    """Names a set of pictures, 16 hexadecimal digits: `Calibration.fitted_on`."""
    return hashlib.sha256("\n".join(sorted(keys)).encode()).hexdigest()[:16]


def _cached(path: Path | None, make: Callable[[], Embeddings]) -> Embeddings:
    if path and path.exists():
        stored: Embeddings = np.load(path)
        return stored
    made = make()
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, made)
    return made
