"""Exported CLIP, SigLIP and SigLIP 2 answer like transformers itself, on its own tensors.

The directories are in the hub's format, with random weights. The reference is `AutoModel` with
transformers' own image processor and tokenizer, called as its documentation says.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModel

from inkling_training.export import write_version
from inkling_training.exported import ExportedModel
from inkling_training.models.sources import load_source
from tests.training.export.by_transformers import (
    images_by_transformers,
    texts_by_transformers,
    unit,
)
from tests.training.export.tiny_duals import PHRASES, SAVERS, pictures

pytestmark = pytest.mark.training

PARITY = 0.9999


@pytest.fixture(scope="module", params=sorted(SAVERS))
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return SAVERS[request.param](tmp_path_factory.mktemp("hub") / request.param)


@pytest.fixture(scope="module")
def exported(folder: Path) -> ExportedModel:
    model = load_source(folder, template="a photo of {}")
    out = folder.parent / "models"
    write_version(model, out, texts=tuple(PHRASES), precision="fp16")
    return ExportedModel(out)


def test_pictures(folder: Path, exported: ExportedModel) -> None:
    pixels_BHWC = pictures(5)
    wanted_BD = images_by_transformers(folder, pixels_BHWC)
    assert np.sum(exported.encode_pixels(pixels_BHWC) * wanted_BD, axis=1).min() >= PARITY
    assert np.sum(wanted_BD[0] * wanted_BD[1:], axis=1).max() < PARITY  # or it says nothing


def test_phrases(folder: Path, exported: ExportedModel) -> None:
    wanted_BD = texts_by_transformers(folder, [f"a photo of {phrase}" for phrase in PHRASES])
    found_BD = exported.encode_texts(PHRASES)
    assert np.sum(found_BD * wanted_BD, axis=1).min() >= PARITY
    assert np.sum(wanted_BD[0] * wanted_BD[1:], axis=1).max() < PARITY


def test_phrases_longer_than_the_model(folder: Path, exported: ExportedModel) -> None:
    text = "dog cat ball " * 60
    longest = exported.manifest.text.max_tokens
    tokenizer = load_source(folder).tokenizer
    cut = tokenizer(f"a photo of {text}", truncation=True, max_length=longest)["input_ids"]
    assert len(cut) == longest
    with torch.inference_mode():
        model = AutoModel.from_pretrained(folder).eval()
        wanted = unit(model.get_text_features(input_ids=torch.tensor([cut])).pooler_output)
    assert np.sum(exported.encode_texts([text]) * wanted, axis=1).min() >= PARITY


def test_batches_do_not_change_answers(folder: Path, exported: ExportedModel) -> None:
    pixels_BHWC = pictures(3)
    together_BD = exported.encode_pixels(pixels_BHWC)
    alone_BD = np.concatenate([exported.encode_pixels(row[None]) for row in pixels_BHWC])
    assert together_BD == pytest.approx(alone_BD, abs=1e-5)
    alone_BD = np.concatenate([exported.encode_texts([phrase]) for phrase in PHRASES])
    assert exported.encode_texts(PHRASES) == pytest.approx(alone_BD, abs=1e-5)
