"""Pixels and texts to features: any single Hugging Face model, by hub name or directory.

    uint8 pixels [B, H, W, 3] -> normalised -> backbone -> pooled [B, C] and regions [B, P, C]
    input_ids, attention_mask [B, L]        -> backbone -> pooled [B, C]

Regions are patches of a transformer, or overlapping windows of a convolutional feature map: what a
head or a caption decoder may look at besides the whole. A tower writes itself down as a JSON
document and is built again from it, so that a checkpoint needs no other directory. Towers know
neither embeddings nor each other: `similarity` brings them together.

Legend: B rows, H x W pixels, L tokens, P regions, C channels.
"""

import logging
from abc import ABC, abstractmethod
from typing import Any, Literal, NamedTuple, Self, cast

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from transformers import AutoConfig, AutoModel
from transformers.image_processing_base import ImageProcessingMixin

from inkling_server.model_manifest import PixelSpec
from inkling_training.models.preprocessing import Normalisation, normalisation, pixel_spec
from inkling_training.vision_tower import pool_regions

Pooling = Literal["auto", "mean", "cls", "pooler", "eos"]
PICTURE_POOLINGS = ("auto", "mean", "cls", "pooler")
PHRASE_POOLINGS = ("auto", "mean", "cls", "pooler", "eos")
# Families whose own pooled output was trained; elsewhere a "pooler" may be random.
_POOLED = ("clip", "siglip", "dinov2", "dinov3")
_CLS = ("vit", "deit", "beit", "data2vec", "ijepa", "hiera")
_UNKNOWN_PIXELS: dict[str, Any] = {"size": {"height": 224, "width": 224}}


class PictureFeatures(NamedTuple):
    """What a picture tower sees: the whole [B, C] and its regions [B, P, C'], P may be 0."""

    pooled_BC: Tensor
    regions_BPC: Tensor


class Tower(nn.Module, ABC):
    """A backbone whose batch norms never learn statistics, and which sleeps while it is frozen.

    Batch norms stay in eval mode for ever: the statistics of a small batch are worse than those of
    pretraining, and folded ones have none. A backbone without a trainable parameter stays in eval
    mode altogether, so that its dropout does not blur what the heads learn from.
    """

    backbone: nn.Module

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        if mode:
            if not any(parameter.requires_grad for parameter in self.backbone.parameters()):
                self.backbone.eval()
            for module in self.backbone.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self

    def trunk(self) -> nn.Module:
        """What of the backbone holds this tower's own blocks."""
        return self.backbone

    @abstractmethod
    def document(self) -> dict[str, Any]:
        """What rebuilds this tower, but for its weights."""


class PictureTower(Tower):
    """uint8 [B, H, W, 3] -> `PictureFeatures`; scale and normalisation inside.

    Attributes:
        width: C of the pooled features.
        region_width: C' of the regions.
    """

    mean_C: Tensor
    std_C: Tensor

    def __init__(
        self, backbone: nn.Module, pixels: Normalisation, size: int, pooling: Pooling = "auto"
    ) -> None:
        """Args:
        pixels: (pixel - mean) / std on the scale 0 to 255.
        size: side of the pictures, in pixels.
        pooling: "auto" takes the family's own.

        Raises:
            ValueError: a pooling that pictures do not have.
        """
        super().__init__()
        _check(pooling, PICTURE_POOLINGS)
        self.backbone = backbone
        self.size = size
        config: Any = backbone.config
        self.pooling = _picture_pooling(config.model_type) if pooling == "auto" else pooling
        self.register_buffer("mean_C", torch.tensor(pixels.mean), persistent=False)
        self.register_buffer("std_C", torch.tensor(pixels.std), persistent=False)
        features = probe(self, size)
        self.width, self.region_width = features.pooled_BC.shape[1], features.regions_BPC.shape[2]

    def forward(self, pixels_BHWC: Tensor) -> PictureFeatures:
        scaled_BHWC = (pixels_BHWC.to(torch.float32) - self.mean_C) / self.std_C
        output = self.backbone(scaled_BHWC.permute(0, 3, 1, 2))
        state = output.last_hidden_state
        if state.ndim == 4:  # a feature map, whatever the pooling: its mean is the whole
            regions_BPC = pool_regions(state)
            return PictureFeatures(regions_BPC[:, 0], regions_BPC[:, 1:])
        if self.pooling == "pooler":
            return PictureFeatures(_pooler(output), state)
        return PictureFeatures(state[:, 0] if self.pooling == "cls" else state.mean(dim=1), state)

    def document(self) -> dict[str, Any]:
        return {
            "kind": "backbone",
            "config": config_document(self.backbone),
            "pooling": self.pooling,
            "size": self.size,
            "mean": self.mean_C.tolist(),
            "std": self.std_C.tolist(),
        }

    @classmethod
    def built(cls, document: dict[str, Any]) -> "PictureTower":
        """The tower of a document, with random weights."""
        pixels = Normalisation(tuple(document["mean"]), tuple(document["std"]))
        backbone = backbone_of(document["config"])
        return cls(backbone, pixels, document["size"], document["pooling"])


