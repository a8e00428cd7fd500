"""Texts to embeddings: any Hugging Face text model, by hub name or directory, and one linear
projection.

    input_ids, attention_mask [B, L] -> backbone -> mean of the tokens [B, H] -> projection -> [B,
    D], length 1

A projection that starts as the principal components of the phrases to come keeps nearly all of
what the backbone knows; one that starts at random forgets it on small data. The tower knows no
pictures.

Legend: B texts, L tokens, H backbone width, D embedding dimensions, N texts of a whole list.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoModel, AutoTokenizer

MAX_TOKENS = 32


class TextTower(nn.Module):
    """A backbone and its projection; `forward` is what gets exported."""

    def __init__(self, backbone: nn.Module, width: int, dimension: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.projection = nn.Linear(width, dimension)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """int64 [B, L] twice -> float32 [B, D], rows of length 1."""
        return self.project(self.pool(input_ids, attention_mask))

    def pool(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Mean of the real tokens' states, length 1: [B, H]."""
        state_BLH = self.backbone(
            input_ids=input_ids, attention_mask=attention_mask
        ).last_hidden_state
        mask_BL1 = attention_mask.unsqueeze(-1).to(state_BLH.dtype)
        summed_BH = (state_BLH * mask_BL1).sum(dim=1)
        return functional.normalize(summed_BH / mask_BL1.sum(dim=1).clamp(min=1), dim=-1)

    def project(self, pooled_BH: Tensor) -> Tensor:
        """Pooled states [B, H] -> embeddings [B, D], rows of length 1."""
        return functional.normalize(self.projection(pooled_BH), dim=-1)


def load_text_tower(name: str, dimension: int = 256) -> tuple[TextTower, Any]:
    """Loads a text model (or the text half of a CLIP-like one) and its tokenizer.

    Returns:
        The tower, backbone frozen and in eval mode, and the Hugging Face tokenizer.
    """
    model = AutoModel.from_pretrained(name)
    backbone = getattr(model, "text_model", model)
    tokenizer = AutoTokenizer.from_pretrained(name)
    tower = TextTower(backbone, backbone.config.hidden_size, dimension).eval()
    tower.backbone.requires_grad_(requires_grad=False)
    return tower, tokenizer


def tokenize(tokenizer: Any, texts: list[str]) -> tuple[Tensor, Tensor]:
    """Token numbers and mask, int64 [B, L], L <= MAX_TOKENS."""
    tokens = tokenizer(
        texts, padding=True, truncation=True, max_length=MAX_TOKENS, return_tensors="pt"
    )
    return tokens["input_ids"], tokens["attention_mask"]


def label_texts(classes: Sequence[str]) -> list[str]:
    """What to embed for a classifier's labels: their first two synonyms."""
    return [", ".join(names.split(", ")[:2]) for names in classes]


@torch.no_grad()
def pool_texts(tower: TextTower, tokenizer: Any, texts: list[str], batch: int = 256) -> Tensor:
    """Pooled states [N, H] of many texts, short ones together so that little is padding."""
    order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
    width = tower.projection.in_features
    pooled_NH = torch.empty(len(texts), width)
    for start in range(0, len(order), batch):
        rows = order[start : start + batch]
        pooled_NH[rows] = tower.pool(*tokenize(tokenizer, [texts[row] for row in rows]))
    return pooled_NH


def start_at_principal_components(projection: nn.Linear, pooled_NH: Tensor) -> float:
    """Sets the projection to the centred PCA of the texts; returns the share of variance kept.

    Centring takes away what all phrases share, so that unrelated phrases come out near cosine 0.
    """
    states: NDArray[np.float64] = pooled_NH.double().numpy()
    centre_H = states.mean(axis=0)
    _, strengths, axes = np.linalg.svd(states - centre_H, full_matrices=False)
    kept = axes[: projection.out_features]
    weight_DH = np.zeros((projection.out_features, states.shape[1]))
    weight_DH[: len(kept)] = kept
    with torch.no_grad():
        projection.weight.copy_(torch.from_numpy(weight_DH))
        projection.bias.copy_(torch.from_numpy(-weight_DH @ centre_H))
    return float((strengths[: len(kept)] ** 2).sum() / (strengths**2).sum())
