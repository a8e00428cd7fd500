"""Pixels to features: any Hugging Face vision model, by hub name or directory.

    uint8 pixels [B, H, W, 3] -> scaled, normalised -> backbone -> region features [B, P, C]

Region 0 is the whole picture; a backbone that keeps a feature map adds overlapping windows of it,
so that a head can find a small thing that the average drowns. The tower knows neither text nor
tags: `heads.py` turns its features into embeddings.

Where only the last blocks learn, `split_tower` cuts the tower in two: what the frozen `Trunk` makes
of a picture can be computed once, and only the `Tail` runs in every training step.

Legend: B pictures, H x W pixels, P regions, C feature channels, K classifier labels; h x w cells of
a feature map.
"""

import logging
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoConfig, AutoModel, AutoModelForImageClassification
from transformers.image_processing_base import ImageProcessingMixin

import inkling_training.models.efficientnet_lite  # noqa: F401 - teaches AutoModel the family

_WINDOW = 3  # cells of the feature map on a side; on a 7 x 7 map with stride 2: 9 windows
_STRIDE = 2
_UNIT_MEAN_STD = ([0.5, 0.5, 0.5], [0.5, 0.5, 0.5])


class VisionTower(nn.Module):
    """A backbone with its pixel normalisation inside; `classes` holds its labels, if any."""

    mean_C: Tensor
    std_C: Tensor

    def __init__(
        self,
        backbone: nn.Module,
        mean: list[float],
        std: list[float],
        classifier: nn.Linear | None = None,
        classes: list[str] | None = None,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.classifier = classifier
        self.classes = classes or []
        self.register_buffer(
            "mean_C", torch.tensor(mean, dtype=torch.float32) * 255, persistent=False
        )
        self.register_buffer(
            "std_C", torch.tensor(std, dtype=torch.float32) * 255, persistent=False
        )

    def forward(self, pixels_BHWC: Tensor) -> Tensor:
        """uint8 [B, H, W, 3] -> features [B, P, C]."""
        scaled_BHWC = (pixels_BHWC.to(torch.float32) - self.mean_C) / self.std_C
        output = self.backbone(scaled_BHWC.permute(0, 3, 1, 2))
        state = output.last_hidden_state
        if state.ndim == 4:
            return pool_regions(state)
        pooled = getattr(output, "pooler_output", None)
        return cast(Tensor, state[:, 0] if pooled is None else pooled).unsqueeze(1)


class Trunk(nn.Module):
    """The first part of a split tower: uint8 [B, H, W, 3] -> feature map [B, h, w, C]."""

    mean_C: Tensor
    std_C: Tensor

    def __init__(self, tower: VisionTower, stem: nn.Module, blocks: nn.ModuleList) -> None:
        super().__init__()
        self.stem, self.blocks = stem, blocks
        self.register_buffer("mean_C", tower.mean_C, persistent=False)
        self.register_buffer("std_C", tower.std_C, persistent=False)

    def forward(self, pixels_BHWC: Tensor) -> Tensor:
        scaled_BHWC = (pixels_BHWC.to(torch.float32) - self.mean_C) / self.std_C
        map_BCHW: Tensor = self.stem(scaled_BHWC.permute(0, 3, 1, 2))
        for block in self.blocks:
            map_BCHW = block(map_BCHW)
        return map_BCHW.permute(0, 2, 3, 1)


class Tail(nn.Module):
    """The last part of a split tower: feature map [B, h, w, C] -> region features [B, P, C].

    Always in eval mode: its batch norms have no statistics to learn, see `load_vision_tower`.
    """

    def __init__(self, blocks: nn.ModuleList, last: nn.Module) -> None:
        super().__init__()
        self.blocks, self.last = blocks, last

    def forward(self, map_BHWC: Tensor) -> Tensor:
        map_BCHW = map_BHWC.permute(0, 3, 1, 2)
        for block in self.blocks:
            map_BCHW = block(map_BCHW)
        return pool_regions(self.last(map_BCHW).float())

    def train(self, mode: bool = True) -> "Tail":
        """Does nothing but switch gradients' users: dropout and batch norms stay as in serving."""
        del mode
        return super().train(mode=False)


def split_tower(tower: VisionTower, block_count: int) -> tuple[Trunk, Tail]:
    """Cuts a MobileNetV2-like tower after its first `block_count` blocks; shares its weights.

    Args:
        tower: keeps working.
        block_count: negative numbers count from the end: -3 leaves the last three to the tail.

    Raises:
        ValueError: another kind of backbone, or no such block.
    """
    backbone = tower.backbone
    parts = [getattr(backbone, name, None) for name in ("conv_stem", "layer", "conv_1x1")]
    stem, blocks, last = parts
    if not (
        isinstance(stem, nn.Module)
        and isinstance(blocks, nn.ModuleList)
        and isinstance(last, nn.Module)
    ):
        raise ValueError(
            f"{type(backbone).__name__} cannot be split: only backbones like MobileNetV2 can"
        )
    if not -len(blocks) <= block_count <= len(blocks):
        raise ValueError(f"block count {block_count} is not within +-{len(blocks)}")
    trunk = Trunk(tower, stem, nn.ModuleList(blocks[:block_count]))
    return trunk, Tail(nn.ModuleList(blocks[block_count:]), last)


def pool_regions(map_BCHW: Tensor) -> Tensor:
    """Feature map [B, C, h, w] -> [B, 1 + windows, C]: the average of all, then of each window."""
    whole_B1C = map_BCHW.mean(dim=(2, 3)).unsqueeze(1)
    if min(map_BCHW.shape[-2:]) < _WINDOW:
        return whole_B1C
    windows_BCP = functional.avg_pool2d(map_BCHW, _WINDOW, _STRIDE).flatten(2)
    return torch.cat([whole_B1C, windows_BCP.transpose(1, 2)], dim=1)


def load_vision_tower(name: str) -> VisionTower:
    """Loads a vision model, or the vision half of a CLIP-like one, from the hub or a directory.

    A model with an image classifier keeps it (and its labels) beside the backbone: ConSE needs it.
    Batch norms stay in eval mode for ever: folded ones have no statistics to learn.
    """
    config = AutoConfig.from_pretrained(name)
    architectures = getattr(config, "architectures", None) or [""]
    mean, std = _normalisation(name)
    if architectures[0].endswith("ForImageClassification"):
        model = AutoModelForImageClassification.from_pretrained(name)
        classifier = model.classifier
        if not isinstance(classifier, nn.Linear):
            raise ValueError(
                f"{name}: expected one linear classifier, found {type(classifier).__name__}"
            )
        labels = [config.id2label[index] for index in range(classifier.out_features)]
        tower = VisionTower(model.base_model, mean, std, classifier, labels)
    else:
        model = AutoModel.from_pretrained(name)
        tower = VisionTower(getattr(model, "vision_model", model), mean, std)
    return tower.eval().requires_grad_(requires_grad=False)


def _normalisation(name: str) -> tuple[list[float], list[float]]:
    try:
        document: dict[str, Any] = ImageProcessingMixin.get_image_processor_dict(name)[0]
    except OSError:
        logging.getLogger(__name__).warning(
            "%s has no preprocessor_config.json: using 0.5, 0.5", name
        )
        return _UNIT_MEAN_STD
    return document.get("image_mean", _UNIT_MEAN_STD[0]), document.get(
        "image_std", _UNIT_MEAN_STD[1]
    )
