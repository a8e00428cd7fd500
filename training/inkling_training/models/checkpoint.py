"""A pairwise model as one directory that needs no other.

    MODEL/pairwise.json       what the towers and layers are, how pictures and phrases are prepared
    MODEL/model.safetensors   all weights
    MODEL/tokenizer.json ...  the tokenizer in Hugging Face's format

The directory is written beside its final place and renamed: whoever looks sees the old model or the
new one, never half of each. Knows no training state: see `fit.checkpoints` for that.
"""

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_model, save_model
from transformers import AutoTokenizer

from inkling_server.model_manifest import PixelSpec, TextSpec
from inkling_training.models.loaded import LoadedModel
from inkling_training.models.pairwise import Pairwise, PairwiseModel

DOCUMENT, WEIGHTS = "pairwise.json", "model.safetensors"
_FORMAT = 1


class CheckpointInvalid(ValueError):
    """A directory that does not hold a whole pairwise model; the text says what is wrong."""


def save_checkpoint(folder: Path, pairwise: Pairwise) -> None:
    """Writes the model, replacing one that lies there. Adapters must be merged before (`lora`)."""
    draft, old = folder.with_name(f".{folder.name}.draft"), folder.with_name(f".{folder.name}.old")
    for left in (draft, old):
        shutil.rmtree(left, ignore_errors=True)
    draft.mkdir(parents=True)
    similarity = pairwise.model.similarity
    document = {
        "format": _FORMAT,
        "name": pairwise.name,
        "source": pairwise.source,
        "image": asdict(pairwise.image),
        "text": asdict(pairwise.text),
        "model": pairwise.model.document(),
        "logit_scale": float(similarity.scale().detach()),
        "logit_bias": float(similarity.bias.detach()),
    }
    (draft / DOCUMENT).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    save_model(pairwise.model, str(draft / WEIGHTS))
    pairwise.tokenizer.save_pretrained(draft)
    if folder.exists():
        folder.rename(old)
    draft.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def load_pairwise(folder: Path) -> Pairwise:
    """Reads what `save_checkpoint` wrote, to train it further.

    Raises:
        CheckpointInvalid: a file is missing, damaged, or of a format that this version cannot read.
    """
    document = _document(folder)
    try:
        model = PairwiseModel.built(document["model"])
        image, text = PixelSpec(**document["image"]), TextSpec(**document["text"])
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointInvalid(f"{folder / DOCUMENT} describes no model: {error!r}") from error
    try:
        load_model(model, str(folder / WEIGHTS), strict=True)
    except (OSError, RuntimeError, SafetensorError) as error:
        raise CheckpointInvalid(f"{folder / WEIGHTS} does not fit {DOCUMENT}: {error}") from error
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model.eval()
    return Pairwise(model, tokenizer, image, text, document["name"], document["source"])


def load_checkpoint(folder: Path, dimension: int | None = None) -> LoadedModel:
    """Reads what `save_checkpoint` wrote, to use it.

    Args:
        folder: what `save_checkpoint` was given.
        dimension: one of the nested sizes of a Matryoshka model; default: the whole.

    Raises:
        CheckpointInvalid: see `load_pairwise`.
        ValueError: a dimension that the model was not trained for; the text lists those it was.
    """
    return load_pairwise(Path(folder)).loaded(dimension)


def _document(folder: Path) -> dict[str, Any]:
    path = folder / DOCUMENT
    try:
        document: Any = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CheckpointInvalid(f"{folder} holds no {DOCUMENT}: not a checkpoint") from error
    except json.JSONDecodeError as error:
        raise CheckpointInvalid(f"{path} is not JSON: {error}") from error
    told = document.get("format") if isinstance(document, dict) else None
    if told != _FORMAT:
        raise CheckpointInvalid(f"{path} has format {told!r}: this version reads {_FORMAT}")
    described: dict[str, Any] = document
    return described
