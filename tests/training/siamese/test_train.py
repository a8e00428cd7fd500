"""Training groups what it never saw; a killed run ends like one that was not."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from inkling_training.evaluation.clustering import random_map, retrieval_map
from inkling_training.fit.checkpoints import SettingsDiffer
from inkling_training.siamese import __main__ as command
from inkling_training.siamese.inputs import FeatureInputs, PixelInputs, run_all
from inkling_training.siamese.networks import AlexTrunk, ClassificationNet, SiameseNet
from inkling_training.siamese.saved import load_siamese
from inkling_training.siamese.train import TrainSettings, train_classifier, train_siamese
from tests.training import tiny_towers
from tests.training.siamese.drawn import COLOURS, draw, write_shard

pytestmark = pytest.mark.training


def _drawn(count: int, seed: int) -> tuple[list[bytes], NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    labels_N = np.arange(count * len(COLOURS)) % len(COLOURS)
    return [draw(list(COLOURS)[label], rng) for label in labels_N], labels_N


def _hidden_classes(count: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Features whose classes differ in two directions that thirty louder ones drown."""
    rng = np.random.default_rng(seed)
    labels_N = np.arange(count) % 4
    features_NF = rng.normal(0, 3, (count, 32)).astype(np.float32)
    features_NF[:, 0] = 2 * (labels_N % 2) + rng.normal(0, 0.3, count)
    features_NF[:, 1] = 2 * (labels_N // 2) + rng.normal(0, 0.3, count)
    return features_NF, labels_N


def test_pairs_teach_an_embedding_that_groups_unseen_rows() -> None:
    (train_NF, train_N), (val_NF, val_N) = _hidden_classes(400, 0), _hidden_classes(120, 1)
    torch.manual_seed(0)
    network = SiameseNet(nn.Identity(), 32, 8)

    train_siamese(
        network, FeatureInputs(train_NF), train_N, TrainSettings(25, batch=32, learning_rate=3e-3)
    )

    before = retrieval_map(val_NF, val_N)
    after = retrieval_map(run_all(network, FeatureInputs(val_NF)), val_N)
    assert before < 0.4
    assert after > 0.8


def test_pictures_are_learnt_from_scratch_by_both_networks() -> None:
    (pictures, labels_N), (others, other_N) = _drawn(16, 0), _drawn(6, 1)
    train, val = PixelInputs(pictures, 48), PixelInputs(others, 48)
    settings = TrainSettings(5, batch=16, bfloat16=True)
    torch.manual_seed(0)
    trunk = AlexTrunk(48, 0.125)
    siamese = SiameseNet(trunk, trunk.features, 16)
    other_trunk = AlexTrunk(48, 0.125)
    classifier = ClassificationNet(other_trunk, other_trunk.features, len(COLOURS))

    assert train_siamese(siamese, train, labels_N, settings)
    assert train_classifier(classifier, train, labels_N, settings)

    assert retrieval_map(run_all(siamese, val), other_N) > 2 * random_map(other_N)
    assert (run_all(classifier, val).argmax(axis=1) == other_N).mean() > 0.7


def test_a_killed_run_ends_with_the_same_weights(tmp_path: Path) -> None:
    pictures, labels_N = _drawn(8, 0)
    inputs = PixelInputs(pictures, 48)
    settings = TrainSettings(3, batch=16, save_every=2)

    def start() -> SiameseNet:
        torch.manual_seed(1)
        trunk = AlexTrunk(48, 0.125, dropout=0.5)
        return SiameseNet(trunk, trunk.features, 8)

    whole = start()
    train_siamese(whole, inputs, labels_N, settings)

    class Killed(PixelInputs):
        left = 3

        def batch(self, rows_B: NDArray[np.int64], rng: np.random.Generator | None) -> torch.Tensor:
            if self.left == 0:
                raise KeyboardInterrupt
            self.left -= 1
            return super().batch(rows_B, rng)

    with pytest.raises(KeyboardInterrupt):
        train_siamese(
            start(), Killed(pictures, 48), labels_N, settings, checkpoints=tmp_path / "run"
        )
    resumed = start()
    train_siamese(resumed, inputs, labels_N, settings, checkpoints=tmp_path / "run")

    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
    with pytest.raises(SettingsDiffer, match="margin"):
        train_siamese(
            start(),
            inputs,
            labels_N,
            TrainSettings(3, batch=16, margin=3.0, save_every=2),
            checkpoints=tmp_path / "run",
        )


def test_varied_pictures_follow_from_the_generator_and_plain_ones_never_change() -> None:
    inputs = PixelInputs(_drawn(1, 0)[0], 48)
    rows_B = np.arange(4)

    def varied(seed: int) -> torch.Tensor:
        return inputs.batch(rows_B, np.random.default_rng(seed))

    assert torch.equal(varied(3), varied(3))
    assert not torch.equal(varied(3), varied(4))
    assert torch.equal(inputs.batch(rows_B, None), inputs.batch(rows_B, None))


def test_the_command_trains_saves_and_reports(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_shard(tmp_path / "data", "drawn", 12)
    tower = tiny_towers.save_classifier(tmp_path / "tower")
    shared = ["--data", str(tmp_path / "data"), "--sources", "drawn", "--size", "64"]
    shared += ["--dimension", "8", "--batch", "16", "--epochs", "2"]

    command.main([*shared, "--out", str(tmp_path / "alex"), "--width", "0.125"])
    command.main([*shared, "--out", str(tmp_path / "tower-run"), "--tower", tower, "--hard"])
    command.main(
        [
            *shared,
            *("--out", str(tmp_path / "disjoint")),
            *("--tower", tower, "--fine-tune", "--hold-out-classes", "0.5"),
        ]
    )

    out = capsys.readouterr().out
    assert out.count("val: mAP") == 3
    assert out.count("classes held out: mAP") == 1
    for run in ("alex", "tower-run", "disjoint"):
        pixels = torch.zeros(2, 64, 64, 3, dtype=torch.uint8)
        assert load_siamese(tmp_path / run)(pixels).shape == (2, 8)
    with pytest.raises(SystemExit, match="--tower"):
        command.main([*shared, "--out", str(tmp_path / "x"), "--fine-tune"])
