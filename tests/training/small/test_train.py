"""The recipe's run: it learns, goes on after a kill with the same weights, and is a whole model."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor

from inkling_training.fit.checkpoints import SettingsDiffer
from inkling_training.models.checkpoint import load_checkpoint
from inkling_training.small import features, train
from inkling_training.small.losses import SmallLosses
from tests.training import tiny_towers
from tests.training.small.drawn import Drawn, draw

pytestmark = [
    pytest.mark.training,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning"),
]


class _Killed(BaseException):
    """Stands for a kill: nothing of the run may catch it."""


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Drawn:
    made = draw(tmp_path_factory.mktemp("drawn"))
    features.main(
        [
            *("--data", str(made.data), "--vision", made.vision),
            *("--out", str(made.root / "cache"), "--views", "3", "--size", str(tiny_towers.SIDE)),
        ]
    )
    return made


def _learn(drawn: Drawn, out: Path, *more: str) -> None:
    fixed: Sequence[str] = (
        *("--cache", str(drawn.root / "cache"), "--out", str(out), "--views", "3"),
        *("--size", str(tiny_towers.SIDE), "--batch", "12", "--dimensions", "16,8"),
        *("--save-every", "2", "--threads", "1"),
    )
    train.main([*drawn.inputs, *drawn.towers, *fixed, *more])


def _weights(out: Path) -> dict[str, Tensor]:
    return load_file(out / "model" / "model.safetensors")


def test_a_killed_run_goes_on_to_the_same_weights(
    drawn: Drawn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _learn(drawn, tmp_path / "whole", "--steps", "7")
    original, calls = SmallLosses.__call__, 0

    def deadly(
        self: SmallLosses,
        regions: Tensor,
        teacher: Tensor,
        rows: NDArray[np.int64],
        rng: np.random.Generator,
    ) -> dict[str, Tensor]:
        nonlocal calls
        calls += 1
        if calls == 6:
            raise _Killed
        return original(self, regions, teacher, rows, rng)

    monkeypatch.setattr(SmallLosses, "__call__", deadly)
    with pytest.raises(_Killed):
        _learn(drawn, tmp_path / "killed", "--steps", "7")
    assert not (tmp_path / "killed" / "model").exists()
    _learn(drawn, tmp_path / "killed", "--steps", "7")  # from step 4

    whole, resumed = _weights(tmp_path / "whole"), _weights(tmp_path / "killed")
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_another_seed_gives_other_weights(drawn: Drawn, tmp_path: Path) -> None:
    _learn(drawn, tmp_path / "a", "--steps", "2")
    _learn(drawn, tmp_path / "b", "--steps", "2", "--seed", "1")
    first, second = _weights(tmp_path / "a"), _weights(tmp_path / "b")
    assert any(not torch.equal(first[name], second[name]) for name in first)


def test_tail_head_and_projection_learn_and_the_trunk_does_not(
    drawn: Drawn, tmp_path: Path
) -> None:
    _learn(drawn, tmp_path / "run", "--steps", "2")
    _learn(drawn, tmp_path / "start", "--steps", "1", "--tail-rate", "0")
    learnt, start = _weights(tmp_path / "run"), _weights(tmp_path / "start")
    changed = {name for name in learnt if not torch.equal(learnt[name], start[name])}
    layers = {name.split(".layer.")[1].split(".")[0] for name in changed if ".layer." in name}
    assert layers == {"13", "14", "15"}
    assert any("conv_1x1" in name for name in changed)
    assert any("picture_head" in name for name in changed)
    assert any("phrase_head" in name for name in changed)
    assert not any("conv_stem" in name or "phrases.backbone" in name for name in changed)


def test_the_result_embeds_pictures_and_texts_at_every_nested_size(
    drawn: Drawn, tmp_path: Path
) -> None:
    _learn(drawn, tmp_path, "--steps", "1", "--contrast", "sigmoid")
    side = tiny_towers.SIDE
    for size in (16, 8):
        model = load_checkpoint(tmp_path / "model", size)
        tokens = model.tokenizer(["dog", "two cat"], padding=True, return_tensors="pt")
        with torch.inference_mode():
            pictures = model.vision(torch.zeros(3, side, side, 3, dtype=torch.uint8))
            texts = model.text(tokens["input_ids"], tokens["attention_mask"])
        assert pictures.shape == (3, size)
        assert texts.shape == (2, size)
        assert torch.allclose(pictures.norm(dim=1), torch.ones(3), atol=1e-5)


def test_a_run_with_other_settings_does_not_go_on(drawn: Drawn, tmp_path: Path) -> None:
    _learn(drawn, tmp_path, "--steps", "2")
    with pytest.raises(SettingsDiffer, match="steps"):
        _learn(drawn, tmp_path, "--steps", "4")


def test_held_out_tags_and_excluded_sources_are_not_trained_on(
    drawn: Drawn, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unseen = tmp_path / "unseen.json"
    unseen.write_text('["dog"]')
    _learn(drawn, tmp_path / "run", "--steps", "1", "--hold-out", str(unseen))
    assert "18 of 48 pictures" in capsys.readouterr().out
    _learn(drawn, tmp_path / "other", "--steps", "1", "--exclude", "coco-mini")
    assert "12 of 48 pictures" in capsys.readouterr().out
