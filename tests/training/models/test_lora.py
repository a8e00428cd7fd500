"""What learns, and adapters that leave no trace in a saved model."""

from pathlib import Path

import pytest
import torch

from inkling_training.models.checkpoint import load_pairwise, save_checkpoint
from inkling_training.models.lora import Tuning, blocks_of, merged, prepare
from inkling_training.models.pairwise import Pairwise
from inkling_training.models.start import Layers, from_source, from_towers, tokens_of
from tests.training import tiny_towers
from tests.training.models import tiny

pytestmark = [
    pytest.mark.training,
    pytest.mark.filterwarnings("ignore::FutureWarning:transformers", "ignore::DeprecationWarning"),
]
PHRASES = ["a dog", "cat", "two red ball", "beach", "a cat on a beach"]
PIXELS = torch.randint(
    0, 256, (2, 64, 64, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
)


def _vit(folder: Path) -> Pairwise:
    vision, text = tiny.save_vit(folder / "vision"), tiny_towers.save_text_model(folder / "text")
    return from_towers(vision, text, Layers((16,)), PHRASES)


def _learning(pairwise: Pairwise) -> set[str]:
    return {name for name, value in pairwise.model.named_parameters() if value.requires_grad}


@pytest.mark.parametrize("text", ["full", "heads", "partial:2", "lora:8"])
def test_tunings_are_read(text: str) -> None:
    tuning = Tuning.parsed(text)
    assert text == tuning.kind + (f":{tuning.amount}" if tuning.amount else "")


@pytest.mark.parametrize("text", ["", "partial", "lora:0", "full:1", "heads "])
def test_other_tunings_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="full, partial:N, lora:R or heads"):
        Tuning.parsed(text)


def test_full_and_heads_are_all_and_the_similarity_layers(tmp_path: Path) -> None:
    pairwise = _vit(tmp_path)
    prepare(pairwise.model, Tuning("full"))
    assert len(_learning(pairwise)) == len(list(pairwise.model.parameters()))
    prepare(pairwise.model, Tuning("heads"))
    assert {name.split(".")[0] for name in _learning(pairwise)} == {"similarity"}


def test_partial_is_the_last_blocks_and_what_follows(tmp_path: Path) -> None:
    pairwise = _vit(tmp_path)
    name, blocks = blocks_of(pairwise.model.pictures.backbone)
    assert len(blocks) == 3
    prepare(pairwise.model, Tuning("partial", 2))
    learning = {
        one.removeprefix("pictures.backbone.")
        for one in _learning(pairwise)
        if one.startswith("pictures.")
    }
    assert {one.removeprefix(name)[:3] for one in learning if one.startswith(name)} == {
        ".1.",
        ".2.",
    }
    assert "layernorm.weight" in learning
    assert not any("embeddings" in one for one in learning)
    with pytest.raises(ValueError, match="ViTModel has only 3 blocks"):
        prepare(pairwise.model, Tuning("partial", 9))


def test_a_dual_encoders_own_projections_are_its_heads(tmp_path: Path) -> None:
    pairwise = from_source(tiny.save_clip(tmp_path), Layers(), PHRASES)
    prepare(pairwise.model, Tuning("heads"))
    learning = _learning(pairwise)
    assert any("visual_projection" in one for one in learning)
    assert any("text_projection" in one for one in learning)
    assert not any(".layers." in one or "embeddings" in one for one in learning)


@pytest.mark.parametrize("kind", ["vit", "siglip"])
def test_adapters_start_as_nothing_learn_and_merge_away(tmp_path: Path, kind: str) -> None:
    if kind == "vit":
        pairwise = _vit(tmp_path)
    else:
        pairwise = from_source(tiny.save_siglip(tmp_path / "siglip"), Layers(), PHRASES)
    model = pairwise.model.eval()
    names = set(model.state_dict())
    tokens = tokens_of(pairwise, PHRASES)
    before = model.embed_pictures(PIXELS), model.embed_phrases(*tokens)
    prepare(model, Tuning("lora", 2))
    model.eval()
    torch.testing.assert_close(model.embed_pictures(PIXELS), before[0])
    towers = [one for one in _learning(pairwise) if ".backbone." in one]
    assert any("lora_" in one for one in towers)
    if kind != "siglip":
        assert all("lora_" in one for one in towers)
    with torch.no_grad():
        for name, value in model.named_parameters():
            if "lora_B" in name:
                value.normal_(std=0.3)
    learnt = model.embed_pictures(PIXELS), model.embed_phrases(*tokens)
    assert not torch.allclose(learnt[0], before[0], atol=1e-3)
    assert not torch.allclose(learnt[1], before[1], atol=1e-3)
    plain = merged(model)
    assert set(plain.state_dict()) == names
    torch.testing.assert_close(plain.embed_pictures(PIXELS), learnt[0], atol=1e-4, rtol=0)
    torch.testing.assert_close(plain.embed_phrases(*tokens), learnt[1], atol=1e-4, rtol=0)
    assert set(model.state_dict()) != names  # the model in training keeps its adapters


def test_adapters_of_pointwise_convolutions_merge_too(tmp_path: Path) -> None:
    vision = tiny_towers.save_classifier(tmp_path / "vision")
    text = tiny_towers.save_text_model(tmp_path / "text")
    model = from_towers(vision, text, Layers((16,)), PHRASES).model
    for name, value in model.pictures.state_dict().items():
        if "running_var" in name:  # random weights of this depth leave nothing of a picture
            value.fill_(5e-3)
    # Doubles: random weights of this depth blow a rounding error up.
    tower = model.pictures.double().eval()
    before = tower(PIXELS).pooled_BC
    prepare(model, Tuning("lora", 2))
    tower.double()
    torch.testing.assert_close(tower(PIXELS).pooled_BC, before)
    with torch.no_grad():
        for name, value in tower.named_parameters():
            if "lora_B" in name:
                value.normal_(std=0.05)
    learnt = tower(PIXELS).pooled_BC
    assert not torch.allclose(learnt, before, atol=1e-3)
    torch.testing.assert_close(merged(model).pictures(PIXELS).pooled_BC, learnt)


def test_a_merged_model_is_saved_as_plain_weights(tmp_path: Path) -> None:
    pairwise = _vit(tmp_path)
    prepare(pairwise.model, Tuning("lora", 2))
    plain = Pairwise(
        merged(pairwise.model), pairwise.tokenizer, pairwise.image, pairwise.text, "tuned"
    )
    save_checkpoint(tmp_path / "model", plain)
    again = load_pairwise(tmp_path / "model")
    plain.model.eval()
    with torch.no_grad():
        assert torch.equal(again.model.embed_pictures(PIXELS), plain.model.embed_pictures(PIXELS))
