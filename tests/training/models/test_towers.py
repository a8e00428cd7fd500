"""Towers of every family give features, and are rebuilt from their document."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from inkling_training.models.towers import (
    PhraseTower,
    PictureTower,
    Pooling,
    load_phrase_tower,
    load_picture_tower,
)
from tests.training import tiny_towers
from tests.training.models import tiny

pytestmark = [
    pytest.mark.training,
    pytest.mark.filterwarnings("ignore::FutureWarning:transformers", "ignore::DeprecationWarning"),
]
PIXELS = torch.randint(
    0, 256, (2, 64, 64, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
)
IDS = torch.tensor([[2, 3, 6, 2], [4, 3, 0, 0]])
MASK = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])


@pytest.mark.parametrize(
    ("save", "pooling", "regions"),
    [
        (tiny.save_vit, "cls", 17),
        (tiny.save_clip, "pooler", 5),
        (tiny.save_siglip, "pooler", 16),
        (tiny_towers.save_classifier, "mean", 0),
    ],
)
def test_a_vision_model_gives_the_whole_and_its_regions(
    tmp_path: Path, save: Callable[[Path], str], pooling: str, regions: int
) -> None:
    tower, image = load_picture_tower(save(tmp_path))
    features = tower.eval()(PIXELS)
    assert (image.size, tower.pooling) == (64, pooling)
    assert features.pooled_BC.shape == (2, tower.width)
    assert features.regions_BPC.shape == (2, regions, tower.region_width)
    again = PictureTower.built(json.loads(json.dumps(tower.document()))).eval()
    again.load_state_dict(tower.state_dict())
    assert torch.equal(again(PIXELS).pooled_BC, features.pooled_BC)


def test_picture_poolings_are_what_they_say(tmp_path: Path) -> None:
    name = tiny.save_vit(tmp_path)
    cls, _ = load_picture_tower(name, "cls")
    mean, _ = load_picture_tower(name, "mean")
    regions = cls.eval()(PIXELS).regions_BPC
    assert torch.equal(cls.eval()(PIXELS).pooled_BC, regions[:, 0])
    assert torch.allclose(mean.eval()(PIXELS).pooled_BC, regions.mean(dim=1), atol=1e-6)


def test_pixels_are_normalised_inside(tmp_path: Path) -> None:
    tower, _ = load_picture_tower(tiny.save_vit(tmp_path))
    scaled = (PIXELS / 255 - torch.tensor([0.5, 0.4, 0.3])) / torch.tensor([0.2, 0.3, 0.4])
    state = tower.eval().backbone(scaled.permute(0, 3, 1, 2)).last_hidden_state
    assert torch.allclose(tower(PIXELS).regions_BPC, state, atol=1e-4)


@pytest.mark.parametrize("pooling", ["mean", "cls", "eos", "pooler"])
def test_padding_changes_no_text(tmp_path: Path, pooling: Pooling) -> None:
    tower = load_phrase_tower(tiny_towers.save_text_model(tmp_path), pooling).eval()
    states = tower(IDS, MASK)
    assert states.shape == (2, tower.width)
    assert torch.allclose(tower(IDS[1:, :2], MASK[1:, :2]), states[1:], atol=1e-5)
    again = PhraseTower.built(json.loads(json.dumps(tower.document()))).eval()
    again.load_state_dict(tower.state_dict())
    assert torch.equal(again(IDS, MASK), states)


def test_text_poolings_are_what_they_say(tmp_path: Path) -> None:
    name = tiny_towers.save_text_model(tmp_path)
    towers = {kind: load_phrase_tower(name, kind).eval() for kind in ("mean", "cls", "eos")}
    state = towers["cls"].backbone(input_ids=IDS, attention_mask=MASK).last_hidden_state
    assert torch.equal(towers["cls"](IDS, MASK), state[:, 0])
    assert torch.equal(towers["eos"](IDS, MASK), torch.stack([state[0, 3], state[1, 1]]))
    assert torch.allclose(towers["mean"](IDS, MASK)[1], state[1, :2].mean(dim=0), atol=1e-6)


def test_the_text_half_of_a_clip_pools_as_the_model_does(tmp_path: Path) -> None:
    tower = load_phrase_tower(tiny.save_clip(tmp_path)).eval()
    assert tower.pooling == "pooler"


def test_an_unknown_pooling_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must be one of auto, mean, cls, pooler"):
        load_picture_tower(tiny.save_vit(tmp_path), "eos")


def test_batch_norms_never_train_and_a_frozen_tower_sleeps(tmp_path: Path) -> None:
    tower, _ = load_picture_tower(tiny_towers.save_classifier(tmp_path))
    before = {name: value.clone() for name, value in tower.named_buffers()}
    tower.train()
    assert tower.backbone.training
    tower(PIXELS)
    assert all(torch.equal(value, before[name]) for name, value in tower.named_buffers())
    tower.requires_grad_(requires_grad=False)
    assert not tower.train().backbone.training