class PhraseTower(Tower):
    """int64 tokens and mask [B, L], padded on the right -> pooled states [B, C].

    Attributes:
        width: C.
    """

    def __init__(self, backbone: nn.Module, pooling: Pooling = "auto") -> None:
        """Args:
        pooling: "mean" of the real tokens, "cls" the first, "eos" the last real one, "pooler" the
            model's own; "auto" is "pooler" for text halves of CLIP-like models, else "mean".

        Raises:
            ValueError: a pooling that texts do not have.
        """
        super().__init__()
        _check(pooling, PHRASE_POOLINGS)
        self.backbone = backbone
        config: Any = backbone.config
        if pooling == "auto":
            pooling = "pooler" if _among(config.model_type, _POOLED) else "mean"
        self.pooling = pooling
        with torch.no_grad():
            one = torch.ones(1, 2, dtype=torch.int64)
            self.width = int(self.eval()(one, one).shape[1])

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        output = self.backbone(input_ids=input_ids, attention_mask=attention_mask)
        if self.pooling == "pooler":
            return _pooler(output)
        state_BLC = output.last_hidden_state
        if self.pooling == "cls":
            return cast(Tensor, state_BLC[:, 0])
        if self.pooling == "eos":
            last_B = attention_mask.sum(dim=1).clamp(min=1) - 1
            return cast(Tensor, state_BLC[torch.arange(len(last_B), device=last_B.device), last_B])
        mask_BL1 = attention_mask.unsqueeze(-1).to(state_BLC.dtype)
        return cast(Tensor, (state_BLC * mask_BL1).sum(dim=1) / mask_BL1.sum(dim=1).clamp(min=1))

    def document(self) -> dict[str, Any]:
        return {
            "kind": "backbone",
            "config": config_document(self.backbone),
            "pooling": self.pooling,
        }

    @classmethod
    def built(cls, document: dict[str, Any]) -> "PhraseTower":
        """The tower of a document, with random weights."""
        return cls(backbone_of(document["config"]), document["pooling"])


def load_picture_tower(name: str, pooling: Pooling = "auto") -> tuple[PictureTower, PixelSpec]:
    """A vision model, or the vision half of a CLIP-like one, and how it wants its pictures cut.

    Raises:
        ValueError: the preprocessor wants what the server's decoder does not do.
        OSError: the hub or directory has no such model.
    """
    model = AutoModel.from_pretrained(name, dtype="float32")
    backbone = getattr(model, "vision_model", model)
    try:
        processor: dict[str, Any] = ImageProcessingMixin.get_image_processor_dict(name)[0]
    except OSError:
        logging.getLogger(__name__).warning(
            "%s has no preprocessor_config.json: pixels are scaled to -1..1", name
        )
        side = getattr(backbone.config, "image_size", None) or _UNKNOWN_PIXELS["size"]
        processor = {"size": side}
    if "size" not in processor:
        processor = processor | {"size": getattr(backbone.config, "image_size", 224)}
    spec = pixel_spec(processor)
    return PictureTower(backbone, normalisation(processor), spec.size, pooling), spec


def load_phrase_tower(name: str, pooling: Pooling = "auto") -> PhraseTower:
    """A text model, or the text half of a CLIP-like one. Raises OSError where there is none."""
    model = AutoModel.from_pretrained(name, dtype="float32")
    return PhraseTower(getattr(model, "text_model", model), pooling)


def probe(tower: nn.Module, size: int) -> PictureFeatures:
    """What a picture tower gives for one black picture: configs name their widths in many ways."""
    before = tower.training
    with torch.no_grad():
        features: PictureFeatures = tower.eval()(torch.zeros(1, size, size, 3, dtype=torch.uint8))
    tower.train(before)
    return features


def config_document(backbone: nn.Module) -> dict[str, Any]:
    """A backbone's configuration as JSON, without the place it was loaded from."""
    config: Any = backbone.config
    document: dict[str, Any] = config.to_dict()
    return {name: value for name, value in document.items() if name != "_name_or_path"}


def backbone_of(config: dict[str, Any]) -> nn.Module:
    """A model with random weights; `config` is what `config_document` gave."""
    model: nn.Module = AutoModel.from_config(  # type: ignore[no-untyped-call]
        AutoConfig.for_model(**config)
    )
    return model.float()


def _picture_pooling(family: str) -> Pooling:
    if _among(family, _POOLED):
        return "pooler"
    return "cls" if _among(family, _CLS) else "mean"


def _among(family: str, prefixes: tuple[str, ...]) -> bool:
    return any(family == prefix or family.startswith(prefix) for prefix in prefixes)


def _pooler(output: Any) -> Tensor:
    pooled = getattr(output, "pooler_output", None)
    if pooled is None:
        raise ValueError("this model has no pooled output: choose the pooling mean, cls or eos")
    return cast(Tensor, pooled.flatten(1))


def _check(pooling: str, allowed: tuple[str, ...]) -> None:
    if pooling not in allowed:
        raise ValueError(f"pooling {pooling!r}: must be one of {', '.join(allowed)}")
