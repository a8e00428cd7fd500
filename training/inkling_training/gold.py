"""What counts as right when the model is measured, and what is left out because nobody can say.

Two golds, both within the graph's interests:

    strict   the record's own tags (for everyday photos: annotated objects and interests that a
    caption names) broad    strict, and all that follows from it nearly always (`ontology` strength
    >= 0.7): dog -> pet, animal

Labels are partial. Under the broad gold an interest that is only likely (0.2 to 0.7: dog ->
grass), or whose name is nearly a gold tag's, counts neither for nor against. This module knows no
model scores.

Legend: B pictures, V interests.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inkling_server.interests.graph import Interest
from inkling_server.interests.mentions.table import PhraseTable
from inkling_training import ontology
from inkling_training.data import Record

SURE, POSSIBLE = 0.7, 0.2
NEAR = 0.55  # cosine of two phrases from which "unlabelled" no longer means "wrong"
EVERYDAY = "coco-mini"  # the part whose pictures show ordinary scenes, with captions
_CAPTIONED = {EVERYDAY, "public-domain-recipes"}  # elsewhere captions advertise

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Gold:
    """Flags [B, V]; `counted_BV` belongs to `broad_BV`."""

    strict_BV: Flags
    broad_BV: Flags
    counted_BV: Flags


def strengths(record: Record, table: PhraseTable) -> tuple[set[int], dict[int, float]]:
    """Rows that the record itself names, and strengths of all that they imply (1.0 for
    themselves).
    """
    named = {row for row in map(table.find, record.tags) if row is not None}
    names = set(record.tags)
    if record.source in _CAPTIONED:
        for caption in record.captions:
            named |= table.find_within(caption)
        names |= {table.phrase(row).casefold() for row in named}
    implied: dict[int, float] = {}
    for name in names:
        for phrase, strength in ontology.expand(name).items():
            row = table.find(phrase)
            if row is not None:
                implied[row] = max(strength, implied.get(row, 0.0))
    implied.update(dict.fromkeys(named, 1.0))
    return named, implied


def build_gold(
    records: Sequence[Record], interests: Sequence[Interest], phrases_VD: NDArray[np.float32]
) -> Gold:
    """Golds of some records.

    Args:
        records: the pictures to judge.
        interests: the graph's.
        phrases_VD: text embedding of each interest, rows of length 1.
    """
    table = PhraseTable(interests)
    shape = (len(records), len(interests))
    strict, implied = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=np.float32)
    for number, record in enumerate(records):
        named, likely = strengths(record, table)
        strict[number, list(named)] = True
        for row, strength in likely.items():
            implied[number, row] = strength
    broad_BV = implied >= SURE
    near_BV = np.zeros(shape, dtype=bool)
    for number in range(len(records)):
        near_BV[number] = (phrases_VD[strict[number]] @ phrases_VD.T > NEAR).any(axis=0)
    unsure_BV = ((implied > POSSIBLE) | near_BV) & ~broad_BV
    return Gold(strict, broad_BV, ~unsure_BV)
