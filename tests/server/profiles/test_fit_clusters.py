from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from inkling_server.profiles.fit_clusters import (
    BackgroundTooSmall,
    FitSettings,
    fit_clusters,
    mean_squared_distance,
)
from inkling_server.profiles.visual import margins, soft_assign, typical
from tests.server.profiles.kit import NOW


def _blobs(per_blob: int = 30, spread: float = 0.05) -> NDArray[np.float32]:
    """Three groups around the corners of a triangle; the first is the largest."""
    rng = np.random.default_rng(3)
    corners = np.repeat([[0, 0], [1, 0], [0, 1]], [2 * per_blob, per_blob, per_blob], axis=0)
    return (corners + rng.normal(size=corners.shape) * spread).astype(np.float32)


def test_the_mean_squared_distance_by_hand() -> None:
    # 0, 0, 3: pairs 0, 9, 9; their mean is 6.
    assert mean_squared_distance(np.array([[0.0], [0.0], [3.0]])) == pytest.approx(6)


@given(st.integers(2, 12), st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_the_closed_form_is_the_mean_over_all_pairs(count: int, seed: int) -> None:
    points_ND = np.random.default_rng(seed).normal(5, 1, size=(count, 3))

    pairs = [((a - b) ** 2).sum() for a, b in combinations(points_ND, 2)]

    assert mean_squared_distance(points_ND) == pytest.approx(np.mean(pairs))


def test_groups_become_clusters_the_largest_first() -> None:
    clusters = fit_clusters(
        _blobs(),
        fingerprint="model",
        created_time=NOW,
        settings=FitSettings(cluster_count=3),
    )

    np.testing.assert_allclose(clusters.centroids_KD[0], [0, 0], atol=0.05)
    # A tenth of a picture goes elsewhere, by the odds.
    np.testing.assert_allclose(clusters.general_K, [0.5, 0.25, 0.25], atol=0.05)
    assert clusters.sigma2 == pytest.approx(mean_squared_distance(_blobs()))
    assert (clusters.background_count, clusters.created_time) == (120, NOW)


def test_typical_pictures_are_the_nearest_of_their_own_cluster() -> None:
    points_ND = _blobs()
    clusters = fit_clusters(
        points_ND, fingerprint="m", created_time=NOW, settings=FitSettings(cluster_count=3)
    )

    found = typical(clusters, points_ND, 4)

    assert [place for _, place, _ in found] == [0, 1, 2, 3] * 3
    for cluster, centroid_D in enumerate(clusters.centroids_KD):
        rows = [row for own, _, row in found if own == cluster]
        far = [float(np.linalg.norm(points_ND[row] - centroid_D)) for row in rows]
        assert far == sorted(far)
        assert max(far) < 1
    assert all(row < 60 for own, _, row in found if own == 0)


def test_half_of_the_background_is_decided_more_clearly_than_the_odds() -> None:
    points_ND = np.random.default_rng(0).normal(size=(401, 3)).astype(np.float32)

    clusters = fit_clusters(
        points_ND,
        fingerprint="m",
        created_time=NOW,
        settings=FitSettings(cluster_count=8, odds=5),
    )

    top_N2 = np.sort(soft_assign(points_ND, clusters), axis=1)[:, -2:]
    assert np.median(top_N2[:, 1] / top_N2[:, 0]) == pytest.approx(5, rel=1e-3)
    assert (margins(points_ND, clusters.centroids_KD) >= 0).all()


def test_the_same_background_gives_the_same_version() -> None:
    settings_ = FitSettings(cluster_count=5, seed=4)

    versions = {
        fit_clusters(_blobs(), fingerprint="m", created_time=NOW, settings=settings_).version
        for _ in range(2)
    }

    assert len(versions) == 1


def test_a_small_background_has_fewer_clusters() -> None:
    clusters = fit_clusters(_blobs(10), fingerprint="m", created_time=NOW)

    assert clusters.count == 4  # 40 pictures, at least 10 for each


def test_copies_do_not_make_clusters() -> None:
    points_ND = np.repeat(np.eye(3, dtype=np.float32), 50, axis=0)

    clusters = fit_clusters(points_ND, fingerprint="m", created_time=NOW)

    assert clusters.count == 3


@pytest.mark.parametrize(
    "points_ND",
    [
        np.zeros((0, 2), np.float32),
        np.eye(2, dtype=np.float32),
        np.ones((500, 2), np.float32),
    ],
)
def test_too_little_to_tell_clusters_apart_is_said(points_ND: NDArray[np.float32]) -> None:
    with pytest.raises(BackgroundTooSmall, match="allowed: at least 20"):
        fit_clusters(points_ND, fingerprint="m", created_time=NOW)


def test_a_given_beta_is_taken() -> None:
    clusters = fit_clusters(
        _blobs(), fingerprint="m", created_time=NOW, settings=FitSettings(cluster_count=3, beta=7)
    )

    assert clusters.beta == 7


def test_embeddings_that_are_not_finite_are_refused() -> None:
    points_ND = _blobs()
    points_ND[0] = np.nan

    with pytest.raises(ValueError, match="finite"):
        fit_clusters(points_ND, fingerprint="m", created_time=NOW)
