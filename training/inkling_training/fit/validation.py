"""How well a model in training finds the right interest for pictures it does not learn from.

    pictures of the split "val", cut as the server cuts them -> embeddings \\
                                                                 best text, loss
    their interests and hard negatives, as plain phrases     -> embeddings /

Neighbours of a picture's interests are left out of its ranking, as in training. The numbers tell
when to stop and whether anything is learnt; they calibrate and report nothing. Knows no optimiser.

Legend: N pictures, T texts, D dimensions.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from inkling_training import losses
from inkling_training.fit.batches import Facts, Pairs
from inkling_training.fit.relations import Neighbours
from inkling_training.models.pairwise import PairwiseModel

_CHUNK = 64


class Validation:
    """A fixed part of the validation split, decoded once."""

    def __init__(
        self,
        model: PairwiseModel,
        pairs: Pairs,
        facts: Facts,
        neighbours: Neighbours,
        *,
        pixels: Callable[[bytes], NDArray[np.uint8]],
        tokens: Callable[[Sequence[int]], tuple[Tensor, Tensor]],
        device: torch.device,
        most: int = 512,
    ) -> None:
        """Args:
        pixels: picture -> uint8 [S, S, 3].
        tokens: graph rows -> token numbers and mask of their phrases.
        most: pictures at most, evenly over the split.
        """
        self._model, self._device = model, device
        places = np.unique(np.linspace(0, len(facts.rows) - 1, most).round().astype(int))
        self._pixels = np.stack([pixels(pairs[int(facts.rows[one])].picture) for one in places])
        rows = {row for one in places for row, _ in facts.pairs[one]}
        rows |= {row for one in places for row in facts.negatives[one][:4]}
        self._rows = sorted(rows)
        self._tokens = [
            tokens(self._rows[start : start + _CHUNK])
            for start in range(0, len(self._rows), _CHUNK)
        ]
        relations = neighbours.relate(facts.known(places), torch.tensor(self._rows))
        self._weights_NT, self._ignored_NT = relations

    @torch.no_grad()
    def __call__(self) -> dict[str, float]:
        """`val_recall_at_1`: share of pictures whose best text is one of its interests, in [0, 1];
        `val_infonce`: the loss over all of them.
        """
        pictures = [
            self._model.embed_pictures(
                torch.from_numpy(self._pixels[start : start + _CHUNK]).to(self._device)
            )
            for start in range(0, len(self._pixels), _CHUNK)
        ]
        phrases = [
            self._model.embed_phrases(ids.to(self._device), mask.to(self._device))
            for ids, mask in self._tokens
        ]
        logits_NT = self._model.similarity.logits(torch.cat(pictures), torch.cat(phrases)).cpu()
        hidden_NT = self._ignored_NT & (self._weights_NT <= 0)
        best_N = logits_NT.masked_fill(hidden_NT, -torch.inf).argmax(dim=1)
        right_N = self._weights_NT[torch.arange(len(best_N)), best_N] > 0
        loss = losses.infonce_loss(logits_NT, self._weights_NT, self._ignored_NT)
        return {
            "val_infonce": float(loss),
            "val_recall_at_1": float(right_N.float().mean()),
        }
