"""Pooled texts of every interest in several wordings, computed once and cached.

The first wording is the bare phrase, which is what serving embeds; the others are templates,
aliases and synonyms (`augment.texts`), so that the picture side learns a meaning and not a string.
Knows no pictures.

Legend: V interests, R renderings, H width of the text backbone.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from inkling_server.interests.graph import Interest
from inkling_training.augment.texts import TextAugmenter
from inkling_training.models.towers import PhraseTower
from inkling_training.small.model import pooled_texts

_SEED = 0


def renderings(interests: Sequence[Interest], count: int) -> list[list[str]]:
    """`count` wordings of each interest, [V][R]; the first is its phrase."""
    augmenter = TextAugmenter(interests)
    rng = np.random.default_rng(_SEED)
    return [
        [interest.phrase, *(augmenter.render(row, rng) for _ in range(count - 1))]
        for row, interest in enumerate(interests)
    ]


def pooled_renderings(
    tower: PhraseTower, tokenizer: Any, interests: Sequence[Interest], cache: Path, count: int
) -> Tensor:
    """Pooled states of all wordings, float32 [V, R, H]; read from `cache` where they are known."""
    texts = [text for wordings in renderings(interests, count) for text in wordings]
    digest = hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]
    path = cache / f"phrases-{digest}.npy"
    if not path.exists():
        different = list(dict.fromkeys(texts))
        pooled_XH = pooled_texts(tower, tokenizer, different)
        place = {text: number for number, text in enumerate(different)}
        rows = torch.tensor([place[text] for text in texts])
        draft = path.with_suffix(".draft")
        with draft.open("wb") as file:
            np.save(file, pooled_XH[rows].view(len(interests), count, -1).numpy())
        draft.rename(path)
    return torch.from_numpy(np.load(path))
