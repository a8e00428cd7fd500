"""Turns a CLIP model of the Hugging Face hub into a model repository that the server runs.

    python -m inkling_training.import_clip --from openai/clip-vit-base-patch32 --out my_models
    python -m inkling_training.calibrate --model-repository my_models
    INKLING_MODEL_REPOSITORY=my_models make serve

`--from` is a hub name or a directory of `CLIPModel` weights with its tokenizer and preprocessor.
Nothing is trained: both towers and their projections stay as they are. A raw CLIP cosine means
nothing to a person, so the server wants the second step, which fits probabilities on labelled
pictures.

This module does not know calibration, data or serving.

Legend: B rows, S side in pixels, L tokens, D dimensions.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoTokenizer, CLIPModel
from transformers.image_processing_base import ImageProcessingMixin

from inkling_server.model_manifest import PixelSpec, TextSpec
from inkling_training.data import REPOSITORY
from inkling_training.export import (
    PARITY,
    export_text,
    export_vision,
    write_manifest,
    write_tokenizer,
)

# The shipped repository is the pattern: only sizes differ.
_PATTERN = REPOSITORY / "model_repository"
_PATTERN_SIDE, _PATTERN_DIMENSION = 224, 256
_CAPTIONS = ["a photo of a dog", "two people on a beach at sunset, seen from a boat", "food"]


class ClipVision(nn.Module):
    """uint8 [B, S, S, 3] -> float32 [B, D], rows of length 1; scale and normalisation inside."""

    mean_C: Tensor
    std_C: Tensor

    def __init__(self, clip: CLIPModel, mean: list[float], std: list[float]) -> None:
        super().__init__()
        self.tower, self.projection = clip.vision_model, clip.visual_projection
        self.register_buffer("mean_C", torch.tensor(mean) * 255)
        self.register_buffer("std_C", torch.tensor(std) * 255)

    def forward(self, pixels: Tensor) -> Tensor:
        scaled_BHWC = (pixels.to(torch.float32) - self.mean_C) / self.std_C
        pooled = self.tower(pixel_values=scaled_BHWC.permute(0, 3, 1, 2)).pooler_output
        return functional.normalize(self.projection(pooled), dim=-1)


class ClipText(nn.Module):
    """int64 tokens and mask [B, L] -> float32 [B, D], rows of length 1."""

    def __init__(self, clip: CLIPModel) -> None:
        super().__init__()
        self.tower, self.projection = clip.text_model, clip.text_projection

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        pooled = self.tower(input_ids=input_ids, attention_mask=attention_mask).pooler_output
        return functional.normalize(self.projection(pooled), dim=-1)


def pixel_spec(processor: dict[str, Any]) -> PixelSpec:
    """How a CLIP preprocessor_config.json cuts pictures, as the server's decoder says it."""
    crop, size = processor["crop_size"], processor["size"]
    side = int(crop["height"] if isinstance(crop, dict) else crop)
    scaled = (size.get("shortest_edge") or size["height"]) if isinstance(size, dict) else size
    return PixelSpec(side, "crop", side / int(scaled))


def write_configs(out: Path, side: int, dimension: int) -> None:
    """Copies Triton's configs and the Python model, with this model's sizes."""
    for encoder in ("vision_encoder", "text_encoder"):
        for name in ("config.pbtxt", "configs/onnxruntime.pbtxt"):
            text = (_PATTERN / encoder / name).read_text(encoding="utf-8")
            text = text.replace(
                f"[ {_PATTERN_SIDE}, {_PATTERN_SIDE}, 3 ]", f"[ {side}, {side}, 3 ]"
            ).replace(f"[ {_PATTERN_DIMENSION} ]", f"[ {dimension} ]")
            (out / encoder / name).parent.mkdir(parents=True, exist_ok=True)
            (out / encoder / name).write_text(text, encoding="utf-8")
        model = (_PATTERN / encoder / "1" / "model.py").read_text(encoding="utf-8")
        (out / encoder / "1" / "model.py").write_text(model, encoding="utf-8")


def main(arguments: list[str] | None = None) -> None:
    """Reads the command line and writes the repository; exits with a message where parity fails."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--from", dest="source", required=True, help="hub name or directory")
    parser.add_argument("--out", type=Path, required=True, help="new model repository")
    parser.add_argument("--name", default=None, help="default: the last part of --from")
    parser.add_argument("--template", default="a photo of {}", help="wraps each interest's phrase")
    args = parser.parse_args(arguments)

    clip = CLIPModel.from_pretrained(args.source).eval()  # type: ignore[no-untyped-call]
    # The settings alone: the processor itself would want torchvision.
    processor, _ = ImageProcessingMixin.get_image_processor_dict(args.source)
    tokenizer = AutoTokenizer.from_pretrained(args.source)
    image = pixel_spec(processor)
    dimension = int(clip.config.projection_dim)
    vision = ClipVision(clip, processor["image_mean"], processor["image_std"]).eval()
    tokens = tokenizer(_CAPTIONS, padding=True, return_tensors="pt")

    folders = {kind: args.out / kind / "1" for kind in ("vision_encoder", "text_encoder")}
    parity = {
        "vision": export_vision(vision, image.size, folders["vision_encoder"] / "model.onnx"),
        "text": export_text(
            ClipText(clip).eval(),
            (tokens["input_ids"], tokens["attention_mask"]),
            folders["text_encoder"] / "model.onnx",
        ),
    }
    print(json.dumps({"least cosine against torch": parity}))
    failed = {kind: cosine for kind, cosine in parity.items() if cosine < PARITY}
    if failed:
        raise SystemExit(f"parity below {PARITY}: {failed}")
    write_configs(args.out, image.size, dimension)
    write_tokenizer(tokenizer, folders["text_encoder"] / "tokenizer.json")
    text = TextSpec(template=args.template, pad_id=int(tokenizer.pad_token_id))
    name = args.name or Path(args.source).name
    print(f"{name}:1:{write_manifest(args.out, 1, name, image, text, dimension)}")


if __name__ == "__main__":
    main()
