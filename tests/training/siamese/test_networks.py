"""Trunks, output layer, saving and loading."""

from pathlib import Path

import numpy as np
import pytest
import torch

from inkling_training.siamese.networks import AlexTrunk, SiameseNet, TowerTrunk
from inkling_training.siamese.saved import (
    NetworkSpec,
    build_network,
    load_siamese,
    save_siamese,
)
from inkling_training.vision_tower import load_vision_tower
from tests.training import tiny_towers

pytestmark = pytest.mark.training


def _pixels(size: int, count: int = 6) -> torch.Tensor:
    rng = np.random.default_rng(0)
    return torch.from_numpy(rng.integers(0, 255, (count, size, size, 3), dtype=np.uint8))


@pytest.mark.parametrize("size", [64, 112, 224])
def test_the_alexnet_style_trunk_takes_several_sizes(size: int) -> None:
    trunk = AlexTrunk(size, width=0.125)

    assert trunk(_pixels(size, 2)).shape == (2, 512)


def test_full_width_has_alexnets_layers() -> None:
    shapes = [tuple(p.shape) for p in AlexTrunk(224).parameters() if p.ndim == 4]

    assert shapes[0] == (64, 3, 11, 11)
    assert [shape[0] for shape in shapes] == [64, 192, 384, 256, 256]
    assert AlexTrunk(224).features == 4096


def test_untrained_pictures_lie_about_one_apart_whatever_the_dimension() -> None:
    for dimension in (16, 128):
        torch.manual_seed(0)
        network = SiameseNet(torch.nn.Identity(), 200, dimension)
        embeddings_BD = network(torch.randn(256, 200))
        squares = torch.pdist(embeddings_BD).square().mean().item()
        assert squares == pytest.approx(1.0, abs=0.02)


def test_a_tower_trunk_stays_in_eval_mode_and_frozen(tmp_path: Path) -> None:
    tower = tiny_towers.save_classifier(tmp_path)
    spec = NetworkSpec(tower, tiny_towers.SIDE, dimension=8)
    network = build_network(spec).train()
    trunk = network.trunk

    assert isinstance(trunk, TowerTrunk)
    assert network.norm.training
    assert not any(module.training for module in trunk.tower.modules())
    assert {n for n, p in network.named_parameters() if p.requires_grad} == {
        "output.weight",
        "norm.weight",
        "norm.bias",
    }
    tuned = build_network(spec, fine_tune=True)
    assert any(p.requires_grad for p in tuned.trunk.parameters())


def test_a_tower_trunk_gives_the_whole_pictures_features(tmp_path: Path) -> None:
    tower = load_vision_tower(tiny_towers.save_clip(tmp_path))
    trunk = TowerTrunk.probed(tower, tiny_towers.SIDE)
    pixels_BHWC = _pixels(tiny_towers.SIDE)

    assert trunk.features == 32
    torch.testing.assert_close(trunk(pixels_BHWC), tower(pixels_BHWC)[:, 0])


@pytest.mark.parametrize("kind", ["alexnet", "tower"])
def test_a_saved_network_answers_the_same(tmp_path: Path, kind: str) -> None:
    tower = tiny_towers.save_classifier(tmp_path / "tower") if kind == "tower" else None
    spec = NetworkSpec(tower, tiny_towers.SIDE, width=0.125, dimension=8)
    network = build_network(spec).train()
    network(_pixels(tiny_towers.SIDE))  # batch norm learns something
    network.eval()

    save_siamese(network, spec, tmp_path / "run")

    with torch.no_grad():
        expected = network(_pixels(tiny_towers.SIDE))
        torch.testing.assert_close(load_siamese(tmp_path / "run")(_pixels(64)), expected)


def test_too_small_pictures_are_refused() -> None:
    with pytest.raises(ValueError, match="size must be >= 48"):
        AlexTrunk(32)
