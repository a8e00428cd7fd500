"""Models by name or directory: what comes back, and what is refused with which words."""

import json
import math
import sys
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer, BertConfig, BertModel, Siglip2Config, Siglip2Model

from inkling_server.interests.snapshot import load_snapshot, newest_snapshot
from inkling_server.model_manifest import PixelSpec, TextSpec
from inkling_training.data import DEFAULT_GRAPH
from inkling_training.models.hub_dual import FullRowText
from inkling_training.models.loaded import LoadedModel
from inkling_training.models.sources import UnknownModel, load_source
from tests.training.export.tiny_duals import SAVERS, pictures
from tests.training.tiny_towers import SIDE

pytestmark = pytest.mark.training


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    home = tmp_path_factory.mktemp("hub")
    return {kind: save(home / kind) for kind, save in SAVERS.items()}


@pytest.fixture(scope="module")
def models(folders: dict[str, Path]) -> dict[str, LoadedModel]:
    return {kind: load_source(folder) for kind, folder in folders.items()}


@pytest.mark.parametrize(
    ("kind", "image", "text", "dimension", "scale", "bias"),
    [
        ("clip", PixelSpec(SIDE, "crop", 0.5), TextSpec(40, pad_id=61), 16, 14.28, None),
        ("siglip", PixelSpec(SIDE, "squash"), TextSpec(64, pad_id=1), 32, math.exp(4.7), -16.5),
        ("siglip2", PixelSpec(SIDE, "squash"), TextSpec(64, pad_id=0), 32, math.exp(4.7), -16.5),
    ],
)
def test_what_a_directory_says(
    models: dict[str, LoadedModel],
    kind: str,
    image: PixelSpec,
    text: TextSpec,
    dimension: int,
    scale: float,
    bias: float | None,
) -> None:
    model = models[kind]
    assert (model.name, model.source) == (kind, kind)
    assert (model.image, model.text_spec, model.dimension) == (image, text, dimension)
    assert model.logit_scale == pytest.approx(scale, rel=1e-3)
    assert model.logit_bias == bias
    assert not model.vision.training


@pytest.mark.parametrize("kind", sorted(SAVERS))
def test_halves_give_unit_rows_and_share_no_tower(
    models: dict[str, LoadedModel], kind: str
) -> None:
    model = models[kind]
    tokens = model.tokenizer(["dog", "a cat"], padding=True, return_tensors="pt")
    with torch.inference_mode():
        rows = (
            model.vision(torch.from_numpy(pictures(2))),
            model.text(tokens["input_ids"], tokens["attention_mask"]),
        )
    for row_BD in rows:
        assert row_BD.shape == (2, model.dimension)
        assert row_BD.norm(dim=1).tolist() == pytest.approx([1, 1], abs=1e-5)
    seen = {parameter.data_ptr() for parameter in model.vision.parameters()}
    assert seen.isdisjoint(parameter.data_ptr() for parameter in model.text.parameters())


def test_siglips_fast_tokenizer_reads_the_graph_like_its_own(folders: dict[str, Path]) -> None:
    fast = load_source(folders["siglip"]).tokenizer
    slow = AutoTokenizer.from_pretrained(folders["siglip"])
    assert fast.is_fast
    assert not slow.is_fast
    snapshot = load_snapshot(newest_snapshot(DEFAULT_GRAPH))
    for interest in snapshot.interests[::20]:
        text = f"A photo of {interest.phrase}."
        assert fast(text)["input_ids"] == slow(text)["input_ids"]


def test_siglip2_reads_no_capitals(models: dict[str, LoadedModel]) -> None:
    tokenizer = models["siglip2"].tokenizer
    assert tokenizer("DOG")["input_ids"] == tokenizer("dog")["input_ids"]


@pytest.mark.parametrize("left", [False, True])
def test_rows_are_filled_to_the_trained_length(left: bool) -> None:
    text = FullRowText(torch.nn.Module(), length=6, pad_id=9, left=left)
    ids_BL, mask_BL = (
        torch.tensor([[1, 2, 3, 9], [4, 9, 9, 9]]),
        torch.tensor([[1, 1, 1, 0], [1, 0, 0, 0]]),
    )
    wanted = (
        [[9, 9, 9, 1, 2, 3], [9, 9, 9, 9, 9, 4]]
        if left
        else [[1, 2, 3, 9, 9, 9], [4, 9, 9, 9, 9, 9]]
    )
    assert text.full_rows(ids_BL, mask_BL).tolist() == wanted
    longer_BL = torch.arange(8).unsqueeze(0)
    assert text.full_rows(longer_BL, torch.ones_like(longer_BL)).tolist() == [[0, 1, 2, 3, 4, 5]]


def test_first_dimensions_may_be_kept(folders: dict[str, Path]) -> None:
    whole, narrow = load_source(folders["clip"]), load_source(folders["clip"], dimension=8)
    pixels = torch.from_numpy(pictures(2))
    with torch.inference_mode():
        wanted_BD = torch.nn.functional.normalize(whole.vision(pixels)[:, :8], dim=-1)
        assert torch.allclose(narrow.vision(pixels), wanted_BD)
    assert narrow.dimension == 8
    with pytest.raises(ValueError, match="1 to 16 dimensions, not 17"):
        load_source(folders["clip"], dimension=17)


def test_model_without_pictures_is_refused(tmp_path: Path) -> None:
    config = BertConfig(
        vocab_size=9, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8
    )
    BertModel(config).save_pretrained(tmp_path)
    with pytest.raises(UnknownModel, match=r"'bert' model, not a dual encoder"):
        load_source(tmp_path)


def test_naflex_is_refused_with_what_to_take(tmp_path: Path) -> None:
    small = {
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 16,
    }
    config = Siglip2Config(
        text_config=small | {"vocab_size": 60},
        vision_config=small | {"num_patches": 16, "patch_size": 16},
    )
    Siglip2Model(config).save_pretrained(tmp_path)
    with pytest.raises(UnknownModel, match="fixed-resolution"):
        load_source(tmp_path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"size": {"shortest_edge": 64}, "do_center_crop": False}, "keeps each picture's shape"),
        ({"crop_size": {"height": 64, "width": 32}}, "no square"),
        ({"do_resize": False}, "do_resize is false"),
        ({"crop_size": {"height": 32, "width": 32}}, "says pictures of 64 pixels"),
        ({"size": {"shortest_edge": 48}}, "crop_size 64 is more than 48"),
        ({"size": {"height": 80, "width": 80}}, "squashed and then cut"),
    ],
)
def test_pictures_that_cannot_be_prepared_as_in_training_are_refused(
    change: dict[str, object], said: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    for path in folders["clip"].iterdir():
        (tmp_path / path.name).symlink_to(path)
    path = tmp_path / "preprocessor_config.json"
    settings = json.loads(path.read_text(encoding="utf-8")) | change
    path.unlink()
    path.write_text(json.dumps(settings), encoding="utf-8")
    with pytest.raises(UnknownModel, match=said):
        load_source(tmp_path)


def test_open_clip_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "open_clip", None)
    with pytest.raises(ModuleNotFoundError, match="pip install open_clip_torch"):
        load_source("open_clip:ViT-B-32/laion2b_s34b_b79k")
