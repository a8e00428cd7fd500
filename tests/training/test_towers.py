"""Vision towers load from directories in hub format; text projections start knowing something."""

from pathlib import Path

import pytest
import torch

from inkling_training.text_start import start_at_principal_components
from inkling_training.vision_tower import load_vision_tower, pool_regions
from tests.training import tiny_towers

pytestmark = [
    pytest.mark.training,
    pytest.mark.filterwarnings("ignore::FutureWarning:transformers", "ignore::DeprecationWarning"),
]


def test_classifier_keeps_labels_and_normalisation(tmp_path: Path) -> None:
    tower = load_vision_tower(tiny_towers.save_classifier(tmp_path))
    assert tower.classes == ["background", "dog, hound", "cat", "beach", "ball"]
    assert tower.classifier is not None
    assert tower.classifier.out_features == 5
    assert not any(parameter.requires_grad for parameter in tower.parameters())
    assert tower.std_C.tolist() == [63.75, 127.5, 255.0]
    pixels_BHWC = torch.randint(
        0, 256, (2, tiny_towers.SIDE, tiny_towers.SIDE, 3), dtype=torch.uint8
    )
    features_BPC = tower(pixels_BHWC)
    assert features_BPC.shape == (2, 1, tower.classifier.in_features)


def test_vision_half_of_a_clip_loads_without_a_classifier(tmp_path: Path) -> None:
    tower = load_vision_tower(tiny_towers.save_clip(tmp_path))
    assert tower.classifier is None
    pixels_BHWC = torch.zeros(2, tiny_towers.SIDE, tiny_towers.SIDE, 3, dtype=torch.uint8)
    assert tower(pixels_BHWC).shape == (2, 1, 32)


def test_regions_are_the_whole_and_overlapping_windows() -> None:
    map_BCHW = torch.arange(49.0).reshape(1, 1, 7, 7)
    regions_BPC = pool_regions(map_BCHW)
    assert regions_BPC.shape == (1, 10, 1)
    assert regions_BPC[0, 0, 0] == 24
    assert regions_BPC[0, 1, 0] == 8  # mean of rows 0-2, columns 0-2
    assert regions_BPC[0, 9, 0] == 40


def test_projection_starts_at_the_principal_components() -> None:
    torch.manual_seed(0)
    plane_NH = torch.randn(40, 2) @ torch.randn(2, 6) + 3.0
    projection = torch.nn.Linear(6, 3)
    assert start_at_principal_components(projection, plane_NH) == pytest.approx(1.0)
    projected_ND = projection(plane_NH)
    assert projected_ND.mean(dim=0).abs().max() < 1e-4  # centred
    wanted = torch.pdist(plane_NH)
    assert torch.allclose(torch.pdist(projected_ND), wanted, atol=1e-3)  # nothing lost
