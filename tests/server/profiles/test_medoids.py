import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inkling_server.profiles.medoids import medoid, ward_groups


def test_wards_distance_by_hand() -> None:
    # 0 and 1 merge at 1. Their mean .5 and the point 3: sqrt(2 * 2 * 1 / 3) * 2.5 = 2.886751.
    points_TF = np.array([[0.0], [1.0], [3.0]])

    assert ward_groups(points_TF, 0.99).tolist() == [0, 1, 2]
    assert ward_groups(points_TF, 1.0).tolist() == [0, 0, 1]
    assert ward_groups(points_TF, 2.8867).tolist() == [0, 0, 1]
    assert ward_groups(points_TF, 2.8868).tolist() == [0, 0, 0]


def test_groups_are_numbered_by_their_first_point() -> None:
    points_TF = np.array([[9.0], [0.0], [9.1], [0.1], [50.0]])

    assert ward_groups(points_TF, 1.0).tolist() == [0, 1, 0, 1, 2]


@given(st.integers(0, 10_000), st.integers(2, 40))
@settings(max_examples=40, deadline=None)
def test_groups_are_scipys(seed: int, count: int) -> None:
    hierarchy = pytest.importorskip("scipy.cluster.hierarchy")
    points_TF = np.random.default_rng(seed).normal(size=(count, 3))
    tree = hierarchy.linkage(points_TF, "ward")
    cut = float(tree[len(tree) // 2, 2]) + 1e-9

    ours_T = ward_groups(points_TF, cut)

    theirs_T = hierarchy.fcluster(tree, cut, "distance")
    np.testing.assert_array_equal(ours_T[:, None] == ours_T, theirs_T[:, None] == theirs_T)


@pytest.mark.parametrize("count", [0, 1])
def test_hardly_any_points_are_no_problem(count: int) -> None:
    assert ward_groups(np.zeros((count, 2)), 1.0).tolist() == [0] * count


def test_points_at_one_place_are_one_group() -> None:
    assert ward_groups(np.ones((6, 2)), 0.0).tolist() == [0] * 6


def test_the_medoid_is_near_the_heavy_points() -> None:
    # Costs of 0, 1, 4 with weights 1, 1, 1: 17, 10, 25. With 1, 1, 9: 145, 82, 25.
    points_TF = np.array([[0.0], [1.0], [4.0]])

    assert medoid(points_TF, np.ones(3)) == 1
    assert medoid(points_TF, np.array([1.0, 1.0, 9.0])) == 2


def test_of_equal_medoids_the_first_is_taken() -> None:
    assert medoid(np.array([[2.0, 1.0], [0.0, 0.0], [2.0, 1.0]]), np.ones(3)) == 0
