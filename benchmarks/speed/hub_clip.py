"""A CLIP with ViT-B/32's shape and random weights, as a directory in the hub's format.

Speed does not depend on what the weights are, and nothing has to be fetched. Needs the training
extra (torch, transformers). It does not know servers.

The shape: Radford et al., "Learning transferable visual models from natural language supervision"
(2021), table 20: ViT-B/32 at 224 pixels, 512 dimensions.
"""

import json
import string
from pathlib import Path

_VISION = {
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "patch_size": 32,
    "image_size": 224,
}
_TEXT = {
    "hidden_size": 512,
    "num_hidden_layers": 12,
    "num_attention_heads": 8,
    "intermediate_size": 2048,
    "max_position_embeddings": 77,
}
_DIMENSION = 512
_MEAN, _STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]


def save_random_clip(folder: Path) -> Path:
    """Writes model, tokenizer (letters) and preprocessor; does nothing where they are already."""
    if (folder / "preprocessor_config.json").exists():
        return folder
    import torch
    from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

    folder.mkdir(parents=True, exist_ok=True)
    letters = string.ascii_lowercase + string.digits + "!,.-'&"
    words = [*letters, *(f"{letter}</w>" for letter in letters)]
    words += ["<|startoftext|>", "<|endoftext|>"]
    end = len(words) - 1
    tokenizer = CLIPTokenizer(
        vocab={word: number for number, word in enumerate(words)},
        merges=[],
        model_max_length=77,
    )
    tokenizer.save_pretrained(folder)
    text = _TEXT | {
        "vocab_size": len(words),
        "bos_token_id": end - 1,
        "eos_token_id": end,
        "pad_token_id": end,
    }
    torch.manual_seed(5)
    config = CLIPConfig(text_config=text, vision_config=_VISION, projection_dim=_DIMENSION)
    CLIPModel(config).save_pretrained(folder)
    processor = {
        "image_processor_type": "CLIPImageProcessor",
        "do_resize": True,
        "size": {"shortest_edge": 224},
        "resample": 3,
        "do_center_crop": True,
        "crop_size": {"height": 224, "width": 224},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": _MEAN,
        "image_std": _STD,
        "do_convert_rgb": True,
    }
    # Last: its presence says that the directory is whole.
    (folder / "preprocessor_config.json").write_text(json.dumps(processor), encoding="utf-8")
    return folder
