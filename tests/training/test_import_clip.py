"""A CLIP in the hub's format becomes a model repository that the server's own code can read."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer, CLIPModel

from inkling_server.model_manifest import PixelSpec, load_manifest
from inkling_training import import_clip
from inkling_training.exported import ExportedModel
from tests.training.tiny_towers import SIDE, save_clip

pytestmark = pytest.mark.training

MEAN, STD = [0.48, 0.46, 0.41], [0.27, 0.26, 0.28]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hub") / "tiny-clip"
    save_clip(folder)
    processor = {
        "image_processor_type": "CLIPImageProcessor",
        "size": {"shortest_edge": SIDE * 2},
        "crop_size": {"height": SIDE, "width": SIDE},
        "image_mean": MEAN,
        "image_std": STD,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(processor), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def repository(clip: Path) -> Path:
    out = clip.parent / "models"
    import_clip.main(["--from", str(clip), "--out", str(out)])
    return out


def test_manifest_carries_the_models_own_pixels_and_words(repository: Path) -> None:
    manifest = load_manifest(repository)
    assert (manifest.name, manifest.dimension) == ("tiny-clip", 16)
    assert manifest.image == PixelSpec(SIDE, "crop", 0.5)
    assert manifest.text.template == "a photo of {}"


def test_pictures_come_out_as_clip_itself_sees_them(clip: Path, repository: Path) -> None:
    model = CLIPModel.from_pretrained(clip).eval()  # type: ignore[no-untyped-call]
    pixels_BHWC = np.random.default_rng(1).integers(0, 256, (3, SIDE, SIDE, 3), dtype=np.uint8)
    scaled = (torch.from_numpy(pixels_BHWC).float() / 255 - torch.tensor(MEAN)) / torch.tensor(STD)
    with torch.inference_mode():
        pooled = model.vision_model(pixel_values=scaled.permute(0, 3, 1, 2)).pooler_output
        wanted_BD = model.visual_projection(pooled)
        wanted_BD /= wanted_BD.norm(dim=-1, keepdim=True)
    found_BD = ExportedModel(repository).encode_pixels(pixels_BHWC)
    assert np.sum(found_BD * wanted_BD.numpy(), axis=1).min() > 0.999


def test_phrases_come_out_as_clip_itself_reads_them(clip: Path, repository: Path) -> None:
    model = CLIPModel.from_pretrained(clip).eval()  # type: ignore[no-untyped-call]
    tokenizer = AutoTokenizer.from_pretrained(clip)
    phrases = ["dog", "two red ball on a beach"]
    tokens = tokenizer([f"a photo of {p}" for p in phrases], padding=True, return_tensors="pt")
    with torch.inference_mode():
        pooled = model.text_model(
            input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"]
        ).pooler_output
        wanted_BD = model.text_projection(pooled)
        wanted_BD /= wanted_BD.norm(dim=-1, keepdim=True)
    found_BD = ExportedModel(repository).encode_texts(phrases)
    assert np.sum(found_BD * wanted_BD.numpy(), axis=1).min() > 0.999


@pytest.mark.parametrize("encoder", ["vision_encoder", "text_encoder"])
def test_triton_configs_have_the_models_sizes(repository: Path, encoder: str) -> None:
    for name in ("config.pbtxt", "configs/onnxruntime.pbtxt"):
        text = (repository / encoder / name).read_text(encoding="utf-8")
        assert "dims: [ 16 ]" in text
        assert "256 ]" not in text
        assert "224" not in text
    assert (repository / encoder / "1" / "model.py").is_file()


def test_server_refuses_a_model_without_calibration(repository: Path, tmp_path: Path) -> None:
    from inkling_server.model_manifest import load_calibration

    copy = tmp_path / "models"
    shutil.copytree(repository, copy)
    with pytest.raises(FileNotFoundError, match=r"calibration\.json"):
        load_calibration(copy)
