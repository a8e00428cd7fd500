import dataclasses
from pathlib import Path

import numpy as np
import pytest

from inkling_server.model_manifest import load_manifest
from inkling_server.profiles.clusters import (
    CLUSTERS_FILE,
    ClustersDamaged,
    VisualClusters,
    load_shipped,
)
from tests.server.profiles.kit import clusters_at

_TWO = clusters_at([[0, 0], [1, 0]], general=[0.25, 0.75])


def test_a_file_says_what_was_saved(tmp_path: Path) -> None:
    _TWO.save(tmp_path / CLUSTERS_FILE)

    loaded = VisualClusters.load(tmp_path / CLUSTERS_FILE)

    assert [path.name for path in tmp_path.iterdir()] == [CLUSTERS_FILE]
    np.testing.assert_array_equal(loaded.centroids_KD, _TWO.centroids_KD)
    np.testing.assert_array_equal(loaded.general_K, _TWO.general_K)
    for name in ("sigma2", "beta", "fingerprint", "background_count", "created_time"):
        assert getattr(loaded, name) == getattr(_TWO, name)
    assert loaded.version == _TWO.version


def test_the_same_clusters_give_the_same_bytes() -> None:
    assert _TWO.to_bytes() == VisualClusters.from_bytes(_TWO.to_bytes()).to_bytes()


@pytest.mark.parametrize(
    "change",
    [
        {"beta": 2.0},
        {"sigma2": 2.0},
        {"fingerprint": "other"},
        {"background_count": 101},
        {"general_K": np.array([0.5, 0.5], np.float32)},
        {"centroids_KD": np.array([[0, 0], [0, 1]], np.float32)},
    ],
)
def test_whatever_a_profile_depends_on_changes_the_version(change: dict[str, object]) -> None:
    assert dataclasses.replace(_TWO, **change).version != _TWO.version  # type: ignore[arg-type]


@pytest.mark.parametrize("place", [0, 8, 60, -1])
def test_altered_bytes_are_found(place: int) -> None:
    data = bytearray(_TWO.to_bytes())
    data[place] ^= 0x55

    with pytest.raises(ClustersDamaged):
        VisualClusters.from_bytes(bytes(data))


@pytest.mark.parametrize("data", [b"", b"\xff" * 40, b"{}", _TWO.to_bytes()[:-4]])
def test_what_is_no_file_of_clusters_is_refused(data: bytes) -> None:
    with pytest.raises(ClustersDamaged):
        VisualClusters.from_bytes(data)


@pytest.mark.parametrize(
    "change",
    [
        {"general_K": np.array([0, 1], np.float32)},
        {"general_K": np.array([0.5, np.nan], np.float32)},
        {"centroids_KD": np.array([[np.inf, 0], [0, 0]], np.float32)},
        {"beta": 0.0},
        {"sigma2": float("nan")},
        {"background_count": 0},
    ],
)
def test_clusters_that_cannot_be_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="must"):
        dataclasses.replace(_TWO, **change)  # type: ignore[arg-type]


def test_a_repository_without_clusters_has_none(tmp_path: Path) -> None:
    assert load_shipped(tmp_path, 1, "model") is None


def test_clusters_of_another_model_are_refused(tmp_path: Path) -> None:
    (tmp_path / "vision_encoder" / "1").mkdir(parents=True)
    _TWO.save(tmp_path / "vision_encoder" / "1" / CLUSTERS_FILE)

    assert load_shipped(tmp_path, 1, "model") is not None
    with pytest.raises(ClustersDamaged, match="which is served"):
        load_shipped(tmp_path, 1, "other")


def test_the_shipped_clusters_fit_the_shipped_model(repository: Path) -> None:
    models = repository / "model_repository"
    manifest = load_manifest(models)

    clusters = load_shipped(models, manifest.version, manifest.fingerprint)

    assert clusters is not None
    assert (clusters.count, clusters.dimension) == (200, manifest.dimension)
