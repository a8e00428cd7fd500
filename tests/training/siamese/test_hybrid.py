"""Two kinds of features in one vector, and the weight between them."""

import numpy as np
import pytest

from inkling_training.evaluation.clustering import retrieval_map
from inkling_training.siamese.hybrid import Hybrid, choose_weight, fit_hybrid, normalised


def _halves(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Four classes; the first half tells rows apart, the second columns."""
    rng = np.random.default_rng(seed)
    labels_N = np.arange(160) % 4
    first = rng.normal(0, 0.5, (160, 4)) + 10
    second = rng.normal(0, 0.5, (160, 6))
    first[:, 0] += 2 * (labels_N // 2)
    second[:, 0] += 2 * (labels_N % 2)
    return first.astype(np.float32), second.astype(np.float32), labels_N


def test_squared_distances_add_up_by_weight() -> None:
    first, second, _ = _halves(0)
    hybrid = Hybrid(first.mean(axis=0), second.mean(axis=0), 0.3)
    rows = hybrid.combine(first, second)

    def square(one: np.ndarray) -> float:
        return float(np.square(one[0] - one[1]).sum())

    expected = 0.7 * square(normalised(first, first.mean(axis=0)))
    expected += 0.3 * square(normalised(second, second.mean(axis=0)))
    assert square(rows) == pytest.approx(expected, rel=1e-4)
    assert rows.shape == (160, 10)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, rtol=1e-5)


def test_halves_that_know_different_things_do_better_together() -> None:
    first, second, _ = _halves(0)
    hybrid = fit_hybrid(first, second)
    val_first, val_second, val_N = _halves(1)
    both = retrieval_map(hybrid.combine(val_first, val_second), val_N)

    assert both > retrieval_map(val_first, val_N) + 0.1
    assert both > retrieval_map(val_second, val_N) + 0.1


def test_a_half_of_noise_gets_little_weight() -> None:
    first, second, labels_N = _halves(0)
    noise = np.random.default_rng(5).normal(size=second.shape).astype(np.float32)
    weight, scores = choose_weight(fit_hybrid(first, noise), first, noise, labels_N)

    assert weight == 0.1
    assert scores[0.1] > scores[0.9]
    assert set(scores) >= {0.1, 0.5, 0.9}


def test_a_weight_beyond_one_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        fit_hybrid(np.ones((2, 2), np.float32), np.ones((2, 2), np.float32), 1.5)
