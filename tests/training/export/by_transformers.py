"""What transformers itself says: its own processors, tokenizers and `get_*_features`.

Directories are named after their kind: clip, clip_eos, siglip, siglip2.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModel, AutoTokenizer, CLIPImageProcessorPil, SiglipImageProcessorPil


def images_by_transformers(folder: Path, pixels_BHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
    """get_image_features of tensors that transformers' own processor made of the same pixels."""
    processor: Any
    if "clip" in folder.name:
        processor = CLIPImageProcessorPil.from_pretrained(
            folder, do_resize=False, do_center_crop=False
        )
    else:
        # Pictures have the right size: its resize changes nothing.
        processor = SiglipImageProcessorPil.from_pretrained(folder)
    tensors = processor(list(pixels_BHWC), return_tensors="pt")
    with torch.inference_mode():
        features = AutoModel.from_pretrained(folder).eval().get_image_features(**tensors)
    return unit(features.pooler_output)


def texts_by_transformers(folder: Path, texts: list[str]) -> NDArray[np.float32]:
    """get_text_features of tensors from transformers' own tokenizer."""
    if folder.name.startswith("clip"):
        tokens: Any = AutoTokenizer.from_pretrained(folder)(
            texts, padding=True, return_tensors="pt"
        )
    else:
        tokenizer = AutoTokenizer.from_pretrained(folder)
        if folder.name == "siglip2":
            # transformers' own class for it; AutoTokenizer follows the name that the hub has.
            from transformers import Siglip2Tokenizer

            tokenizer = Siglip2Tokenizer.from_pretrained(folder)
        # As in SiglipModel's documentation: the model was trained this way.
        tokens = tokenizer(texts, padding="max_length", truncation=True, return_tensors="pt")
        tokens = {"input_ids": tokens["input_ids"]}
    with torch.inference_mode():
        features = AutoModel.from_pretrained(folder).eval().get_text_features(**tokens)
    return unit(features.pooler_output)


def unit(rows: torch.Tensor) -> NDArray[np.float32]:
    """Rows of length 1."""
    unit_BD: NDArray[np.float32] = (rows / rows.norm(dim=-1, keepdim=True)).numpy()
    return unit_BD
