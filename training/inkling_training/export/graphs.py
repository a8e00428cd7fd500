"""Torch modules to ONNX graphs: dynamic batch, uint8 pixels, everything inside.

    vision: `pixels` uint8 [B, S, S, 3]                -> `embedding` float32 [B, D]
    text:   `input_ids`, `attention_mask` int64 [B, L] -> `embedding` float32 [B, D]

Scale, normalisation, projection and the division by the length are nodes of the graph, so that
whatever runs it needs no other preprocessing. Only standard operators, opset 20 (fused Gelu). This
module does not know precisions, files around the graph, or whether it is right: `parity` does.

Legend: B rows, S side in pixels, L tokens, D dimensions.
"""

import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from inkling_training.models.loaded import LoadedModel

OPSET = 20
TEXT_INPUTS = ("input_ids", "attention_mask")
_EXAMPLES = ("a photo of a dog", "two people on a beach at sunset, seen from a boat")


class _NamedText(nn.Module):
    """Gives a text module the input names of the graph, whatever it calls them."""

    def __init__(self, text: nn.Module) -> None:
        super().__init__()
        self.text = text

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        embedding_BD: Tensor = self.text(input_ids, attention_mask)
        return embedding_BD


class _NamedVision(nn.Module):
    def __init__(self, vision: nn.Module) -> None:
        super().__init__()
        self.vision = vision

    def forward(self, pixels: Tensor) -> Tensor:
        embedding_BD: Tensor = self.vision(pixels)
        return embedding_BD


def vision_module(model: LoadedModel) -> tuple[nn.Module, tuple[Tensor, ...]]:
    """The vision half with the graph's input name, and an example of what it takes."""
    side = model.image.size
    return _NamedVision(model.vision).eval(), (torch.zeros(2, side, side, 3, dtype=torch.uint8),)


def text_module(model: LoadedModel) -> tuple[nn.Module, tuple[Tensor, ...]]:
    """The text half with the graph's input names, and an example of what it takes."""
    return _NamedText(model.text).eval(), tokens_of(model, _EXAMPLES)


def tokens_of(model: LoadedModel, texts: tuple[str, ...] | list[str]) -> tuple[Tensor, Tensor]:
    """What the model's own tokenizer makes of texts: int64 numbers and mask [B, L].

    Rows are padded on the right to the longest, whatever the tokenizer's own habit: modules that
    want it otherwise see to it themselves.
    """
    spec = model.text_spec
    rows = [
        model.tokenizer(spec.template.format(text), truncation=True, max_length=spec.max_tokens)[
            "input_ids"
        ]
        for text in texts
    ]
    longest = max(len(row) for row in rows)
    ids_BL = torch.full((len(rows), longest), spec.pad_id, dtype=torch.int64)
    mask_BL = torch.zeros((len(rows), longest), dtype=torch.int64)
    for place, row in enumerate(rows):
        ids_BL[place, : len(row)] = torch.tensor(row)
        mask_BL[place, : len(row)] = 1
    return ids_BL, mask_BL


def flops_per_row(module: nn.Module, example: tuple[Tensor, ...]) -> float:
    """Floating-point operations of matrix products and convolutions, for one row."""
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        module(*example)
    return float(counter.get_total_flops()) / len(example[0])


def export_vision(model: LoadedModel, path: Path) -> None:
    """Writes the vision graph in float32."""
    module, example = vision_module(model)
    _to_onnx(module, example, path, {"pixels": {0: "batch"}})


def export_text(model: LoadedModel, path: Path) -> None:
    """Writes the text graph in float32."""
    module, example = text_module(model)
    _to_onnx(module, example, path, {name: {0: "batch", 1: "length"} for name in TEXT_INPUTS})


def _to_onnx(
    module: nn.Module, example: tuple[Tensor, ...], path: Path, axes: dict[str, dict[int, str]]
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    options: dict[str, Any] = {"dynamo": False, "opset_version": OPSET}
    with torch.inference_mode(), warnings.catch_warnings():
        # The older exporter writes fewer and plainer nodes; it warns of its age, and of every shape
        # that it takes as fixed. Parity and the runtimes' own checks judge the result.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            example,
            path,
            input_names=list(axes),
            output_names=["embedding"],
            dynamic_axes=axes | {"embedding": {0: "batch"}},
            **options,
        )
