"""Phrases to token numbers, by the `tokenizer.json` that belongs to a text encoder's version.

Rows are cut to the model's limit and padded to one of a few lengths, so that the runtime behind
Triton meets few shapes. Knows no Triton; training and serving both may use it.

Shapes: B phrases, L tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from inkling_server.model_manifest import TextSpec

LENGTHS = (8, 16, 32, 64, 128, 256, 512)


@dataclass(frozen=True, slots=True)
class TokenBatch:
    """Some phrases of a list, of about one length.

    Attributes:
        rows: where in the list each of them stands.
        input_ids_BL, attention_mask_BL: int64.
    """

    rows: list[int]
    input_ids_BL: NDArray[np.int64]
    attention_mask_BL: NDArray[np.int64]


class PhraseTokenizer:
    """Turns lists of phrases into batches. Safe to use from several threads."""

    def __init__(self, tokenizer_json: Path, spec: TextSpec) -> None:
        """Raises OSError when there is no such file, ValueError when it is no tokenizer."""
        text = tokenizer_json.read_text(encoding="utf-8")
        try:
            self._tokenizer: Tokenizer = Tokenizer.from_str(text)
        except Exception as error:  # the library raises nothing more specific
            raise ValueError(f"{tokenizer_json.name} does not hold a tokenizer") from error
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(spec.max_tokens)
        self._spec = spec

    def batches(self, texts: Sequence[str], largest: int) -> list[TokenBatch]:
        """Groups phrases of similar length into batches of at most `largest` rows."""
        # One by one: the library's own batches start threads, which warn when a process forks.
        ids = [self._tokenizer.encode(self._spec.template.format(text)).ids for text in texts]
        order = sorted(range(len(texts)), key=lambda row: len(ids[row]))
        batches = []
        for start in range(0, len(order), largest):
            rows = order[start : start + largest]
            length = self._padded(len(ids[rows[-1]]))
            input_ids_BL = np.full((len(rows), length), self._spec.pad_id, np.int64)
            attention_mask_BL = np.zeros((len(rows), length), np.int64)
            for place, row in enumerate(rows):
                input_ids_BL[place, : len(ids[row])] = ids[row]
                attention_mask_BL[place, : len(ids[row])] = 1
            batches.append(TokenBatch(rows, input_ids_BL, attention_mask_BL))
        return batches

    def _padded(self, length: int) -> int:
        fitting = next((bucket for bucket in LENGTHS if bucket >= length), length)
        return max(1, min(fitting, self._spec.max_tokens))
