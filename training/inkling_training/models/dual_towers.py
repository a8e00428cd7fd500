"""Dual encoders as towers: CLIP, SigLIP and their like keep their own projections.

    HubVision / OpenClipVision -> embedding of the whole [B, D], and patches
    HubText / OpenClipText     -> embedding of the text  [B, D]

What `models.sources` loads is wrapped here, so that it trains and is written into a checkpoint like
any other tower; the head above it is the identity. Knows no losses and no files.

Legend: B rows, L tokens, P patches, D dimensions, C channels.
"""

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from inkling_training.models.hub_dual import FullRowText, HubText, HubVision
from inkling_training.models.preprocessing import Normalisation
from inkling_training.models.towers import (
    PictureFeatures,
    Tower,
    backbone_of,
    config_document,
    probe,
)


class DualPictureTower(Tower):
    """The vision half of a dual encoder of the hub."""

    def __init__(self, vision: HubVision, size: int) -> None:
        super().__init__()
        self.backbone, self.size = vision, size
        features = probe(self, size)
        self.width, self.region_width = features.pooled_BC.shape[1], features.regions_BPC.shape[2]

    def forward(self, pixels_BHWC: Tensor) -> PictureFeatures:
        vision = cast(HubVision, self.backbone)
        scaled_BHWC = (pixels_BHWC.to(torch.float32) - vision.mean_C) / vision.std_C
        features: Any = vision.model.get_image_features(  # type: ignore[operator]
            pixel_values=scaled_BHWC.permute(0, 3, 1, 2)
        )
        if isinstance(features, Tensor):
            pooled_BD, state = features, None
        else:
            pooled_BD, state = features.pooler_output, features.last_hidden_state
        pooled_BD = functional.normalize(pooled_BD, dim=-1)
        if state is None or state.ndim != 3:
            state = pooled_BD.unsqueeze(1)
        return PictureFeatures(pooled_BD, state)

    def document(self) -> dict[str, Any]:
        vision = cast(HubVision, self.backbone)
        return {
            "kind": "dual",
            "config": config_document(vision.model),
            "size": self.size,
            "mean": vision.mean_C.tolist(),
            "std": vision.std_C.tolist(),
        }

    @classmethod
    def built(cls, document: dict[str, Any]) -> "DualPictureTower":
        """The tower of a document, with random weights."""
        pixels = Normalisation(tuple(document["mean"]), tuple(document["std"]))
        return cls(HubVision(backbone_of(document["config"]), pixels), document["size"])


class DualPhraseTower(Tower):
    """The text half of a dual encoder of the hub."""

    def __init__(self, text: HubText) -> None:
        super().__init__()
        self.backbone = text
        self.width = _text_width(self)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        embedding_BD: Tensor = self.backbone(input_ids, attention_mask)
        return embedding_BD

    def document(self) -> dict[str, Any]:
        text = cast(HubText, self.backbone)
        rows = None
        if isinstance(text, FullRowText):
            rows = {"length": text.length, "pad_id": text.pad_id, "left": text.left}
        return {"kind": "dual", "config": config_document(text.model), "full_rows": rows}

    @classmethod
    def built(cls, document: dict[str, Any]) -> "DualPhraseTower":
        """The tower of a document, with random weights."""
        model, rows = backbone_of(document["config"]), document["full_rows"]
        return cls(HubText(model) if rows is None else FullRowText(model, **rows))


class OpenClipPictureTower(Tower):
    """The vision half of an open_clip model; CoCa's also gives the tokens its decoder reads."""

    def __init__(self, vision: nn.Module, name: str, size: int) -> None:
        super().__init__()
        self.backbone, self.name, self.size = vision, name, size
        features = probe(self, size)
        self.width, self.region_width = features.pooled_BC.shape[1], features.regions_BPC.shape[2]

    def forward(self, pixels_BHWC: Tensor) -> PictureFeatures:
        vision: Any = self.backbone
        if not hasattr(vision.model, "text_decoder"):
            pooled_BD: Tensor = vision(pixels_BHWC)
            return PictureFeatures(pooled_BD, pooled_BD.unsqueeze(1))
        scaled_BHWC = (pixels_BHWC.to(torch.float32) - vision.mean_C) / vision.std_C
        pooled_BD, tokens_BPC = vision.model.visual(scaled_BHWC.permute(0, 3, 1, 2))
        return PictureFeatures(functional.normalize(pooled_BD, dim=-1), tokens_BPC)

    def trunk(self) -> nn.Module:
        backbone: Any = self.backbone
        return cast(nn.Module, backbone.model.visual)

    def document(self) -> dict[str, Any]:
        vision: Any = self.backbone
        return {
            "kind": "open_clip",
            "model": self.name,
            "size": self.size,
            "mean": vision.mean_C.tolist(),
            "std": vision.std_C.tolist(),
        }

    @classmethod
    def built(cls, document: dict[str, Any]) -> "OpenClipPictureTower":
        """The tower of a document, with random weights; needs open_clip."""
        from inkling_training.models.open_clip_source import OpenClipVision

        scale = 255.0  # that class takes means and deviations on the scale 0 to 1
        mean, std = (tuple(one / scale for one in document[key]) for key in ("mean", "std"))
        model = open_clip_model(document["model"])
        return cls(OpenClipVision(model, mean, std), document["model"], document["size"])


class OpenClipPhraseTower(Tower):
    """The text half of an open_clip model."""

    def __init__(self, text: nn.Module, name: str) -> None:
        super().__init__()
        self.backbone, self.name = text, name
        self.width = _text_width(self)

    def trunk(self) -> nn.Module:
        backbone: Any = self.backbone
        model = backbone.model
        return cast(nn.Module, model.text if hasattr(model, "text") else model.transformer)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        embedding_BD: Tensor = self.backbone(input_ids, attention_mask)
        return embedding_BD

    def document(self) -> dict[str, Any]:
        text: Any = self.backbone
        return {
            "kind": "open_clip",
            "model": self.name,
            "length": text.length,
            "pad_id": text.pad_id,
        }

    @classmethod
    def built(cls, document: dict[str, Any]) -> "OpenClipPhraseTower":
        """The tower of a document, with random weights; needs open_clip."""
        from inkling_training.models.open_clip_source import OpenClipText

        model = open_clip_model(document["model"])
        return cls(OpenClipText(model, document["length"], document["pad_id"]), document["model"])


def open_clip_model(name: str) -> Any:
    """An open_clip model with random weights.

    Raises:
        ModuleNotFoundError: open_clip, or the torchvision that it needs, is not installed.
    """
    try:
        import open_clip  # type: ignore[import-not-found, unused-ignore]
    except ImportError as error:
        raise ModuleNotFoundError(
            f"open_clip:{name} needs open_clip and torchvision: pip install open_clip_torch "
            "(with the torchvision that fits your torch)"
        ) from error
    return open_clip.create_model(name, pretrained=None)


def _text_width(tower: nn.Module) -> int:
    ids = torch.ones(1, 2, dtype=torch.int64)
    with torch.no_grad():
        return int(tower.eval()(ids, ids).shape[1])
