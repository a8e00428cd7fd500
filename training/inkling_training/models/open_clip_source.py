"""open_clip models (CLIP, CoCa, SigLIP of that package) as a `LoadedModel`.

NOT YET RUN: open_clip needs torchvision, which the machines that test this repository lack. It is
written against open_clip 3's documented API (`create_model_and_transforms`, `get_tokenizer`,
`encode_image`, `encode_text`, `visual.preprocess_cfg`), and kept thin. The package is imported when
a model is asked for, never before.

Legend: B rows, S side in pixels, L tokens, D dimensions.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from inkling_server.model_manifest import PixelSpec, TextSpec
from inkling_training.models.loaded import LoadedModel


class OpenClipVision(nn.Module):
    """uint8 [B, S, S, 3] -> float32 [B, D], rows of length 1."""

    mean_C: Tensor
    std_C: Tensor

    def __init__(self, model: Any, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.model = model
        self.register_buffer("mean_C", torch.tensor(mean) * 255, persistent=False)
        self.register_buffer("std_C", torch.tensor(std) * 255, persistent=False)

    def forward(self, pixels: Tensor) -> Tensor:
        scaled_BHWC = (pixels.to(torch.float32) - self.mean_C) / self.std_C
        features_BD: Tensor = self.model.encode_image(scaled_BHWC.permute(0, 3, 1, 2))
        return functional.normalize(features_BD, dim=-1)


class OpenClipText(nn.Module):
    """int64 tokens and mask [B, L] -> float32 [B, D]; rows are filled to the context length."""

    def __init__(self, model: Any, length: int, pad_id: int) -> None:
        super().__init__()
        self.model, self.length, self.pad_id = model, length, pad_id

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        full_BL = input_ids.new_full((input_ids.shape[0], self.length), self.pad_id)
        used = min(input_ids.shape[1], self.length)
        masked_BL = torch.where(
            attention_mask > 0, input_ids, torch.full_like(input_ids, self.pad_id)
        )
        full_BL[:, :used] = masked_BL[:, :used]
        return functional.normalize(self.model.encode_text(full_BL), dim=-1)


def load_open_clip(name: str, *, template: str = "{}") -> LoadedModel:
    """Loads `<model>[/<pretrained>]`, such as "ViT-B-32/laion2b_s34b_b79k".

    Raises:
        ModuleNotFoundError: open_clip is not installed.
        ValueError: the model's tokenizer or pictures cannot be served.
    """
    try:
        import open_clip  # type: ignore[import-not-found, unused-ignore]
    except ImportError as error:
        raise ModuleNotFoundError(
            f"open_clip:{name} needs open_clip and torchvision: pip install open_clip_torch "
            "(with the torchvision that fits your torch)"
        ) from error
    model_name, _, pretrained = name.partition("/")
    model, _, _ = open_clip.create_model_and_transforms(model_name, pretrained=pretrained or None)
    model.eval()
    tokenizer = open_clip.get_tokenizer(model_name)
    fast = _fast_tokenizer(model_name, tokenizer)
    settings = model.visual.preprocess_cfg
    size = settings["size"]
    side = int(size if isinstance(size, int) else size[0])
    if settings.get("resize_mode", "shortest") == "longest":
        raise ValueError(f"open_clip:{name}: pictures padded to a square cannot be served")
    squash = settings.get("resize_mode") == "squash"
    vision = OpenClipVision(model, settings["mean"], settings["std"]).eval()
    with torch.inference_mode():
        dimension = int(vision(torch.zeros(1, side, side, 3, dtype=torch.uint8)).shape[1])
    length = int(tokenizer.context_length)
    pad_id = 0 if fast.pad_token_id is None or model_name.startswith("ViT") else fast.pad_token_id
    bias = getattr(model, "logit_bias", None)
    return LoadedModel(
        name=model_name.lower(),
        vision=vision,
        text=OpenClipText(model, length, pad_id).eval(),
        tokenizer=fast,
        image=PixelSpec(side, "squash" if squash else "crop"),
        text_spec=TextSpec(length, template, pad_id),
        dimension=dimension,
        logit_scale=float(model.logit_scale.detach().exp()),
        logit_bias=None if bias is None else float(bias.detach()),
        source=f"open_clip:{name}",
    )


def _fast_tokenizer(model_name: str, tokenizer: Any) -> Any:
    """A Hugging Face fast tokenizer with the same numbers.

    Raises:
        ValueError: the model's tokenizer has no such form.
    """
    from transformers import AutoTokenizer

    wrapped = getattr(tokenizer, "tokenizer", None)  # open_clip's HFTokenizer
    if wrapped is not None and getattr(wrapped, "is_fast", False):
        return wrapped
    if type(tokenizer).__name__ == "SimpleTokenizer":
        # The same byte-pair table as CLIP's, which the hub keeps as a fast tokenizer.
        return AutoTokenizer.from_pretrained("openai/clip-vit-base-patch32")
    raise ValueError(f"open_clip:{model_name}: no fast tokenizer for {type(tokenizer).__name__}")
