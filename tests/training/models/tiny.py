"""More tiny random models in hub format: SigLIP and ViT, beside those of `tiny_towers`."""

import json
from pathlib import Path

import torch
from transformers import SiglipConfig, SiglipModel, ViTConfig, ViTModel

from tests.training import tiny_towers
from tests.training.tiny_towers import SIDE, WORDS

PROCESSOR = {
    "do_resize": True,
    "size": {"height": SIDE, "width": SIDE},
    "image_mean": [0.5, 0.4, 0.3],
    "image_std": [0.2, 0.3, 0.4],
}


def save_vit(folder: Path, layers: int = 3) -> str:
    """A plain ViT, as most vision models are: no classifier, no projection."""
    torch.manual_seed(4)
    config = ViTConfig(
        hidden_size=32,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=48,
        image_size=SIDE,
        patch_size=16,
    )
    ViTModel(config).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(PROCESSOR))
    return str(folder)


def save_clip(folder: Path) -> str:
    """`tiny_towers.save_clip` with the preprocessor that a hub directory has."""
    name = tiny_towers.save_clip(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(PROCESSOR))
    return name


def save_siglip(folder: Path) -> str:
    """A SigLIP whose tokenizer already is a fast one."""
    torch.manual_seed(6)
    small = {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
    }
    config = SiglipConfig(
        text_config=small
        | {"vocab_size": len(WORDS), "max_position_embeddings": 16, "projection_size": 32},
        vision_config=small | {"image_size": SIDE, "patch_size": 16},
    )
    SiglipModel(config).save_pretrained(folder)
    tiny_towers._save_tokenizer(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(PROCESSOR))
    return str(folder)
