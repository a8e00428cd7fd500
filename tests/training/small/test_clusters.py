import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inkling_server.model_manifest import load_manifest
from inkling_server.profiles.clusters import CLUSTERS_FILE, load_shipped
from inkling_server.profiles.fit_clusters import BackgroundTooSmall, FitSettings
from inkling_training.exported import ExportedModel
from inkling_training.small.clusters import fit_shipped
from tests.server.profiles.kit import NOW

pytestmark = pytest.mark.training


def _shard(folder: Path, source: str, train: int, val: int) -> None:
    rng = np.random.default_rng(len(source))
    (folder / "images").mkdir(parents=True, exist_ok=True)
    with tarfile.open(folder / "images" / f"{source}-000.tar", "w") as shard:
        for number in range(train + val):
            colours = rng.integers(0, 256, size=(2, 2, 3), dtype=np.uint8)
            picture = io.BytesIO()
            Image.fromarray(colours).resize((64, 64)).save(picture, "webp")
            split = "train" if number < train else "val"
            record = {"source": source, "split": split, "tags": ["colour"], "class": None}
            for suffix, data in (
                ("webp", picture.getvalue()),
                ("json", json.dumps(record).encode()),
            ):
                member = tarfile.TarInfo(f"{source}-{number}.{suffix}")
                member.size = len(data)
                shard.addfile(member, io.BytesIO(data))


def test_clusters_are_of_the_training_photos_alone(repository: Path, tmp_path: Path) -> None:
    model = ExportedModel(repository / "model_repository")
    _shard(tmp_path, "food-dishes", train=24, val=3)
    _shard(tmp_path, "stickers-emoji", train=5, val=0)

    clusters, line = fit_shipped(tmp_path, model, FitSettings(), NOW)

    assert clusters.background_count == 24
    assert clusters.count == 2  # at least ten pictures for each
    assert clusters.fingerprint == model.manifest.fingerprint
    assert clusters.version in line


def test_no_photos_are_too_few(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()

    with pytest.raises(BackgroundTooSmall):
        fit_shipped(tmp_path, ExportedModel(repository / "model_repository"), FitSettings(), NOW)


def test_the_shipped_file_holds_no_name_of_a_picture(repository: Path) -> None:
    models = repository / "model_repository"
    manifest = load_manifest(models)
    path = models / "vision_encoder" / str(manifest.version) / CLUSTERS_FILE

    clusters = load_shipped(models, manifest.version, manifest.fingerprint)

    assert clusters is not None
    numbers = 4 * (clusters.centroids_KD.size + clusters.count)
    assert path.stat().st_size < numbers + 1_000
