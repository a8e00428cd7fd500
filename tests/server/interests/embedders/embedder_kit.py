"""Tiny real inputs: files of word vectors, a corpus of two themes, a BERT with random weights."""

import gzip
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

DIMENSION = 6
WORDS = ("the", "new_york", "new", "york", "pizza", "Paris", "café", "trail", "running", "of")
FOOD = ("pasta", "sauce", "garlic", "oven", "dough", "cheese")
BIKES = ("gear", "chain", "saddle", "brake", "wheel", "pedal")
BERT_WORDS = ("trail", "running", "new", "york", "pizza", "street", "food", "##s")


def vectors_of(words: Sequence[str] = WORDS, seed: int = 0) -> dict[str, list[float]]:
    """Random vectors with few digits, which text and float32 hold alike."""
    rng = np.random.default_rng(seed)
    rows_WD = rng.integers(-64, 64, (len(words), DIMENSION)) / 64
    return dict(zip(words, rows_WD.tolist(), strict=True))


def write_vectors(path: Path, vectors: dict[str, list[float]], *, header: bool) -> Path:
    """A text file, or a binary one where the name ends in .bin; gzipped where it ends in .gz."""
    is_binary = ".bin" in path.suffixes
    lines = [f"{len(vectors)} {DIMENSION}\n".encode()] if header or is_binary else []
    for word, row in vectors.items():
        if is_binary:
            lines.append(f"{word} ".encode() + np.array(row, "<f4").tobytes() + b"\n")
        else:
            lines.append(f"{word} {' '.join(map(str, row))}\n".encode())
    content = b"".join(lines)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def two_themes(sentence_count: int = 300, seed: int = 0) -> list[list[str]]:
    """Sentences about food, and sentences about bikes."""
    rng = random.Random(seed)
    return [rng.choices((FOOD, BIKES)[i % 2], k=6) for i in range(sentence_count)]


def write_bert(folder: Path, seed: int = 0) -> Path:
    """A sentence-transformers directory in the hub's format: BERT of two layers, mean pooling."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    entries = [*special, *BERT_WORDS, *letters, *(f"##{letter}" for letter in letters)]
    tokenizer = Tokenizer(
        models.WordPiece({w: i for i, w in enumerate(entries)}, unk_token="[UNK]")
    )
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    make_tokenizer: Any = PreTrainedTokenizerFast  # it has no types
    make_tokenizer(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=32,
    ).save_pretrained(folder)
    torch.manual_seed(seed)
    BertModel(
        BertConfig(
            vocab_size=len(entries),
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=32,
            max_position_embeddings=32,
            initializer_range=0.5,
        )
    ).save_pretrained(folder)
    modules = [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {
            "idx": 1,
            "name": "1",
            "path": "1_Pooling",
            "type": "sentence_transformers.models.Pooling",
        },
    ]
    _write_json(folder / "modules.json", modules)
    _write_json(
        folder / "sentence_bert_config.json", {"max_seq_length": 32, "do_lower_case": False}
    )
    pooling = {"word_embedding_dimension": 16, "pooling_mode_mean_tokens": True}
    (folder / "1_Pooling").mkdir()
    _write_json(folder / "1_Pooling" / "config.json", pooling)
    return folder


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")
