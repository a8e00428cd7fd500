import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from inkling_server.profiles.visual import (
    VisualSums,
    assign,
    beta_effect,
    beta_from_margin,
    everybody,
    general_distribution,
    margins,
    perplexities,
    profile_of,
    soft_assign,
    squared_distances,
)
from tests.server.profiles.kit import clusters_at

_SEEDS = st.integers(0, 2**32 - 1)


def _random(seed: int, *shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_a_picture_is_shared_out_by_its_distances() -> None:
    # Squared distances of d = 0 from centroids 0, 1, 2: 0, 1, 4. With beta / sigma^2 = ln 2 the
    # weights are 1, 1/2, 1/16; their sum 25/16, so the shares are 16/25, 8/25, 1/25.
    clusters = clusters_at([[0], [1], [2]], sigma2=2.0, beta=2 * math.log(2))

    assign_NK = soft_assign(np.zeros((1, 1), np.float32), clusters)

    np.testing.assert_allclose(assign_NK, [[0.64, 0.32, 0.04]], rtol=1e-6)


def test_squared_distances_by_hand() -> None:
    # (3, 4) from (0, 0): 9 + 16; from (3, 0): 16.
    squared_NK = squared_distances(np.array([[3.0, 4.0]]), np.array([[0.0, 0.0], [3.0, 0.0]]))

    np.testing.assert_allclose(squared_NK, [[25, 16]])


def test_embeddings_of_another_model_are_refused() -> None:
    with pytest.raises(ValueError, match=r"allowed: \[N, 1\]"):
        soft_assign(np.zeros((1, 2), np.float32), clusters_at([[0], [1]]))


@given(_SEEDS, st.floats(1e-3, 1e6))
@settings(max_examples=30, deadline=None)
def test_shares_sum_to_one_however_sharp(seed: int, beta: float) -> None:
    points_ND, centroids_KD = _random(seed, 7, 3), _random(seed + 1, 5, 3)

    assign_NK = assign(points_ND, centroids_KD, beta=beta, sigma2=0.5)

    np.testing.assert_allclose(assign_NK.sum(axis=1), 1, rtol=1e-5)
    assert (assign_NK.argmax(axis=1) == squared_distances(points_ND, centroids_KD).argmin(1)).all()


@given(_SEEDS)
@settings(max_examples=30, deadline=None)
def test_moving_everything_changes_nothing(seed: int) -> None:
    points_ND, centroids_KD = _random(seed, 7, 3), _random(seed + 1, 5, 3)

    moved = assign(points_ND + 2, centroids_KD + 2, beta=3, sigma2=1)

    np.testing.assert_allclose(
        moved, assign(points_ND, centroids_KD, beta=3, sigma2=1), rtol=1e-3, atol=1e-6
    )


def test_one_cluster_has_every_picture() -> None:
    assign_NK = soft_assign(_random(0, 4, 2), clusters_at([[0, 0]]))

    assert (assign_NK == 1).all()


def test_a_profile_is_the_sum_of_its_pictures() -> None:
    # (.5, .5) + (.9, .1) = (1.4, .6) of 2 pictures: shares .7 and .3.
    sums = profile_of(np.array([[0.5, 0.5], [0.9, 0.1]]))

    np.testing.assert_allclose(sums.sums_K, [1.4, 0.6])
    np.testing.assert_allclose(sums.shares_K, [0.7, 0.3])
    assert sums.picture_count == 2


def test_no_pictures_have_no_shares() -> None:
    nothing = profile_of(np.empty((0, 3), np.float32))

    assert nothing.picture_count == 0
    np.testing.assert_array_equal(nothing.shares_K, np.zeros(3))
    np.testing.assert_array_equal(VisualSums.empty(3).sums_K, nothing.sums_K)


def test_pictures_come_and_go() -> None:
    first, second = (profile_of(np.array([[0.25, 0.75]])), profile_of(np.array([[1.0, 0.0]])))

    both = first.plus(second)

    np.testing.assert_allclose(both.sums_K, [1.25, 0.75])
    np.testing.assert_allclose(both.minus(second).sums_K, first.sums_K)
    assert both.minus(second).picture_count == 1


def test_rounding_never_leaves_a_negative_sum() -> None:
    kept = VisualSums.from_bytes(profile_of(np.array([[0.1, 0.9]])).to_bytes(), 1)

    left = kept.minus(profile_of(np.array([[0.1000001, 0.9]])))

    assert (left.sums_K >= 0).all()


def test_sums_are_kept_as_bytes() -> None:
    sums = VisualSums(np.array([0.5, 1.25]), 2)

    assert VisualSums.from_bytes(sums.to_bytes(), 2).sums_K.tolist() == [0.5, 1.25]


def test_the_general_distribution_is_the_mean_of_the_background() -> None:
    general_K = general_distribution(np.array([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]]))

    np.testing.assert_allclose(general_K, [0.75, 0.25, 0], atol=1e-30)
    assert (general_K > 0).all()


