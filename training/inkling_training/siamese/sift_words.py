"""Bag of visual words, what there was before networks: the baseline of the paper's table I.

    picture ─► SIFT descriptors ─► nearest of V words ─► histogram ─► tf-idf ─► length 1

Sources: Lowe, "Distinctive Image Features from Scale-Invariant Keypoints" (2004); Sivic and
Zisserman, "Video Google" (2003). Knows no labels and no networks.

Legend: N pictures, M descriptors, V words; a descriptor has 128 numbers.
"""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import MiniBatchKMeans

_LENGTH = 128
# Lower than Lowe's 0.04: a smooth picture of 192 pixels would otherwise have a dozen key points.
_CONTRAST = 0.02
_PER_PICTURE = 400
_TAUGHT = 100_000  # descriptors that the vocabulary learns from

Descriptors = NDArray[np.float32]


def sift_descriptors(picture: bytes) -> Descriptors:
    """The picture's strongest descriptors, float32 [M, 128], M <= 400, at its own size.

    Raises:
        ValueError: not a picture.
    """
    # what OpenCV's stubs do not say: None where it cannot read the picture, or finds no key point
    grey_HW: NDArray[Any] | None = cv2.imdecode(
        np.frombuffer(picture, np.uint8), cv2.IMREAD_GRAYSCALE
    )
    if grey_HW is None:
        raise ValueError("not a picture")
    sift = cv2.SIFT.create(nfeatures=_PER_PICTURE, contrastThreshold=_CONTRAST)
    found: NDArray[Any] | None = sift.detectAndCompute(grey_HW, None)[1]
    if found is None:
        return np.zeros((0, _LENGTH), dtype=np.float32)
    return np.asarray(found, dtype=np.float32)


class VisualWords:
    """A vocabulary of V words with their rarity, learnt from training pictures."""

    def __init__(self, pictures: Sequence[Descriptors], words: int, seed: int) -> None:
        """Args:
        pictures: each training picture's descriptors.
        words: V.
        seed: of the sample of descriptors and of k-means.

        Raises:
            ValueError: fewer descriptors than words.
        """
        all_M = np.concatenate(pictures)
        if len(all_M) < words:
            raise ValueError(f"{words} words need as many descriptors, not {len(all_M)}")
        rng = np.random.default_rng(seed)
        sample = rng.choice(len(all_M), min(_TAUGHT, len(all_M)), replace=False)
        self._clusters = MiniBatchKMeans(
            words, batch_size=4096, n_init=1, max_iter=20, random_state=seed
        ).fit(all_M[sample])
        counts_NV = self._counts(pictures)
        # one more picture with every word: no division by nought, no negative rarity
        self._rarity_V = np.log((1 + len(pictures)) / (1 + (counts_NV > 0).sum(axis=0)))

    def histograms(self, pictures: Sequence[Descriptors]) -> NDArray[np.float32]:
        """tf-idf [N, V], rows of length 1; zeros for a picture without a known key point."""
        weighted_NV = self._counts(pictures) * self._rarity_V
        lengths_N1 = np.linalg.norm(weighted_NV, axis=1, keepdims=True)
        return np.asarray(weighted_NV / np.where(lengths_N1 > 0, lengths_N1, 1), np.float32)

    def _counts(self, pictures: Sequence[Descriptors]) -> NDArray[np.float64]:
        words = int(self._clusters.n_clusters)
        counts_NV = np.zeros((len(pictures), words))
        for row, descriptors in enumerate(pictures):
            if len(descriptors):
                found_M = self._clusters.predict(descriptors)
                counts_NV[row] = np.bincount(found_M, minlength=words)
        return counts_NV
