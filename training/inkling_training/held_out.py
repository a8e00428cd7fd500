"""The validation pictures as the exported model sees them: embeddings, cosines and golds, in two
halves.

One half (by a checksum of the record's name) calibrates, the other reports. Embedding the pictures
takes a minute or two, so it is cached by the model's fingerprint when a folder is given.

Legend: B pictures, V interests, D dimensions.
"""

import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inkling_server.interests.graph import GraphSnapshot, Interest
from inkling_training.data import Record, load_records
from inkling_training.exported import Embeddings, ExportedModel
from inkling_training.gold import EVERYDAY, Gold, build_gold


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
    records = [record for record in load_records(data) if record.split == "val"]
    stored = cache / f"val-{model.manifest.fingerprint}.npy" if cache else None
    if stored and stored.exists():
        pictures_BD: Embeddings = np.load(stored)
    else:
        pictures_BD = model.encode_pictures([record.picture for record in records])
        if stored:
            stored.parent.mkdir(parents=True, exist_ok=True)
            np.save(stored, pictures_BD)
    phrases_VD = model.encode_texts([interest.phrase for interest in graph.interests])
    gold = build_gold(records, graph.interests, phrases_VD)
    whole = HeldOut(tuple(records), graph.interests, pictures_BD, phrases_VD, gold)
    return whole.take(np.asarray(gold.broad_BV.any(axis=1)))
