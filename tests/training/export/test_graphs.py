"""What the export knows of a module before it is a graph."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from inkling_training.export.graphs import flops_per_row, tokens_of
from inkling_training.models.sources import load_source
from tests.training.export.tiny_duals import save_siglip2, save_whole_clip

pytestmark = pytest.mark.training


def test_flops_are_those_of_one_row() -> None:
    layer = torch.nn.Linear(100, 50)
    assert flops_per_row(layer, (torch.zeros(1, 100),)) == 2 * 100 * 50
    assert flops_per_row(layer, (torch.zeros(7, 100),)) == 2 * 100 * 50


@pytest.mark.parametrize("save", [save_whole_clip, save_siglip2])
def test_tokens_are_the_tokenizers_own(save: Callable[[Path], Path], tmp_path: Path) -> None:
    model = load_source(save(tmp_path / "hub"), template="see {}")
    ids_BL, mask_BL = tokens_of(model, ["dog", "a much longer dog"])
    wanted = model.tokenizer("see dog")["input_ids"]
    assert ids_BL[0, : len(wanted)].tolist() == wanted
    assert mask_BL.sum(dim=1).tolist() == [len(wanted), ids_BL.shape[1]]
    assert (ids_BL[0, len(wanted) :] == model.text_spec.pad_id).all()
