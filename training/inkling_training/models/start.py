"""Where training starts: a dual encoder, a checkpoint of ours, or any two towers.

    one name                 -> its own towers and projections (CLIP, SigLIP, pairwise.json)
    a vision and a text name -> two towers, and similarity layers that begin with what is known:
                                phrases at their principal components, pictures at their
                                classifier's labels where there is a classifier

This module does not train, and knows no data but phrases.

Legend: N phrases, C channels, D dimensions, K labels.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoTokenizer

from inkling_server.model_manifest import TextSpec
from inkling_training.models.captions import CaptionDecoder, DecoderSpec, OpenClipDecoder
from inkling_training.models.checkpoint import DOCUMENT, load_pairwise
from inkling_training.models.dual_towers import (
    DualPhraseTower,
    DualPictureTower,
    OpenClipPhraseTower,
    OpenClipPictureTower,
)
from inkling_training.models.hub_dual import HubText, HubVision
from inkling_training.models.loaded import LoadedModel
from inkling_training.models.pairwise import (
    AnyPhraseTower,
    AnyPictureTower,
    Pairwise,
    PairwiseModel,
)
from inkling_training.models.preprocessing import Normalisation
from inkling_training.models.similarity import HeadKind, HeadSpec, Similarity
from inkling_training.models.towers import (
    PictureTower,
    Pooling,
    load_phrase_tower,
    load_picture_tower,
)
from inkling_training.text_start import label_texts, start_at_principal_components
from inkling_training.vision_tower import load_vision_tower

BACKGROUND = "background"
_MOST_PHRASES = 4096  # more change the principal axes by nothing that matters


@dataclass(frozen=True, slots=True)
class Layers:
    """What the similarity layers shall be.

    Attributes:
        dimensions: nested sizes, the greatest of them D; empty keeps a dual encoder's own D, and
            means 256 for two towers.
        picture_head: "auto" is "conse" where the vision model has a classifier, else "linear"; a
            dual encoder keeps its own projection whatever this says, unless D changes.
        phrase_head: "linear" or "mlp".
        batch_norm: see `HeadSpec`.
        scale, bias: first values; None takes the source's own, else 1 / 0.07 and 0.
    """

    dimensions: tuple[int, ...] = ()
    picture_head: Literal["auto", "linear", "mlp", "conse"] = "auto"
    phrase_head: Literal["linear", "mlp"] = "linear"
    batch_norm: bool = False
    scale: float | None = None
    bias: float | None = None


def from_source(source: str, layers: Layers, phrases: Sequence[str]) -> Pairwise:
    """A dual encoder by hub name, directory or `open_clip:` name, or a checkpoint of ours.

    Args:
        source: see `models.sources.load_source`.
        layers: a checkpoint of ours keeps the ones it has.
        phrases: what a smaller D shall keep apart.

    Raises:
        ValueError: the model cannot be trained here, or not with such layers; the text says why.
    """
    if (Path(source) / DOCUMENT).is_file():
        pairwise = load_pairwise(Path(source))
        had = pairwise.model.similarity.dimensions
        if layers.dimensions and tuple(sorted(layers.dimensions, reverse=True)) != had:
            raise ValueError(
                f"{source} has the nested sizes {had}: they cannot become {layers.dimensions}"
            )
        return pairwise
    from inkling_training.models.sources import load_source

    loaded = load_source(source)
    pictures, phrase_tower = _dual_towers(loaded)
    dimension = max(layers.dimensions, default=loaded.dimension)
    if dimension > loaded.dimension:
        raise ValueError(f"{source} has {loaded.dimension} dimensions: it cannot give {dimension}")
    kind: HeadKind = "identity" if dimension == loaded.dimension else "linear"
    head = HeadSpec(kind, loaded.dimension, dimension, batch_norm=layers.batch_norm, bias=False)
    similarity = _similarity(layers, head, head, loaded.logit_scale, loaded.logit_bias)
    pairwise = Pairwise(
        PairwiseModel(pictures, phrase_tower, similarity),
        loaded.tokenizer,
        loaded.image,
        loaded.text_spec,
        loaded.name,
        loaded.source,
    )
    if kind == "linear":
        _share_principal_axes(similarity, pooled(pairwise, phrases))
    return pairwise


def from_towers(
    vision: str,
    text: str,
    layers: Layers,
    phrases: Sequence[str],
    *,
    picture_pooling: Pooling = "auto",
    phrase_pooling: Pooling = "auto",
    max_tokens: int = 32,
) -> Pairwise:
    """Two towers by hub name or directory.

    Args:
        vision: a vision model, with or without a classifier, or a CLIP-like model's vision half.
        text: a text model, or a CLIP-like model's text half, with its tokenizer.
        layers: the similarity layers.
        phrases: what the phrase head shall keep apart from the start.
        picture_pooling: see `models.towers`.
        phrase_pooling: likewise.
        max_tokens: longer texts are cut.

    Raises:
        ValueError: "conse" for a vision model without a classifier, or a pooling it does not have.
    """
    dimension = max(layers.dimensions, default=256)
    config: Any = AutoConfig.from_pretrained(vision)
    labelled = (getattr(config, "architectures", None) or [""])[0].endswith(
        "ForImageClassification"
    )
    kind = layers.picture_head
    if kind == "auto":
        kind = "conse" if labelled else "linear"
    if kind == "conse" and not labelled:
        raise ValueError(
            f"{vision} has no classifier: a conse head needs one; choose linear or mlp"
        )
    tower, image = load_picture_tower(vision, picture_pooling)
    classifier, classes = None, list[str]()
    if kind == "conse":
        known = load_vision_tower(vision)
        classifier, classes = known.classifier, known.classes
        assert classifier is not None
        pixels = Normalisation(tuple(tower.mean_C.tolist()), tuple(tower.std_C.tolist()))
        tower = PictureTower(known.backbone, pixels, image.size, tower.pooling)
    phrase_tower = load_phrase_tower(text, phrase_pooling)
    tokenizer = AutoTokenizer.from_pretrained(text)
    picture_spec = HeadSpec(
        kind, tower.width, dimension, batch_norm=layers.batch_norm, classes=len(classes)
    )
    phrase_spec = HeadSpec(
        layers.phrase_head, phrase_tower.width, dimension, batch_norm=layers.batch_norm
    )
    similarity = _similarity(layers, picture_spec, phrase_spec, None, None)
    pad_id = 0 if tokenizer.pad_token_id is None else int(tokenizer.pad_token_id)
    pairwise = Pairwise(
        PairwiseModel(tower, phrase_tower, similarity),
        tokenizer,
        image,
        TextSpec(max_tokens, "{}", pad_id),
        f"{Path(vision).name}-{Path(text).name}",
        f"{Path(vision).name} + {Path(text).name}",
    )
    projection = similarity.phrase_head.projection
    if isinstance(projection, nn.Linear):
        named = [*phrases[:_MOST_PHRASES], *label_texts(classes)]
        start_at_principal_components(projection, pooled(pairwise, named))
    if classifier is not None:
        pairwise.model.eval()
        with torch.no_grad():
            labels_KD = similarity.phrase_head(pooled(pairwise, label_texts(classes)))
        labels_KD[[name == BACKGROUND for name in classes]] = 0
        similarity.picture_head.start_from_labels(classifier, labels_KD)
    return pairwise


def with_decoder(pairwise: Pairwise, width: int = 256, layers: int = 2) -> Pairwise:
    """The same with a caption decoder: open_clip CoCa's own, else a new small one."""
    model = pairwise.model
    if model.decoder is not None:
        return pairwise
    pictures = model.pictures
    backbone: Any = pictures.backbone
    if isinstance(pictures, OpenClipPictureTower) and hasattr(backbone.model, "text_decoder"):
        model.decoder = OpenClipDecoder(backbone.model)
    else:
        features = pictures.region_width
        spec = DecoderSpec(len(pairwise.tokenizer), features, width=width, layers=layers)
        model.decoder = CaptionDecoder(spec)
    return replace(pairwise, model=model)


