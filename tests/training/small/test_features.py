"""What the frozen part sees is cached, and a cache of something else is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch

from inkling_server.model_manifest import PixelSpec
from inkling_training.data import load_records
from inkling_training.pixels import pixels_of
from inkling_training.small import features
from inkling_training.vision_tower import Tail, load_vision_tower, split_tower
from tests.training import tiny_towers
from tests.training.small.drawn import draw

pytestmark = [
    pytest.mark.training,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning"),
]


def test_trunk_and_tail_together_are_the_tower(tmp_path: Path) -> None:
    tower = load_vision_tower(tiny_towers.save_classifier(tmp_path))
    side = tiny_towers.SIDE
    pixels_BHWC = torch.randint(0, 256, (2, side, side, 3), dtype=torch.uint8)
    for blocks in (0, 13, 16):
        trunk, tail = split_tower(tower, blocks)
        assert torch.allclose(tail(trunk(pixels_BHWC)), tower(pixels_BHWC), atol=1e-5)


def test_a_tail_never_leaves_eval_mode(tmp_path: Path) -> None:
    _, tail = split_tower(load_vision_tower(tiny_towers.save_classifier(tmp_path)), 13)
    assert not tail.train().training
    assert not any(module.training for module in tail.modules())


@pytest.mark.parametrize("blocks", [-17, 17])
def test_impossible_cuts_are_refused(tmp_path: Path, blocks: int) -> None:
    tower = load_vision_tower(tiny_towers.save_classifier(tmp_path))
    with pytest.raises(ValueError, match=r"within \+-16"):
        split_tower(tower, blocks)


def test_a_cut_counts_from_the_end_as_well(tmp_path: Path) -> None:
    tower = load_vision_tower(tiny_towers.save_classifier(tmp_path))
    trunk, tail = split_tower(tower, -3)
    assert (len(trunk.blocks), len(tail.blocks)) == (13, 3)


def test_other_backbones_cannot_be_split(tmp_path: Path) -> None:
    tower = load_vision_tower(tiny_towers.save_clip(tmp_path))
    with pytest.raises(ValueError, match="cannot be split"):
        split_tower(tower, 1)


def test_cached_maps_are_what_the_trunk_sees(tmp_path: Path) -> None:
    drawn = draw(tmp_path)
    cache, side = tmp_path / "cache", tiny_towers.SIDE
    features.main(
        [
            *("--data", str(drawn.data), "--vision", drawn.vision, "--out", str(cache)),
            *("--views", "3", "--size", str(side), "--frozen-blocks", "10"),
        ]
    )
    records = load_records(drawn.data)
    trunk, tail = split_tower(load_vision_tower(drawn.vision), 10)
    assert isinstance(tail, Tail)
    pixels = np.stack([pixels_of(r.picture, PixelSpec(side, "squash")) for r in records[:5]])
    wanted = trunk(torch.from_numpy(pixels)).detach().numpy()
    found = features.open_view(cache, 0)[:5].astype(np.float32)
    # bfloat16 where the CPU has it
    lengths = np.linalg.norm(wanted.reshape(5, -1), axis=1) * np.linalg.norm(
        found.reshape(5, -1), axis=1
    )
    cosines = (wanted * found).reshape(5, -1).sum(axis=1) / lengths
    assert cosines.min() > 0.99
    assert not np.array_equal(features.open_view(cache, 0), features.open_view(cache, 2))


def test_a_cache_of_other_pictures_or_another_cut_is_refused(tmp_path: Path) -> None:
    drawn = draw(tmp_path)
    records = load_records(drawn.data)
    features.require_same(tmp_path / "cache", records, drawn.vision, 13)
    features.require_same(tmp_path / "cache", records, drawn.vision, 13)
    with pytest.raises(features.OtherCache, match="frozen blocks"):
        features.require_same(tmp_path / "cache", records, drawn.vision, 12)
    with pytest.raises(features.OtherCache, match="pictures, keys"):
        features.require_same(tmp_path / "cache", records[1:], drawn.vision, 13)