def test_everybody_is_as_many_pictures_as_the_background() -> None:
    sums = everybody(clusters_at([[0], [1]], general=[0.25, 0.75]))

    np.testing.assert_allclose(sums.sums_K, [25, 75])
    assert sums.picture_count == 100


def test_the_margin_is_to_the_next_centroid() -> None:
    # 0 from 0, 1, 3: squared 0, 1, 9 -> 1. From 2: 4, 1, 1 -> 0.
    margins_N = margins(np.array([[0.0], [2.0]]), np.array([[0.0], [1.0], [3.0]]))

    np.testing.assert_allclose(margins_N, [1, 0], atol=1e-12)


def test_one_centroid_has_no_margin() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        margins(np.zeros((1, 1)), np.zeros((1, 1)))


def test_beta_gives_the_stated_odds_at_its_margin() -> None:
    # Between centroids 0 and 2, d = 0.5 has squared distances .25 and 2.25: margin 2.
    beta = beta_from_margin(2.0, sigma2=3.0, odds=9.0)

    assign_NK = assign(np.array([[0.5]]), np.array([[0.0], [2.0]]), beta=beta, sigma2=3.0)

    assert beta == pytest.approx(3 * math.log(9) / 2)
    np.testing.assert_allclose(assign_NK, [[0.9, 0.1]], rtol=1e-6)


@pytest.mark.parametrize("wrong", [(0, 1, 2), (1, 0, 2), (1, 1, 1)])
def test_beta_needs_a_margin_and_odds(wrong: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="above"):
        beta_from_margin(*wrong)


def test_perplexity_counts_effective_clusters() -> None:
    # Shares 1/2, 1/4, 1/4: entropy 1.5 bits, 2^1.5 clusters.
    perplexity_N = perplexities(np.array([[1, 0, 0], [0.5, 0.25, 0.25], [1 / 3] * 3]))

    np.testing.assert_allclose(perplexity_N, [1, 2**1.5, 3])


def test_sharper_assignment_leaves_fewer_clusters() -> None:
    points_ND = _random(1, 200, 4)
    clusters = clusters_at(_random(2, 9, 4).tolist())

    rows = beta_effect(points_ND, clusters, [1e-6, 0.1, 1.0, 10.0, 1e9])

    perplexity = [row.mean_perplexity for row in rows]
    assert perplexity == sorted(perplexity, reverse=True)
    assert perplexity[0] == pytest.approx(9, abs=1e-3)
    assert perplexity[-1] == pytest.approx(1, abs=1e-3)
    assert [row.median_odds for row in rows] == sorted(row.median_odds for row in rows)
    assert rows[-1].mean_top_share == pytest.approx(1, abs=1e-3)


def test_sums_are_not_shown() -> None:
    assert "0.123" not in repr(VisualSums(np.array([0.123, 0.877]), 1))