def tokens_of(pairwise: Pairwise, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Token numbers and mask, int64 [N, L], padded on the right; templates are the caller's."""
    told = pairwise.tokenizer(
        list(texts),
        padding=True,
        padding_side="right",
        truncation=True,
        max_length=pairwise.text.max_tokens,
        return_tensors="pt",
        return_attention_mask=True,
        return_token_type_ids=False,
    )
    return told["input_ids"], told["attention_mask"]


@torch.no_grad()
def pooled(pairwise: Pairwise, texts: Sequence[str], batch: int = 256) -> Tensor:
    """The phrase tower's states [N, C] of many texts, short ones together; eval mode."""
    tower = pairwise.model.phrases.eval()
    states_NC = torch.empty(len(texts), tower.width)
    order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
    for start in range(0, len(order), batch):
        rows = order[start : start + batch]
        wrapped = [pairwise.text.template.format(texts[row]) for row in rows]
        states_NC[rows] = tower(*tokens_of(pairwise, wrapped))
    return states_NC


def _dual_towers(loaded: LoadedModel) -> tuple[AnyPictureTower, AnyPhraseTower]:
    side = loaded.image.size
    if isinstance(loaded.vision, HubVision) and isinstance(loaded.text, HubText):
        return DualPictureTower(loaded.vision, side), DualPhraseTower(loaded.text)
    kind, _, name = loaded.source.partition(":")
    if kind == "open_clip":
        name = name.split("/")[0]
        return (
            OpenClipPictureTower(loaded.vision, name, side),
            OpenClipPhraseTower(loaded.text, name),
        )
    raise ValueError(
        f"{loaded.name}: {type(loaded.vision).__name__} cannot be trained here; dual encoders of "
        "the hub, open_clip models and checkpoints with pairwise.json can"
    )


def _similarity(
    layers: Layers,
    picture: HeadSpec,
    phrase: HeadSpec,
    scale: float | None,
    bias: float | None,
) -> Similarity:
    return Similarity(
        picture,
        phrase,
        layers.dimensions,
        layers.scale or scale or 1 / 0.07,
        next((one for one in (layers.bias, bias) if one is not None), 0.0),
    )


@torch.no_grad()
def _share_principal_axes(similarity: Similarity, states_NC: Tensor) -> None:
    """Both projections onto the phrases' strongest axes: cosines across the towers survive."""
    _, _, axes = torch.linalg.svd(states_NC[:_MOST_PHRASES].double(), full_matrices=False)
    for head in (similarity.phrase_head, similarity.picture_head.head):
        projection = cast(nn.Linear, head.projection)
        kept = axes[: projection.out_features]
        projection.weight[: len(kept)].copy_(kept)
