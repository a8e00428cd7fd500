"""The pairs that calibration looks at, and how pictures are dealt into folds.

A picture's weight is the one of `HeldOut.picture_weights`; whoever takes some rows takes their
weights as they are. Nothing here knows a calibration's parameters.

Legend: B pictures, R of them at a time, V interests, K folds.
"""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inkling_server.interests.graph import Edges, Interest
from inkling_server.interests.mentions.table import PhraseTable
from inkling_training.data import Record
from inkling_training.gold import SURE, strengths
from inkling_training.held_out import HeldOut

Flags = NDArray[np.bool_]
Rows = NDArray[np.intp]
Float64 = NDArray[np.float64]

_BLOCK = 64  # pictures: their logits with 7,000 interests stay in a core's cache


@dataclass(frozen=True, slots=True)
class Block:
    """Some pictures: cosines float32 [R, V], flags [R, V], weights float64 [R]."""

    cosines_RV: NDArray[np.float32]
    right_RV: Flags
    counted_RV: Flags
    weights_R: Float64


@dataclass(frozen=True, slots=True)
class FitData:
    """Pictures with their cosines and what is right.

    Attributes:
        keys, sources: of the records.
        interests: the graph's.
        edges: the graph's.
        cosines_BV: float32.
        right_BV: broad gold, counted only.
        counted_BV: False where nobody can say; see `gold`.
        weights_B: sum 1.
        labelled_V: the labels can name this interest. Of the others nobody knows whether they are
            wrong or never written down, so they get no offset.
    """

    keys: tuple[str, ...]
    sources: tuple[str, ...]
    interests: tuple[Interest, ...]
    edges: Edges
    cosines_BV: NDArray[np.float32]
    right_BV: Flags
    counted_BV: Flags
    weights_B: Float64
    labelled_V: Flags

    @classmethod
    def of(
        cls,
        held_out: HeldOut,
        edges: Edges | None = None,
        also_labelled_V: Flags | None = None,
    ) -> "FitData":
        """The pairs of some held-out records.

        Args:
            held_out: pictures, gold and embeddings.
            edges: of the graph.
            also_labelled_V: interests that labels of other pictures name.

        Raises:
            ValueError: there is no picture, or none with a right tag.
        """
        right_BV = held_out.gold.broad_BV & held_out.gold.counted_BV
        if not right_BV.any():
            raise ValueError(
                f"{len(held_out.records)} validation pictures, none with a tag of the graph;"
                " allowed: records with split 'val' whose tags the graph knows, in both halves"
            )
        labelled_V: Flags = np.asarray(right_BV.any(axis=0))
        if also_labelled_V is not None:
            labelled_V = labelled_V | also_labelled_V
        return cls(
            keys=tuple(record.key for record in held_out.records),
            sources=tuple(record.source for record in held_out.records),
            interests=held_out.interests,
            edges=Edges.none() if edges is None else edges,
            cosines_BV=held_out.pictures_BD @ held_out.phrases_VD.T,
            right_BV=right_BV,
            counted_BV=held_out.gold.counted_BV,
            weights_B=held_out.picture_weights(),
            labelled_V=labelled_V,
        )

    @property
    def all_rows(self) -> Rows:
        """Every picture."""
        return np.arange(len(self.keys))

    @property
    def interest_ids(self) -> list[str]:
        """In the order of V."""
        return [interest.id for interest in self.interests]

    @property
    def counts(self) -> list[int]:
        """How often each interest occurs in the graph's corpus, in the order of V."""
        return [interest.count for interest in self.interests]

    def blocks(self, rows: Rows) -> Iterator[Block]:
        """The chosen pictures, a few at a time."""
        for start in range(0, len(rows), _BLOCK):
            some = rows[start : start + _BLOCK]
            yield Block(
                self.cosines_BV[some],
                self.right_BV[some],
                self.counted_BV[some],
                self.weights_B[some],
            )

    def folds(self, count: int) -> tuple[Rows, ...]:
        """Deals the pictures of each part round, in an order that only their names decide.

        Raises:
            ValueError: fewer pictures than folds.
        """
        if len(self.keys) < count:
            raise ValueError(f"{len(self.keys)} pictures for {count} folds; allowed: at least one")
        order = sorted(
            range(len(self.keys)),
            key=lambda row: (self.sources[row], zlib.crc32(self.keys[row].encode())),
        )
        return tuple(np.array(sorted(order[fold::count]), np.intp) for fold in range(count))


def named_in(records: Sequence[Record], interests: Sequence[Interest]) -> Flags:
    """Which interests the labels of some records name or imply, flags [V]."""
    table = PhraseTable(interests)
    named_V = np.zeros(len(interests), dtype=bool)
    for record in records:
        _, implied = strengths(record, table)
        named_V[[row for row, strength in implied.items() if strength >= SURE]] = True
    return named_V


def effective_count(weights_B: Float64) -> float:
    """How many equally weighted pictures would say as much (Kish, "Survey Sampling", 1965)."""
    return float(weights_B.sum() ** 2 / (weights_B**2).sum())
