"""What every source of a pairwise model gives: a hub name, a directory, a checkpoint of ours.

Training, export and parity reports work with this value alone, and need not know whose model it is.

Legend: B rows, S side in pixels, L tokens, D embedding dimensions.
"""

from dataclasses import dataclass
from typing import Any

from torch import nn

from inkling_server.model_manifest import PixelSpec, TextSpec


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A pairwise model, in eval mode and on the CPU.

    Attributes:
        name: what answers call it, such as "clip-vit-base-patch32".
        vision: uint8 pixels [B, S, S, 3] -> float32 [B, D], rows of length 1; scale and
            normalisation of pixels are inside.
        text: int64 token numbers [B, L] and mask [B, L] -> float32 [B, D], rows of length 1.
        tokenizer: a fast Hugging Face tokenizer.
        image: how a picture becomes the vision module's pixels.
        text_spec: how a phrase becomes the text module's numbers.
        dimension: D.
        logit_scale, logit_bias: what the model was trained with: logit = scale * cosine + bias;
            None where it does not say. A start for calibration, never a calibration.
        source: where it came from: hub name, or the last part of a directory's name.
    """

    name: str
    vision: nn.Module
    text: nn.Module
    tokenizer: Any
    image: PixelSpec
    text_spec: TextSpec
    dimension: int
    logit_scale: float | None = None
    logit_bias: float | None = None
    source: str = ""
