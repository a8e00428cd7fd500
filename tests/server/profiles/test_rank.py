import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inkling_server.profiles.rank import RankSettings, best, log_ratios, rank

_HALVES = np.array([0.5, 0.5])
_WORTH_2 = RankSettings(prior_scale=2.0)


def test_a_mean_log_likelihood_ratio_by_hand() -> None:
    # Two pictures in cluster 0, prior worth 2 and even: theta = (3/4, 1/4).
    # Picture (1, 0): ln(.75 / .5) = ln 1.5. Picture (.5, .5): ln(.5 / .5) = 0. Mean: ln(1.5) / 2.
    # A person without pictures has theta = g: 0.
    collection_MK = np.array([[1.0, 0.0], [0.5, 0.5]])

    scores_U = rank(collection_MK, np.array([[2.0, 0.0], [0.0, 0.0]]), _HALVES, _WORTH_2)

    np.testing.assert_allclose(scores_U, [math.log(1.5) / 2, 0], atol=1e-12)


def test_an_uneven_general_distribution_by_hand() -> None:
    # g = (.2, .8), y = (1, 3), prior worth 4: theta = (1.8, 6.2) / 8 = (.225, .775).
    # Picture (.6, .4): person .135 + .31 = .445; general .12 + .32 = .44. ln(.445 / .44).
    score_U = rank(
        np.array([[0.6, 0.4]]), np.array([[1.0, 3.0]]), np.array([0.2, 0.8]), RankSettings(4.0)
    )

    np.testing.assert_allclose(score_U, [math.log(0.445 / 0.44)])


def test_whoever_kept_the_pictures_does_not_win_by_them() -> None:
    # Without the kept picture (1, 0) the person has (1, 0): theta = (2, 1) / 3; ln((2/3) / .5).
    # Somebody who kept nothing of it, with the same pictures left, scores the same.
    collection_MK = np.array([[1.0, 0.0]])
    sums_UK = np.array([[2.0, 0.0], [1.0, 0.0]])

    scores_U = rank(collection_MK, sums_UK, _HALVES, _WORTH_2, kept_UM=np.array([[True], [False]]))

    np.testing.assert_allclose(scores_U, [math.log(4 / 3)] * 2)


def test_a_profile_of_nothing_but_the_collection_says_nothing() -> None:
    collection_MK = np.array([[0.9, 0.1], [0.3, 0.7]], np.float32)
    sums_UK = collection_MK.sum(axis=0, keepdims=True).astype(np.float32)

    score_U = rank(collection_MK, sums_UK, _HALVES, kept_UM=np.ones((1, 2), np.bool_))

    np.testing.assert_allclose(score_U, [0], atol=1e-6)


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_the_owner_of_the_taste_wins_on_whole_pictures(seed: int) -> None:
    rng = np.random.default_rng(seed)
    tastes_UK = np.eye(5) * 0.8 + 0.04
    sums_UK = np.stack([rng.multinomial(60, taste_K) for taste_K in tastes_UK]).astype(float)
    collection_MK = np.eye(5)[rng.choice(5, size=40, p=tastes_UK[2])]

    scores_U = rank(collection_MK, sums_UK, np.full(5, 0.2))

    assert best(scores_U, 1).tolist() == [2]
    assert scores_U[2] > 0


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_people_do_not_change_each_others_scores(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sums_UK = rng.gamma(1.0, size=(6, 4))
    collection_MK, general_K = rng.dirichlet(np.ones(4), size=3), rng.dirichlet(np.ones(4) * 5)

    together_U = rank(collection_MK, sums_UK, general_K)

    alone_U = [rank(collection_MK, sums_UK[[u]], general_K)[0] for u in range(6)]
    np.testing.assert_allclose(together_U, alone_U, rtol=1e-10, atol=1e-12)


def test_more_people_than_fit_at_once_are_all_scored() -> None:
    rng = np.random.default_rng(0)
    sums_UK = rng.gamma(1.0, size=(2500, 3))
    collection_MK = rng.dirichlet(np.ones(3), size=2)

    scores_U = rank(collection_MK, sums_UK, np.full(3, 1 / 3))

    np.testing.assert_allclose(
        scores_U[2400:], rank(collection_MK, sums_UK[2400:], np.full(3, 1 / 3))
    )


def test_log_ratios_by_hand() -> None:
    # As above: theta = (3/4, 1/4) against halves.
    ratios_K = log_ratios(np.array([2.0, 0.0]), _HALVES, _WORTH_2)

    np.testing.assert_allclose(ratios_K, [math.log(1.5), math.log(0.5)])


def test_a_whole_picture_scores_its_clusters_log_ratio() -> None:
    sums_UK = np.array([[2.0, 0.0], [1.0, 4.0]])

    scores_U = rank(np.array([[0.0, 1.0]]), sums_UK, _HALVES, _WORTH_2)

    np.testing.assert_allclose(scores_U, log_ratios(sums_UK, _HALVES, _WORTH_2)[:, 1])


def test_ties_go_to_the_lower_row() -> None:
    assert best(np.array([0.5, 1.0, 1.0, -1.0]), 3).tolist() == [1, 2, 0]


@pytest.mark.parametrize(
    ("collection", "sums", "kept"),
    [
        (np.empty((0, 2)), np.ones((1, 2)), None),
        (np.ones((1, 3)), np.ones((1, 2)), None),
        (np.ones((1, 2)), np.ones((1, 3)), None),
        (np.ones((1, 2)), np.ones((1, 2)), np.ones((2, 1), np.bool_)),
    ],
)
def test_shapes_that_do_not_fit_are_refused(
    collection: np.ndarray, sums: np.ndarray, kept: np.ndarray | None
) -> None:
    with pytest.raises(ValueError, match="must"):
        rank(collection, sums, _HALVES, kept_UM=kept)
