"""The paper's hybrid: two networks' features of a picture, side by side in one vector.

Each half is centred, brought to length 1 and scaled, so that squared distances add up as
(1 - weight) * first + weight * second. Without the centring, features that are never negative (what
a ReLU leaves) all point the same way, and the other half decides alone. Centres come from training
pictures; so does the weight, which is chosen on a fold of them. Nothing here knows networks.

Legend: N pictures, F features of the first half, G of the second.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inkling_training.evaluation.clustering import retrieval_map

PLAIN = 0.5  # both halves count alike: a concatenation as it stands
# The ends are left out on purpose: there the "hybrid" would be one of the two networks.
WEIGHTS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)

Features = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Hybrid:
    """How two kinds of features become one.

    Attributes:
        first_centre_F, second_centre_G: means over training pictures.
        weight: of the second half, in [0, 1].
    """

    first_centre_F: Features
    second_centre_G: Features
    weight: float = PLAIN

    def __post_init__(self) -> None:
        if not 0 <= self.weight <= 1:
            raise ValueError(f"the weight of the second half must be in [0, 1], not {self.weight}")

    def combine(self, first_NF: Features, second_NG: Features) -> Features:
        """[N, F] and [N, G] -> [N, F + G], rows of length 1 (unless a half is all zeros)."""
        halves = (
            np.sqrt(1 - self.weight) * normalised(first_NF, self.first_centre_F),
            np.sqrt(self.weight) * normalised(second_NG, self.second_centre_G),
        )
        return np.concatenate(halves, axis=1).astype(np.float32)


def normalised(features_NF: Features, centre_F: Features) -> Features:
    """Rows less the centre, of length 1."""
    moved_NF = features_NF - centre_F
    lengths_N1 = np.linalg.norm(moved_NF, axis=1, keepdims=True)
    return (moved_NF / np.where(lengths_N1 > 0, lengths_N1, 1)).astype(np.float32)


def fit_hybrid(first_NF: Features, second_NG: Features, weight: float = PLAIN) -> Hybrid:
    """Takes the centres from training pictures."""
    return Hybrid(first_NF.mean(axis=0), second_NG.mean(axis=0), weight)


def choose_weight(
    start: Hybrid,
    first_NF: Features,
    second_NG: Features,
    labels_N: NDArray[Any],
    weights: Sequence[float] = WEIGHTS,
) -> tuple[float, dict[float, float]]:
    """The weight with the best mAP on a fold that neither network was trained on.

    Args:
        start: its centres count, its weight does not.
        first_NF: features of the fold's pictures. Never those that are reported on.
        second_NG: the other network's, of the same pictures.
        labels_N: their labels.
        weights: candidates; the first of equals wins.

    Returns:
        The weight, and the mAP of each candidate.
    """
    scores = {
        weight: retrieval_map(
            Hybrid(start.first_centre_F, start.second_centre_G, weight).combine(
                first_NF, second_NG
            ),
            labels_N,
        )
        for weight in weights
    }
    return max(scores, key=lambda weight: scores[weight]), scores
