import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from inkling_server.profiles.compare import (
    CompareSettings,
    LogOddsVariance,
    compare,
    critical_z,
    log_odds_ratio,
)
from inkling_server.profiles.visual import VisualSums, everybody, profile_of
from tests.server.profiles.kit import clusters_at

FULL, APPROXIMATE = LogOddsVariance.FULL, LogOddsVariance.APPROXIMATE


def _sums(*counts: float) -> VisualSums:
    return VisualSums(np.array(counts, np.float64), round(sum(counts)))


def _person(seed: int, clusters: int = 6, pictures: int = 20) -> VisualSums:
    rng = np.random.default_rng(seed)
    return VisualSums(rng.dirichlet(np.full(clusters, 0.3), size=pictures).sum(axis=0), pictures)


@pytest.mark.parametrize("seed", range(20))
def test_nobody_differs_from_themselves_not_even_by_rounding(seed: int) -> None:
    person = _person(seed)
    same = compare(person, person, np.full(6, 1 / 6))
    assert not same.z_K.any()


def test_two_clusters_by_hand() -> None:
    # y1 = (3, 1), y2 = (1, 3), a = (1, 1). With the prior: (4, 2) and (2, 4).
    # delta_1 = ln(4/2) - ln(2/4) = 2 ln 2 = 1.386294
    # full: 1/4 + 1/2 + 1/2 + 1/4 = 1.5 -> z = 1.131904; approximate: 1/4 + 1/2 = .75 -> 1.600755
    first_K, second_K, prior_K = np.array([3.0, 1]), np.array([1.0, 3]), np.ones(2)

    full = log_odds_ratio(first_K, second_K, prior_K, FULL)
    approximate = log_odds_ratio(first_K, second_K, prior_K, APPROXIMATE)

    np.testing.assert_allclose(full.log_odds_K, [1.386294, -1.386294], rtol=1e-6)
    np.testing.assert_allclose(full.variance_K, [1.5, 1.5])
    np.testing.assert_allclose(full.z_K, [1.131904, -1.131904], rtol=1e-6)
    np.testing.assert_allclose(approximate.log_odds_K, full.log_odds_K)
    np.testing.assert_allclose(approximate.variance_K, [0.75, 0.75])
    np.testing.assert_allclose(approximate.z_K, [1.600755, -1.600755], rtol=1e-6)


def test_three_clusters_with_an_uneven_prior_by_hand() -> None:
    # general (.5, .25, .25), prior worth 4 pictures: a = (2, 1, 1).
    # y1 = (8, 0, 2) -> (10, 1, 3) of 14; y2 = (0, 4, 1) -> (2, 5, 2) of 9.
    # cluster 0: ln(10/4) - ln(2/7) = 2.169054; var 1/10 + 1/4 + 1/2 + 1/7 = .992857; z = 2.176843
    # cluster 1: ln(1/13) - ln(5/4) = -2.788093; var 1 + 1/13 + 1/5 + 1/4 = 1.526923; z = -2.256309
    # cluster 2: ln(3/11) - ln(2/7) = -.046520; var 1/3 + 1/11 + 1/2 + 1/7 = 1.067100; z = -.045034
    result = compare(
        _sums(8, 0, 2), _sums(0, 4, 1), np.array([0.5, 0.25, 0.25]), CompareSettings(4.0)
    )

    np.testing.assert_allclose(result.log_odds_K, [2.169054, -2.788093, -0.046520], atol=1e-6)
    np.testing.assert_allclose(result.variance_K, [0.992857, 1.526923, 1.067100], atol=1e-6)
    np.testing.assert_allclose(result.z_K, [2.176843, -2.256309, -0.045034], atol=2e-6)
    assert result.max_abs_z == pytest.approx(2.256309, abs=2e-6)
    assert result.order_K.tolist() == [1, 0, 2]
    assert result.differs(0.95)
    assert not result.differs(0.99)
    assert not result.differs(0.95, corrected=True)  # beyond 2.394 only


def test_the_prior_is_worth_a_picture_a_cluster_by_default() -> None:
    first, second, general_K = _sums(5, 0, 1, 0), _sums(0, 2, 0, 0), np.full(4, 0.25)

    implied = compare(first, second, general_K)

    stated = compare(first, second, general_K, CompareSettings(prior_scale=4.0))
    np.testing.assert_array_equal(implied.z_K, stated.z_K)


def test_one_person_beside_everybody_by_hand() -> None:
    # general (.25, .75) of 100 pictures; prior worth 8: a = (2, 6). Everybody: (27, 81), which is
    # still 1 : 3. The person (4, 0) -> (6, 6): ln(1) - ln(1/3) = 1.098612.
    # var = 1/6 + 1/6 + 1/27 + 1/81 = .382716; z = 1.775849
    clusters = clusters_at([[0], [1]], general=[0.25, 0.75])

    result = compare(_sums(4, 0), everybody(clusters), clusters.general_K, CompareSettings(8.0))

    np.testing.assert_allclose(result.log_odds_K, [1.098612, -1.098612], atol=1e-6)
    np.testing.assert_allclose(result.variance_K[0], 0.382716, atol=1e-6)
    np.testing.assert_allclose(result.z_K[0], 1.775849, atol=2e-6)


