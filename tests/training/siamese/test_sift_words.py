"""The bag of visual words tells drawn textures apart and bears pictures without key points."""

import io

import numpy as np
import pytest
from PIL import Image

from inkling_training.evaluation.clustering import random_map, retrieval_map
from inkling_training.siamese.sift_words import VisualWords, sift_descriptors


def _png(drawn: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(drawn.astype(np.uint8)).save(file, "png")
    return file.getvalue()


def _textures(count: int, seed: int) -> tuple[list[bytes], np.ndarray]:
    """Scattered squares, or scattered discs."""
    rng = np.random.default_rng(seed)
    labels_N = np.arange(count) % 2
    y, x = np.mgrid[:96, :96]
    pictures = []
    for label in labels_N:
        drawn = np.full((96, 96, 3), 30)
        for _ in range(14):
            cy, cx = rng.integers(8, 88, 2)
            inside = (
                (np.maximum(abs(y - cy), abs(x - cx)) < 5)
                if label
                else ((y - cy) ** 2 + (x - cx) ** 2 < 30)
            )
            drawn[inside] = 220
        pictures.append(_png(drawn))
    return pictures, labels_N


def test_words_tell_textures_apart() -> None:
    train = [sift_descriptors(picture) for picture in _textures(30, 0)[0]]
    pictures, labels_N = _textures(20, 1)
    words = VisualWords(train, 30, seed=0)
    histograms_NV = words.histograms([sift_descriptors(picture) for picture in pictures])

    assert histograms_NV.shape == (20, 30)
    np.testing.assert_allclose(np.linalg.norm(histograms_NV, axis=1), 1, rtol=1e-5)
    assert retrieval_map(histograms_NV, labels_N) > random_map(labels_N) + 0.15


def test_a_smooth_picture_has_no_words() -> None:
    train = [sift_descriptors(picture) for picture in _textures(10, 0)[0]]
    smooth = sift_descriptors(_png(np.full((64, 64, 3), 128)))

    assert smooth.shape == (0, 128)
    assert VisualWords(train, 10, seed=0).histograms([smooth]).tolist() == [[0.0] * 10]


def test_the_same_seed_gives_the_same_words() -> None:
    train = [sift_descriptors(picture) for picture in _textures(10, 0)[0]]
    one, two = (VisualWords(train, 12, seed=3).histograms(train) for _ in range(2))

    np.testing.assert_array_equal(one, two)


def test_too_few_descriptors_and_no_picture_are_named() -> None:
    with pytest.raises(ValueError, match="as many descriptors"):
        VisualWords([np.zeros((3, 128), np.float32)], 10, seed=0)
    with pytest.raises(ValueError, match="not a picture"):
        sift_descriptors(b"no picture")
