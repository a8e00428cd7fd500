"""The mean of several runs' weights is a model like each of them."""

from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer

from inkling_server.model_manifest import PixelSpec
from inkling_training.models.checkpoint import load_pairwise, save_checkpoint
from inkling_training.models.pairwise import Pairwise
from inkling_training.models.towers import load_phrase_tower
from inkling_training.small import average
from inkling_training.small import model as small_model
from inkling_training.vision_tower import load_vision_tower
from tests.training import tiny_towers

pytestmark = [
    pytest.mark.training,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
]


def _model(folder: Path, dimension: int, shift: float) -> Pairwise:
    text_folder = tiny_towers.save_text_model(folder / "text")
    text = load_phrase_tower(text_folder, "mean").eval()
    torch.manual_seed(0)
    model = small_model.build(
        load_vision_tower(tiny_towers.save_classifier(folder / "vision")),
        frozen_blocks=15,
        phrases_VH=torch.randn(6, text.width),
        label_names_KH=torch.randn(5, text.width),
        dimension=dimension,
    )
    with torch.no_grad():
        model.head.labels_KD.fill_(shift)
    return small_model.assemble(
        model,
        text.backbone,
        AutoTokenizer.from_pretrained(text_folder),
        image=PixelSpec(tiny_towers.SIDE, "squash"),
        dimensions=[dimension],
        name="drawn",
        source="drawn",
    )


def test_the_mean_of_two_runs_is_written_as_a_model(tmp_path: Path) -> None:
    for name, shift in (("a", 1.0), ("b", 4.0)):
        save_checkpoint(tmp_path / name, _model(tmp_path, 8, shift))
    average.main([str(tmp_path / "a"), str(tmp_path / "b"), "--out", str(tmp_path / "mean")])
    found = load_pairwise(tmp_path / "mean").model.state_dict()
    one = load_pairwise(tmp_path / "a").model.state_dict()
    labels = next(name for name in found if name.endswith("labels_KD"))
    assert torch.allclose(found[labels], torch.full_like(found[labels], 2.5))
    assert found.keys() == one.keys()
    for name in found.keys() - {labels}:
        assert torch.allclose(found[name], one[name], atol=1e-6), name


def test_models_of_other_sizes_and_none_at_all_are_refused(tmp_path: Path) -> None:
    with pytest.raises(average.UnlikeModels, match="same recipe"):
        average.averaged([_model(tmp_path, 8, 1.0), _model(tmp_path, 4, 1.0)])
    with pytest.raises(average.UnlikeModels, match="one or more"):
        average.averaged([])