def test_the_quantiles_are_those_of_the_normal_distribution() -> None:
    assert critical_z(0.95) == pytest.approx(1.959964, abs=1e-6)
    assert critical_z(0.99) == pytest.approx(2.575829, abs=1e-6)
    # 1 - .05 / 400 = .999875
    assert critical_z(0.95, 200) == pytest.approx(3.662264, abs=1e-5)


@given(st.integers(0, 10_000), st.floats(0.1, 1e4), st.sampled_from(LogOddsVariance))
@settings(max_examples=50, deadline=None)
def test_identical_people_do_not_differ(seed: int, scale: float, variance: LogOddsVariance) -> None:
    person = _person(seed)

    result = compare(person, person, np.full(6, 1 / 6), CompareSettings(scale, variance))

    np.testing.assert_allclose(result.z_K, 0, atol=1e-9)
    assert not result.differs(0.95)


@given(st.integers(0, 10_000), st.integers(0, 10_000))
@settings(max_examples=50, deadline=None)
def test_swapping_people_turns_the_sign(first: int, second: int) -> None:
    general_K = np.full(6, 1 / 6)

    there = compare(_person(first), _person(second), general_K)
    back = compare(_person(second), _person(first), general_K)

    np.testing.assert_allclose(there.z_K, -back.z_K, atol=1e-12)


@given(st.integers(0, 10_000), st.integers(0, 10_000))
@settings(max_examples=50, deadline=None)
def test_the_approximation_never_makes_z_smaller(first: int, second: int) -> None:
    general_K = np.full(6, 1 / 6)

    full, approximate = (
        compare(_person(first), _person(second), general_K, CompareSettings(variance=variance))
        for variance in (FULL, APPROXIMATE)
    )

    assert (np.abs(full.z_K) <= np.abs(approximate.z_K)).all()


def test_more_prior_makes_people_more_alike() -> None:
    general_K = np.full(6, 1 / 6)

    odds = [
        np.abs(compare(_person(1), _person(2), general_K, CompareSettings(scale)).log_odds_K).max()
        for scale in (1.0, 10.0, 100.0, 1e6)
    ]

    assert odds == sorted(odds, reverse=True)
    assert odds[-1] < 1e-3


def test_people_without_pictures_are_as_everybody() -> None:
    general_K = np.array([0.2, 0.3, 0.5])

    assert compare(_sums(0, 0, 0), _sums(0, 0, 0), general_K).max_abs_z < 1e-12
    one = compare(_sums(0, 9, 0), _sums(0, 0, 0), general_K)
    assert one.z_K[1] > 0
    assert np.isfinite(one.z_K).all()


def test_one_cluster_has_no_odds() -> None:
    result = compare(_sums(5), _sums(9), np.ones(1))

    assert result.z_K.tolist() == [0]
    assert not result.differs()


def test_a_cluster_that_has_everything_stays_finite() -> None:
    general_K = np.array([1.0, 1e-38], np.float32)

    result = compare(_sums(1000, 0), _sums(0, 1000), general_K)

    assert np.isfinite(result.z_K).all()
    assert math.isfinite(result.max_abs_z)


@pytest.mark.parametrize("scale", [0.0, -1.0, float("inf"), float("nan")])
def test_a_prior_without_worth_is_refused(scale: float) -> None:
    with pytest.raises(ValueError, match="prior_scale"):
        CompareSettings(scale)


def test_profiles_of_other_clusters_are_refused() -> None:
    with pytest.raises(ValueError, match="same clusters"):
        compare(_sums(1, 2), _sums(1, 2, 3), np.full(2, 0.5))


def _samples(rng: np.random.Generator, taste_K: NDArray[np.float64]) -> VisualSums:
    """Fifty pictures of one taste, each mostly in one cluster and a little in another."""
    clusters = len(taste_K)
    rows = rng.choice(clusters, size=50, p=taste_K)
    shares_NK = 0.8 * np.eye(clusters)[rows]
    shares_NK += 0.2 * np.eye(clusters)[(rows + rng.integers(0, 2, 50)) % clusters]
    return profile_of(shares_NK)


def test_two_samples_of_one_taste_rarely_differ_and_two_tastes_mostly_do() -> None:
    rng = np.random.default_rng(11)
    general_K = np.full(100, 0.01)
    tastes = [rng.dirichlet(np.full(100, 0.05)) for _ in range(200)]

    null = [compare(_samples(rng, t), _samples(rng, t), general_K) for t in tastes]
    other = [compare(_samples(rng, t), _samples(rng, u), general_K) for t, u in pairwise(tastes)]

    assert np.mean([c.differs(0.95, corrected=True) for c in null]) <= 0.05
    assert np.mean([c.differs(0.95) for c in null]) <= 0.15
    assert np.mean([c.differs(0.95) for c in other]) >= 0.9
