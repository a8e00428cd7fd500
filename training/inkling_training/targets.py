"""What each picture should be tagged with: gold tags, what they imply, and a teacher's guesses.

Three witnesses, weakest last:

    gold       the record's tags and the interests that its captions name           1.0
    implied    broader and associated interests of a gold tag (`ontology`)          their strength
    teacher    classifier probability of a label x what that label implies          at most their
    product

Labels are partial: nobody wrote "grass" on a photo of a dog. So an interest without a witness is
only a weak "no" on a picture, and none at all when its name is close to a gold tag's.

Legend: N records, V interests, K classifier labels; B a batch of records.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse
import torch
from numpy.typing import NDArray
from torch import Tensor

from inkling_server.interests.graph import Interest
from inkling_server.interests.mentions.table import PhraseTable
from inkling_training import ontology
from inkling_training.data import Record
from inkling_training.gold import NEAR, strengths

# True of very many pictures, and hardly anybody's interest: as weak supervision they speak softly,
# so that "bicycle, street, cyclist" comes before "transportation, outdoors".
_UMBRELLA = frozenset(
    [
        "adult",
        "agriculture",
        "architecture",
        "aviation",
        "clothing",
        "color",
        "colorful",
        "container",
        "cookware",
        "device",
        "electrical device",
        "electronics",
        "environment",
        "equipment",
        "fashion",
        "footwear",
        "furniture",
        "gadget",
        "health",
        "home",
        "home appliance",
        "house",
        "household",
        "indoors",
        "industry",
        "interior",
        "interior design",
        "landscape",
        "mammal",
        "marine animal",
        "marine life",
        "medicine",
        "musical instrument",
        "nature",
        "outdoors",
        "public transport",
        "religion",
        "room",
        "safety",
        "scenery",
        "shopping",
        "technology",
        "tool",
        "tourism",
        "transportation",
        "travel",
        "traveler",
        "traveling",
        "underwater",
        "vehicle",
        "weapon",
        "wildlife",
        "work",
    ]
)
BACKGROUND = "background"  # a label for pictures of nothing: it has no say
_UMBRELLA_SHARE = 0.4
# How far the teacher may speak: it has seen no drawings, and knows shop shelves, dishes and
# laid-out clothes badly.
_TRUST = {
    "stickers-emoji": 0.0,
    "grocery-store": 0.5,
    "food-dishes": 0.5,
    "clothing-photos": 0.5,
}


@dataclass(frozen=True, slots=True)
class TagTargets:
    """Soft targets for every record.

    Attributes:
        gold_NV: sparse, 1.0 where a tag or caption says so.
        implied_NV: sparse, gold and what it implies, in (0, 1].
        label_tags_KV: sparse, what each classifier label implies, in (0, 1].
        trusted_N: 0..1, how far the teacher may speak on this record.
        near_gold_NV: sparse, 1 where an interest's name is too close to a gold tag's to tell
            apart.
    """

    gold_NV: scipy.sparse.csr_matrix
    implied_NV: scipy.sparse.csr_matrix
    label_tags_KV: scipy.sparse.csr_matrix
    trusted_N: NDArray[np.float32]
    near_gold_NV: scipy.sparse.csr_matrix

    def implied_by(self, teacher_BK: Tensor) -> Tensor:
        """What label probabilities imply: [B, K] -> [B, V]."""
        return torch.from_numpy(teacher_BK.numpy() @ self.label_tags_KV)

    def batch(
        self, rows: NDArray[np.int64], teacher_BK: Tensor, unlabelled: float
    ) -> tuple[Tensor, Tensor]:
        """Soft targets and weights, both [B, V]; weight of an interest without witness:
        `unlabelled`.
        """
        implied_BV = torch.from_numpy(self.implied_NV[rows].toarray())
        trust_B1 = torch.from_numpy(self.trusted_N[rows]).float().unsqueeze(1)
        guessed_BV = trust_B1 * self.implied_by(teacher_BK)
        targets_BV = torch.maximum(implied_BV, guessed_BV.clamp(max=0.98))
        near_gold_BV = torch.from_numpy(self.near_gold_NV[rows].toarray()) > 0
        silent_BV = near_gold_BV & (targets_BV < 0.5)
        weights_BV = torch.where(targets_BV > 0.02, 1.0, unlabelled).masked_fill(silent_BV, 0.0)
        return targets_BV, weights_BV


def build_targets(
    records: Sequence[Record],
    interests: Sequence[Interest],
    classes: Sequence[str],
    embeddings_VD: Tensor,
) -> TagTargets:
    """Collects the witnesses.

    Args:
        records: all records, in the cache's order.
        interests: the graph's.
        classes: the classifier's labels by number, each a list of synonyms: "tench, Tinca tinca".
        embeddings_VD: text embedding of each interest, rows of length 1.
    """
    table = PhraseTable(interests)
    shape = (len(records), len(interests))
    gold_NV = scipy.sparse.lil_matrix(shape, dtype=np.float32)
    implied_NV = scipy.sparse.lil_matrix(shape, dtype=np.float32)
    for number, record in enumerate(records):
        named, likely = strengths(record, table)
        for row, strength in likely.items():
            implied_NV[number, row] = 1.0 if row in named else _spoken(table.phrase(row), strength)
        for row in named:
            gold_NV[number, row] = 1.0
    label_tags_KV = scipy.sparse.lil_matrix((len(classes), len(interests)), dtype=np.float32)
    for number, tags in enumerate(label_interests(classes)):
        for phrase, strength in tags.items():
            found = table.find(phrase)
            if found is not None:
                spoken = max(label_tags_KV[number, found], _spoken(phrase, strength))
                label_tags_KV[number, found] = spoken
    near_VV = scipy.sparse.csr_matrix((embeddings_VD @ embeddings_VD.T > NEAR).float().numpy())
    trusted_N = np.array([_TRUST.get(record.source, 1.0) for record in records], dtype=np.float32)
    gold = gold_NV.tocsr()
    return TagTargets(gold, implied_NV.tocsr(), label_tags_KV.tocsr(), trusted_N, gold @ near_VV)


def label_interests(classes: Sequence[str]) -> Sequence[Mapping[str, float]]:
    """What each classifier label implies: by number for the ImageNet labels, with background before
    them or without, else by its first name.
    """
    imagenet = ontology.imagenet_targets()
    if len(classes) in (len(imagenet), len(imagenet) - 1):
        return imagenet[-len(classes) :]
    names = [names.split(", ")[0] for names in classes]
    return [{} if name == BACKGROUND else ontology.expand(name) for name in names]


def _spoken(phrase: str, strength: float) -> float:
    return strength * (_UMBRELLA_SHARE if phrase in _UMBRELLA else 1.0)
