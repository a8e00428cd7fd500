"""What `inkling-train` wrote is exported like any other model, in each of its nested sizes."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from inkling_server.model_manifest import load_manifest
from inkling_training.export.__main__ import main
from inkling_training.exported import ExportedModel
from inkling_training.models.checkpoint import save_checkpoint
from inkling_training.models.pairwise import Pairwise
from inkling_training.models.sources import load_source
from inkling_training.models.start import Layers, from_source, from_towers
from tests.training import tiny_towers
from tests.training.export.tiny_duals import PHRASES, pictures, save_whole_clip

pytestmark = [
    pytest.mark.training,
    pytest.mark.filterwarnings("ignore::FutureWarning:transformers", "ignore::DeprecationWarning"),
]


def two_towers(folder: Path) -> Pairwise:
    vision = tiny_towers.save_classifier(folder / "vision")
    text = tiny_towers.save_text_model(folder / "text")
    return from_towers(vision, text, Layers((16, 8)), PHRASES)


def clip(folder: Path) -> Pairwise:
    return from_source(str(save_whole_clip(folder / "clip")), Layers((16, 8)), PHRASES)


@pytest.mark.parametrize("make", [two_towers, clip])
@pytest.mark.parametrize("target", ["onnxruntime", "openvino"])
def test_checkpoint_answers_like_the_trained_model(
    make: Callable[[Path], Pairwise], target: str, tmp_path: Path
) -> None:
    save_checkpoint(tmp_path / "run" / "model", make(tmp_path))
    out = tmp_path / "models"
    command = ["--from", str(tmp_path / "run" / "model"), "--out", str(out), "--dimension", "8"]
    main([*command, "--target", target, "--name", "mine"])
    trained, exported = load_source(tmp_path / "run" / "model", dimension=8), ExportedModel(out)
    assert (load_manifest(out).name, load_manifest(out).dimension) == ("mine", 8)
    pixels_BHWC = pictures(3, side=trained.image.size)
    with torch.inference_mode():
        wanted_BD = trained.vision(torch.from_numpy(pixels_BHWC)).numpy()
    assert np.sum(exported.encode_pixels(pixels_BHWC) * wanted_BD, axis=1).min() >= 0.9999
