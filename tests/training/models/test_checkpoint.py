"""A checkpoint needs no other directory, and gives what was trained."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import AutoModel

from inkling_training.models.checkpoint import (
    CheckpointInvalid,
    load_checkpoint,
    load_pairwise,
    save_checkpoint,
)
from inkling_training.models.pairwise import Pairwise
from inkling_training.models.start import (
    Layers,
    from_source,
    from_towers,
    tokens_of,
    with_decoder,
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
PHRASES = ["a dog", "cat", "two red ball", "beach", "a cat on a beach"]


def _towers(folder: Path) -> Pairwise:
    vision = tiny_towers.save_classifier(folder / "vision")
    text = tiny_towers.save_text_model(folder / "text")
    return from_towers(vision, text, Layers((16, 8)), PHRASES)


def _vit(folder: Path) -> Pairwise:
    vision, text = tiny.save_vit(folder / "vision"), tiny_towers.save_text_model(folder / "text")
    layers = Layers((16,), picture_head="mlp", phrase_head="mlp", batch_norm=True)
    return with_decoder(from_towers(vision, text, layers, PHRASES), width=32)


def _clip(folder: Path) -> Pairwise:
    return from_source(tiny.save_clip(folder / "clip"), Layers((16, 4)), PHRASES)


def _siglip(folder: Path) -> Pairwise:
    return from_source(tiny.save_siglip(folder / "siglip"), Layers(), PHRASES)


def _smaller(folder: Path) -> Pairwise:
    return from_source(tiny.save_siglip(folder / "siglip"), Layers((5,)), PHRASES)


@pytest.mark.parametrize("make", [_towers, _vit, _clip, _siglip, _smaller])
def test_what_is_saved_is_what_is_loaded(tmp_path: Path, make: Callable[[Path], Pairwise]) -> None:
    pairwise = make(tmp_path)
    before = pairwise.loaded()
    tokens = tokens_of(pairwise, PHRASES)
    with torch.no_grad():
        wanted = before.vision(PIXELS), before.text(*tokens)
    save_checkpoint(tmp_path / "run" / "model", pairwise)
    for folder in ("vision", "text", "clip", "siglip"):
        if (tmp_path / folder).exists():
            (tmp_path / folder).rename(tmp_path / f"gone-{folder}")
    after = load_checkpoint(tmp_path / "run" / "model")
    with torch.no_grad():
        assert torch.equal(after.vision(PIXELS), wanted[0])
        assert torch.equal(after.text(*tokens), wanted[1])
    torch.testing.assert_close(wanted[0].norm(dim=1), torch.ones(2))
    assert (after.dimension, after.name, after.text_spec) == (
        before.dimension,
        before.name,
        before.text_spec,
    )
    assert after.tokenizer("a dog")["input_ids"] == before.tokenizer("a dog")["input_ids"]
    assert str(tmp_path) not in (tmp_path / "run" / "model" / "pairwise.json").read_text()


def test_an_untrained_dual_encoder_answers_as_transformers_does(tmp_path: Path) -> None:
    name = tiny.save_siglip(tmp_path / "siglip")
    theirs = AutoModel.from_pretrained(name).eval()
    ours = from_source(name, Layers(), PHRASES).loaded()
    tokens = ours.tokenizer(PHRASES, padding="max_length", max_length=16, return_tensors="pt")
    scaled = (PIXELS / 255 - torch.tensor([0.5, 0.4, 0.3])) / torch.tensor([0.2, 0.3, 0.4])
    with torch.no_grad():
        picture = theirs.get_image_features(pixel_values=scaled.permute(0, 3, 1, 2)).pooler_output
        text = theirs.get_text_features(input_ids=tokens["input_ids"]).pooler_output
        ids, mask = tokens["input_ids"], (tokens["input_ids"] != 0).long()
        assert torch.cosine_similarity(ours.vision(PIXELS), picture).min() > 0.99999
        assert torch.cosine_similarity(ours.text(ids, mask), text).min() > 0.99999
    assert ours.logit_bias == pytest.approx(theirs.logit_bias.item())


def test_a_matryoshka_model_loads_at_its_nested_sizes_only(tmp_path: Path) -> None:
    pairwise = _towers(tmp_path)
    save_checkpoint(tmp_path / "model", pairwise)
    whole, small = (load_checkpoint(tmp_path / "model", size) for size in (None, 8))
    assert (whole.dimension, small.dimension) == (16, 8)
    with torch.no_grad():
        prefix = torch.nn.functional.normalize(whole.vision(PIXELS)[:, :8], dim=1)
        torch.testing.assert_close(small.vision(PIXELS), prefix)
    with pytest.raises(ValueError, match="choose one of 16, 8"):
        load_checkpoint(tmp_path / "model", 12)


def test_a_saved_model_replaces_the_one_before(tmp_path: Path) -> None:
    pairwise = _clip(tmp_path)
    save_checkpoint(tmp_path / "model", pairwise)
    with torch.no_grad():
        pairwise.model.similarity.bias.fill_(4.0)
    save_checkpoint(tmp_path / "model", pairwise)
    assert load_checkpoint(tmp_path / "model").logit_bias == 4.0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip", "model"]


def test_a_broken_checkpoint_says_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(CheckpointInvalid, match=r"no pairwise\.json"):
        load_pairwise(tmp_path)
    save_checkpoint(tmp_path / "model", _clip(tmp_path))
    document = json.loads((tmp_path / "model" / "pairwise.json").read_text())
    for changes, message in [
        ({"format": 7}, "format 7: this version reads 1"),
        ({"model": {"picture_tower": {"kind": "?"}}}, "describes no model"),
    ]:
        (tmp_path / "model" / "pairwise.json").write_text(json.dumps(document | changes))
        with pytest.raises(CheckpointInvalid, match=message):
            load_pairwise(tmp_path / "model")
    (tmp_path / "model" / "pairwise.json").write_text(json.dumps(document))
    weights = tmp_path / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:500])
    with pytest.raises(CheckpointInvalid, match="does not fit"):
        load_pairwise(tmp_path / "model")


def test_phrases_keep_apart_from_the_start(tmp_path: Path) -> None:
    smaller = _smaller(tmp_path).loaded()
    whole = _siglip(tmp_path).loaded()
    tokens = tokens_of(_siglip(tmp_path), PHRASES)
    with torch.no_grad():  # five phrases lie in five dimensions
        few, all_ = smaller.text(*tokens), whole.text(*tokens)
    torch.testing.assert_close(few @ few.T, all_ @ all_.T, atol=1e-4, rtol=0)
