"""Tiny random dual encoders in the hub's format: CLIP, SigLIP with SentencePiece, SigLIP 2."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from transformers import CLIPConfig, CLIPModel, SiglipConfig, SiglipModel

from tests.training.tiny_towers import SIDE

MEAN, STD = [0.48, 0.46, 0.41], [0.27, 0.26, 0.28]
PHRASES = ["dog", "two red ball on a beach", "A cat!", "red", "Beach ball"]
_SIGLIP_TOKENS = 64
_SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
}


def save_whole_clip(folder: Path, *, eos_in_config: bool = False) -> Path:
    """A CLIP directory with a byte-pair tokenizer and a preprocessor that cuts the middle quarter.

    The first CLIPs on the hub say that 2 ends a text, and then the greatest number of a row does;
    later ones (`eos_in_config`) name the real one.
    """
    from transformers import CLIPTokenizer

    folder.mkdir(parents=True)
    letters = "abcdefghijklmnopqrstuvwxyz!,."
    words = [*letters, *(f"{letter}</w>" for letter in letters), "do", "dog</w>"]
    words += ["<|startoftext|>", "<|endoftext|>"]
    tokenizer = CLIPTokenizer(
        vocab={word: number for number, word in enumerate(words)},
        merges=[("d", "o"), ("do", "g</w>")],  # type: ignore[list-item]  # what `tokenizers` wants
        model_max_length=40,
    )
    tokenizer.save_pretrained(folder)
    torch.manual_seed(3)
    end = len(words) - 1
    text = {
        "vocab_size": len(words),
        "max_position_embeddings": 40,
        "bos_token_id": end - 1,
        "eos_token_id": end if eos_in_config else 2,
        "pad_token_id": end,
    }
    vision = {"image_size": SIDE, "patch_size": 16}
    config = CLIPConfig(text_config=_SMALL | text, vision_config=_SMALL | vision, projection_dim=16)
    CLIPModel(config).save_pretrained(folder)
    _save_processor(
        folder,
        image_processor_type="CLIPImageProcessor",
        size={"shortest_edge": SIDE * 2},
        crop_size={"height": SIDE, "width": SIDE},
        image_mean=MEAN,
        image_std=STD,
    )
    return folder


def save_siglip(folder: Path) -> Path:
    """A SigLIP directory; its tokenizer is a SentencePiece model trained on the spot."""
    sentencepiece = pytest.importorskip("sentencepiece")
    from transformers import SiglipTokenizer

    folder.mkdir(parents=True)
    sentences = [
        "a photo of a dog", "two people on a beach at sunset seen from a boat", "red ball", "cat",
        "the quick brown fox jumps over the lazy dog", "its rock and roll live in nineteen ninety",
    ]  # fmt: skip
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences * 9),
        model_prefix=str(folder / "spiece"),
        vocab_size=120,
        hard_vocab_limit=False,
        pad_id=-1,
        bos_id=-1,
        eos_id=1,
        unk_id=2,
        minloglevel=2,
    )
    tokenizer = SiglipTokenizer(str(folder / "spiece.model"))
    tokenizer.save_pretrained(folder)
    _save_siglip_model(folder, len(tokenizer), pad=1)
    return folder


def save_siglip2(folder: Path) -> Path:
    """A fixed-resolution SigLIP 2: a SigLIP model whose tokenizer says that it is Gemma's."""
    from transformers import Siglip2Tokenizer

    folder.mkdir(parents=True)
    words = [
        "<pad>",
        "<eos>",
        "<bos>",
        "<unk>",
        "<mask>",
        "▁",
        *"abcdefghijklmnopqrstuvwxyz!",
        "do",
    ]
    tokenizer = Siglip2Tokenizer(
        vocab={word: number for number, word in enumerate(words)}, merges=[("d", "o")],  # type: ignore[list-item]  # what `tokenizers` wants
        add_bos_token=False, add_eos_token=True, padding_side="right", model_max_length=64,
    )  # fmt: skip
    tokenizer.save_pretrained(folder)
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(config | {"tokenizer_class": "GemmaTokenizer"}), encoding="utf-8")
    _save_siglip_model(folder, len(tokenizer), pad=0)
    return folder


SAVERS: dict[str, Callable[[Path], Path]] = {
    "clip": save_whole_clip,
    "clip_eos": partial(save_whole_clip, eos_in_config=True),
    "siglip": save_siglip,
    "siglip2": save_siglip2,
}


def pictures(count: int = 4, side: int = SIDE, seed: int = 1) -> NDArray[np.uint8]:
    """uint8 [B, S, S, 3]: noise, which no encoder finds alike."""
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def _save_siglip_model(folder: Path, words: int, pad: int) -> None:
    torch.manual_seed(4)
    config = SiglipConfig(
        text_config=_SMALL
        | {
            "vocab_size": words,
            "max_position_embeddings": _SIGLIP_TOKENS,
            "pad_token_id": pad,
            "projection_size": 32,
        },
        vision_config=_SMALL | {"image_size": SIDE, "patch_size": 16},
    )
    model = SiglipModel(config)
    with torch.no_grad():
        model.logit_scale.fill_(4.7)
        model.logit_bias.fill_(-16.5)
    model.save_pretrained(folder)
    _save_processor(
        folder,
        image_processor_type="SiglipImageProcessor",
        size={"height": SIDE, "width": SIDE},
        image_mean=[0.5, 0.5, 0.5],
        image_std=[0.5, 0.5, 0.5],
        rescale_factor=1 / 255,
    )


def _save_processor(folder: Path, **settings: object) -> None:
    (folder / "preprocessor_config.json").write_text(json.dumps(settings), encoding="utf-8")
