"""Tiny random towers in Hugging Face's directory format: what the hub gives, without the hub."""

from pathlib import Path

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import (
    BertConfig,
    BertModel,
    CLIPConfig,
    CLIPModel,
    MobileNetV2Config,
    MobileNetV2ForImageClassification,
    PreTrainedTokenizerFast,
)

WORDS = ["[PAD]", "[UNK]", "a", "dog", "cat", "beach", "on", "two", "red", "ball"]
SIDE = 64


def save_classifier(folder: Path) -> str:
    """A MobileNetV2 with five labels, the first of them "background"."""
    torch.manual_seed(1)
    labels = {0: "background", 1: "dog, hound", 2: "cat", 3: "beach", 4: "ball"}
    config = MobileNetV2Config(
        image_size=SIDE,
        depth_multiplier=0.1,
        id2label=labels,
        label2id={v: k for k, v in labels.items()},
    )
    model = MobileNetV2ForImageClassification(config)
    for module in model.modules():
        if isinstance(module, torch.nn.Conv2d):  # as it is made, features fade to 1e-20
            torch.nn.init.kaiming_normal_(module.weight)
    model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(
        '{"image_mean": [0.5, 0.5, 0.5], "image_std": [0.25, 0.5, 1]}'
    )
    return str(folder)


def save_text_model(folder: Path) -> str:
    """A two-layer BERT and a word tokenizer."""
    torch.manual_seed(2)
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=96,
    )
    BertModel(config).save_pretrained(folder)
    _save_tokenizer(folder)
    return str(folder)


def save_clip(folder: Path) -> str:
    """A CLIP with both towers in one directory."""
    torch.manual_seed(3)
    small = {
        "hidden_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 32,
    }
    config = CLIPConfig(
        text_config=small
        | {"vocab_size": len(WORDS), "eos_token_id": 1, "max_position_embeddings": 40},
        vision_config=small | {"image_size": SIDE, "patch_size": 32},
        projection_dim=16,
    )
    CLIPModel(config).save_pretrained(folder)
    _save_tokenizer(folder)
    return str(folder)


def _save_tokenizer(folder: Path) -> None:
    tokenizer = Tokenizer(
        WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="[UNK]")
    )
    tokenizer.pre_tokenizer = Whitespace()
    fast = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", model_max_length=40
    )
    fast.save_pretrained(folder)
