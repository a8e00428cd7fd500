"""Finds a pairwise model by name: the hub, a directory, open_clip, or a checkpoint of ours.

    "openai/clip-vit-base-patch32"     hub name            CLIP, SigLIP, any CLIP-like dual encoder
    "models/my-siglip"                 directory           the same, from files
    "runs/7/model"                     has pairwise.json   what `inkling-train` wrote
    "open_clip:ViT-B-32/laion2b_e16"   open_clip           by its model and pretrained tag

`open_clip` models were not yet run: the package needs torchvision, which the machines that test
this repository lack. This module does not know export or training.
"""

import math
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoConfig, AutoModel, AutoTokenizer
from transformers.image_processing_base import ImageProcessingMixin

from inkling_server.model_manifest import TextSpec
from inkling_training.models.hub_dual import FullRowText, HubText, HubVision
from inkling_training.models.loaded import LoadedModel
from inkling_training.models.narrowed import narrowed
from inkling_training.models.preprocessing import normalisation, pixel_spec
from inkling_training.models.siglip_tokens import load_siglip_tokenizer

_OPEN_CLIP = "open_clip:"
_MOST_TOKENS = 512


class UnknownModel(ValueError):
    """A name or directory that holds no pairwise model; the text says what is wrong and allowed."""


def load_source(
    source: str | Path, *, template: str = "{}", dimension: int | None = None
) -> LoadedModel:
    """Loads a pairwise model, in eval mode, float32, on the CPU.

    Args:
        source: hub name, directory, or `open_clip:<model>[/<pretrained>]`.
        template: wraps each phrase before it is tokenised; a checkpoint of ours has its own.
        dimension: keep the first so many of an embedding; a checkpoint of ours allows those that it
            was trained for, other models any.

    Raises:
        UnknownModel: it is no dual encoder, or one that cannot be served; the text says why.
        ValueError: a checkpoint is damaged, or there are no such dimensions.
        OSError: the hub or directory has no such files.
    """
    name = str(source)
    if name.startswith(_OPEN_CLIP):
        from inkling_training.models.open_clip_source import load_open_clip

        model = load_open_clip(name.removeprefix(_OPEN_CLIP), template=template)
        return narrowed(model, dimension or model.dimension)
    if (Path(name) / "pairwise.json").is_file():
        from inkling_training.models.checkpoint import load_checkpoint

        return load_checkpoint(Path(name), dimension)
    model = _from_hub(name, template)
    return narrowed(model, dimension or model.dimension)


def _from_hub(source: str, template: str) -> LoadedModel:
    try:
        config = AutoConfig.from_pretrained(source)
    except ValueError as error:
        raise UnknownModel(f"{source}: {error}") from error
    kind = config.model_type
    if kind == "siglip2":
        raise UnknownModel(
            f"{source} is a NaFlex SigLIP 2: its pictures come in any number of patches, and the "
            "encoder takes squares of one size. Take a fixed-resolution checkpoint, such as "
            "google/siglip2-base-patch16-224"
        )
    model = AutoModel.from_pretrained(source, dtype="float32").eval()
    if not (hasattr(model, "get_image_features") and hasattr(model, "get_text_features")):
        raise UnknownModel(
            f"{source} is a {kind!r} model, not a dual encoder of pictures and texts; CLIP, "
            "SigLIP, SigLIP 2 and others with get_image_features and get_text_features can be used"
        )
    try:
        # The settings alone: the processor itself would want torchvision.
        processor, _ = ImageProcessingMixin.get_image_processor_dict(source)
        image = pixel_spec(processor)
    except ValueError as error:
        raise UnknownModel(f"{source}: {error}") from error
    trained = getattr(getattr(config, "vision_config", None), "image_size", image.size)
    if trained != image.size:
        raise UnknownModel(
            f"{source}: config.json says pictures of {trained} pixels a side, "
            f"preprocessor_config.json {image.size}"
        )
    vision = HubVision(model, normalisation(processor)).eval()
    text, tokenizer, spec = _text_half(source, model, config, template)
    scale, bias = (_number(model, name) for name in ("logit_scale", "logit_bias"))
    return LoadedModel(
        name=Path(source).name,
        vision=vision,
        text=text.eval(),
        tokenizer=tokenizer,
        image=image,
        text_spec=spec,
        dimension=_dimension(source, vision, image.size),
        # Stored as its logarithm, so that it stays positive in training.
        logit_scale=None if scale is None else math.exp(scale),
        logit_bias=bias,
        source=source if not Path(source).exists() else Path(source).name,
    )


def _text_half(
    source: str, model: nn.Module, config: Any, template: str
) -> tuple[HubText, Any, TextSpec]:
    positions = int(getattr(config.text_config, "max_position_embeddings", _MOST_TOKENS))
    if config.model_type == "siglip":
        tokenizer = load_siglip_tokenizer(source)
        pad_id = int(tokenizer.pad_token_id)
        text = FullRowText(model, positions, pad_id, left=tokenizer.padding_side == "left")
        return text, tokenizer, TextSpec(positions, template, pad_id)
    tokenizer = AutoTokenizer.from_pretrained(source)
    longest = min(positions, int(min(tokenizer.model_max_length, _MOST_TOKENS)))
    pad_id = 0 if tokenizer.pad_token_id is None else int(tokenizer.pad_token_id)
    return HubText(model), tokenizer, TextSpec(longest, template, pad_id)


def _dimension(source: str, vision: nn.Module, side: int) -> int:
    """D, by asking: configs name it in many ways."""
    with torch.inference_mode():
        try:
            embedding_1D = vision(torch.zeros(1, side, side, 3, dtype=torch.uint8))
        except (AttributeError, TypeError, ValueError, RuntimeError) as error:
            raise UnknownModel(
                f"{source} does not encode one square picture of {side} pixels: {error}"
            ) from error
    if embedding_1D.ndim != 2:
        raise UnknownModel(
            f"{source} gives features of shape {list(embedding_1D.shape)}, not [B, D]"
        )
    return int(embedding_1D.shape[1])


def _number(model: nn.Module, name: str) -> float | None:
    value = getattr(model, name, None)
    return None if value is None else float(value.detach().reshape(-1)[0])
