"""Pairs of pictures by label: which rows meet in one training step, and which of them are the same.

    step ─► some classes ─► some pictures of each ─► every same pair + as many different ones

A step's pictures are few and each is embedded once, though it stands in several pairs: that is
what makes pair training as cheap as a classifier's. Everything follows from the seed and the step,
so that a resumed run sees the same pairs. Nothing here knows pixels or networks.

Legend: N pictures, K classes, U distinct pictures of a step, P pairs.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class PairBatch:
    """One step's pairs.

    Attributes:
        rows_U: distinct rows of the picture set.
        left_P: positions in `rows_U` of the pairs' first pictures.
        right_P: ... of their second ones; never the same picture.
        same_P: whether the two have the same label.
    """

    rows_U: Rows
    left_P: Rows
    right_P: Rows
    same_P: NDArray[np.bool_]


class PairSampler:
    """Balanced pairs: as many different ones as same ones, in every step."""

    def __init__(
        self,
        labels_N: Rows,
        classes_per_step: int = 16,
        pictures_per_class: int = 4,
        seed: int = 0,
        confusable_KK: NDArray[np.float64] | None = None,
        hard_share: float = 0.5,
    ) -> None:
        """Args:
        labels_N: class of each picture, 0 to K - 1.
        classes_per_step: >= 2; all K where there are fewer.
        pictures_per_class: >= 2; all of a class that has fewer.
        seed: pairs follow from it and the step.
        confusable_KK: non-negative, how easily one class is taken for another; the diagonal is not
            read. None: different pairs are drawn evenly.
        hard_share: share in [0, 1] of different pairs drawn by `confusable_KK`, not evenly.

        Raises:
            ValueError: an argument is out of range, or no class has two pictures.
        """
        if classes_per_step < 2 or pictures_per_class < 2:
            raise ValueError(
                "classes_per_step and pictures_per_class must be >= 2, not "
                f"{classes_per_step} and {pictures_per_class}"
            )
        if not 0 <= hard_share <= 1:
            raise ValueError(f"hard_share must be within [0, 1], not {hard_share}")
        self._labels_N = labels_N
        classes = np.unique(labels_N)
        self._members = {int(k): np.flatnonzero(labels_N == k) for k in classes}
        self._pairable = np.array([k for k in classes if len(self._members[int(k)]) >= 2])
        if len(classes) < 2 or len(self._pairable) == 0:
            raise ValueError("pairs need two classes, and one of them two pictures")
        self._classes = classes
        self._classes_per_step = min(classes_per_step, len(classes))
        self._pictures_per_class = pictures_per_class
        self._seed = seed
        self._hard_share = 0.0 if confusable_KK is None else hard_share
        self._confusable_KK = confusable_KK

    def batch(self, step: int) -> PairBatch:
        """The pairs of one step; the same for the same seed and step."""
        rng = np.random.default_rng([self._seed, step])
        rows_U = np.concatenate([self._pictures(rng, k) for k in self._some_classes(rng)])
        labels_U = self._labels_N[rows_U]
        left, right = np.triu_indices(len(rows_U), k=1)
        same = labels_U[left] == labels_U[right]
        alike, other = np.flatnonzero(same), np.flatnonzero(~same)
        count = min(len(alike), len(other))
        chances = self._chances(labels_U[left[other]], labels_U[right[other]])
        drawn = rng.choice(other, count, replace=False, p=chances)
        kept = np.concatenate([rng.choice(alike, count, replace=False), drawn])
        return PairBatch(rows_U, left[kept], right[kept], same[kept])

    def _pictures(self, rng: np.random.Generator, label: int) -> Rows:
        members = self._members[label]
        count = min(self._pictures_per_class, len(members))
        return rng.choice(members, count, replace=False)

    def _some_classes(self, rng: np.random.Generator) -> list[int]:
        """Distinct classes; one of them has same pairs, and confusable ones come together."""
        chosen = [int(rng.choice(self._pairable))]
        while len(chosen) < self._classes_per_step:
            left = np.setdiff1d(self._classes, chosen)
            chances = None
            # every other class is drawn as a look-alike of the one before it
            if self._confusable_KK is not None and len(chosen) % 2 == 1:
                even = np.full(len(left), 1 / len(left))
                hard = _shares(self._confusable_KK[chosen[-1], left])
                chances = (1 - self._hard_share) * even + self._hard_share * hard
            chosen.append(int(rng.choice(left, p=chances)))
        return chosen

    def _chances(self, left_P: Rows, right_P: Rows) -> NDArray[np.float64]:
        even = np.full(len(left_P), 1 / len(left_P))
        if self._confusable_KK is None:
            return even
        hard = _shares(self._confusable_KK[left_P, right_P] + self._confusable_KK[right_P, left_P])
        mixed: NDArray[np.float64] = (1 - self._hard_share) * even + self._hard_share * hard
        # choosing without replacement needs every chance above zero
        return _shares(mixed + 1e-9)


def confusable_classes(
    features_ND: NDArray[np.float32], labels_N: Rows, sharpness: float = 10.0
) -> NDArray[np.float64]:
    """How easily each class is taken for each other one: softmax of their centres' cosines.

    Args:
        features_ND: features of *training* pictures, from any network.
        labels_N: their classes, 0 to K - 1, each with a picture.
        sharpness: factor of the cosines; higher ones name fewer look-alikes.

    Returns:
        [K, K] rows that sum to one, with a zero diagonal.
    """
    count = int(labels_N.max()) + 1
    centres = np.stack([features_ND[labels_N == k].mean(axis=0) for k in range(count)])
    centres = centres - centres.mean(axis=0)
    centres /= np.maximum(np.linalg.norm(centres, axis=1, keepdims=True), 1e-12)
    scores = np.exp(sharpness * (centres @ centres.T).astype(np.float64))
    np.fill_diagonal(scores, 0)
    shares: NDArray[np.float64] = scores / scores.sum(axis=1, keepdims=True)
    return shares


def split_fold(labels_N: Rows, share: float, seed: int) -> tuple[Rows, Rows]:
    """Rows to train on and rows of the fold, which is what chooses settings.

    The fold has `share` of each class, at least two pictures of it and at most half. It is a part
    of the training pictures, never of the evaluated ones.

    Raises:
        ValueError: the share is not within (0, 0.5].
    """
    if not 0 < share <= 0.5:
        raise ValueError(f"share of the fold must be within (0, 0.5], not {share}")
    rng = np.random.default_rng(seed)
    folds = []
    for label in np.unique(labels_N):
        members = rng.permutation(np.flatnonzero(labels_N == label))
        count = min(max(round(share * len(members)), 2), len(members) // 2)
        folds.append(members[:count])
    fold = np.sort(np.concatenate(folds))
    return np.setdiff1d(np.arange(len(labels_N)), fold), fold


def split_classes(labels_N: Rows, share: float, seed: int) -> tuple[Rows, Rows]:
    """Rows of the classes to train on and rows of those kept out, `share` of the classes, whole.

    Tells whether an embedding separates classes that it never saw.

    Raises:
        ValueError: a side would have fewer than two classes.
    """
    classes = np.random.default_rng(seed).permutation(np.unique(labels_N))
    count = round(share * len(classes))
    if count < 2 or len(classes) - count < 2:
        raise ValueError(
            f"{share:.2f} of {len(classes)} classes kept out leaves fewer than two on a side"
        )
    kept_out = np.isin(labels_N, classes[:count])
    return np.flatnonzero(~kept_out), np.flatnonzero(kept_out)


def _shares(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    total = weights.sum()
    if total <= 0:
        return np.full(len(weights), 1 / len(weights))
    shares: NDArray[np.float64] = weights / total
    return shares
