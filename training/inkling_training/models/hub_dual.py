"""Dual encoders of the Hugging Face hub as the two modules of a `LoadedModel`.

    pixels uint8 [B, S, S, 3] -> scale, normalise -> get_image_features -> length 1   [B, D]
    tokens int64 [B, L], mask -> (SigLIP: pad to 64) -> get_text_features -> length 1  [B, D]

The library's own `get_*_features` are called, so pooling and projection are each family's own.
What a family wants beyond that (SigLIP was trained on rows that are always full and never masked)
is part of the module, and so of every graph made from it: callers may pad as they like. This module
does not know how models are found, exported or trained.

Legend: B rows, S side in pixels, L tokens given, T tokens of a full row, D dimensions.
"""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from inkling_training.models.preprocessing import Normalisation


class HubVision(nn.Module):
    """uint8 [B, S, S, 3] -> float32 [B, D], rows of length 1."""

    mean_C: Tensor
    std_C: Tensor

    def __init__(self, model: nn.Module, normalisation: Normalisation) -> None:
        super().__init__()
        self.model = _without(model, ("text",))
        self.register_buffer("mean_C", torch.tensor(normalisation.mean), persistent=False)
        self.register_buffer("std_C", torch.tensor(normalisation.std), persistent=False)

    def forward(self, pixels: Tensor) -> Tensor:
        scaled_BHWC = (pixels.to(torch.float32) - self.mean_C) / self.std_C
        features: Any = self.model.get_image_features(  # type: ignore[operator]
            pixel_values=scaled_BHWC.permute(0, 3, 1, 2)
        )
        return functional.normalize(_pooled(features), dim=-1)


class HubText(nn.Module):
    """int64 tokens and mask [B, L] -> float32 [B, D], rows of length 1."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = _without(model, ("vision", "visual"))

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        features: Any = self.model.get_text_features(  # type: ignore[operator]
            input_ids=input_ids, attention_mask=attention_mask
        )
        return functional.normalize(_pooled(features), dim=-1)


class FullRowText(HubText):
    """A text half that was trained on rows of T tokens without a mask: SigLIP and SigLIP 2.

    Its answer is the last position's, whatever token stands there, so a row must be exactly as in
    training: T tokens, the rest padding, on the side where its tokenizer pads.

    Args:
        model: the dual encoder.
        length: T.
        pad_id: the padding token.
        left: padding goes before the text.
    """

    def __init__(self, model: nn.Module, length: int, pad_id: int, *, left: bool = False) -> None:
        super().__init__(model)
        self.length, self.pad_id, self.left = length, pad_id, left

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        features: Any = self.model.get_text_features(  # type: ignore[operator]
            input_ids=self.full_rows(input_ids, attention_mask)
        )
        return functional.normalize(_pooled(features), dim=-1)

    def full_rows(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """[B, L] with a right-padded mask, any L -> [B, T]."""
        used_B1 = attention_mask.sum(dim=1, keepdim=True).clamp(max=self.length)
        place_1T = torch.arange(self.length, device=input_ids.device).unsqueeze(0)
        # Gathering by position keeps T constant in the graph, which every compiler likes.
        from_BT = place_1T - (self.length - used_B1 if self.left else torch.zeros_like(used_B1))
        inside_BT = (from_BT >= 0) & (from_BT < used_B1)
        last = input_ids.shape[1] - 1
        taken_BT = torch.gather(input_ids, 1, from_BT.clamp(min=0).clamp(max=last))
        return torch.where(inside_BT, taken_BT, torch.full_like(taken_BT, self.pad_id))


def _without(model: nn.Module, words: tuple[str, ...]) -> nn.Module:
    """The same model, sharing its weights, without the children that one half never uses."""
    half = copy.copy(model)
    half._modules = {
        name: child
        for name, child in model._modules.items()
        if not any(word in name for word in words)
    }
    half._parameters = {}  # scale and bias of the loss
    return half


def _pooled(features: Any) -> Tensor:
    pooled: Tensor = features if isinstance(features, Tensor) else features.pooler_output
    return pooled
