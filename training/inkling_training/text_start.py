"""How texts begin: what stands for a classifier's label, and a projection that forgets little.

A projection that starts as the principal components of the phrases to come keeps nearly all of
what the text backbone knows; one that starts at random forgets it on small data. Nothing here
knows a backbone.

Legend: H backbone width, D embedding dimensions, N texts of a whole list.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

MAX_TOKENS = 32


def label_texts(classes: Sequence[str]) -> list[str]:
    """What to embed for a classifier's labels: their first two synonyms."""
    return [", ".join(names.split(", ")[:2]) for names in classes]


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
