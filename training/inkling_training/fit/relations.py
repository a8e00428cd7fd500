"""Which texts of a batch are right for which pictures, wrong, or neither.

    right      the text's interest is one of the picture's pairs: counts by the pair's weight
    ignored    it is none of them, but a near neighbour of one in the graph: may well be right
    wrong      everything else, and whatever mining found to be a hard negative of the picture

Texts are compared by interest, not by wording: two phrasings of one interest are one. Knows no
model and no wording.

Legend: B pictures, T texts, K pairs of a picture, H negatives of a picture, V interests; rows of
interests are padded with -1.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor

from inkling_server.interests.graph import GraphSnapshot


class Known(NamedTuple):
    """What is known of each picture of a batch, as rows of interests padded with -1.

    `pairs_BK` are its interests, `weights_BK` how far each is to be believed, `wrong_BH` what
    certainly does not fit.
    """

    pairs_BK: Tensor
    weights_BK: Tensor
    wrong_BH: Tensor


class Relations(NamedTuple):
    """Weight of each pair of picture and text (0: not right), and whether it is ignored."""

    weights_BT: Tensor
    ignored_BT: Tensor


class Neighbours:
    """Interests so near each other that one is not called wrong where the other is right."""

    def __init__(self, graph: GraphSnapshot, least_cosine: float) -> None:
        """Args:
        least_cosine: of the phrases' embeddings, in (0, 1]; above 1 ignores nothing.
        """
        edges, count = graph.edges, len(graph.interests)
        near_E = edges.semantic_E >= least_cosine
        first_E, second_E = edges.ends_E2[near_E, 0], edges.ends_E2[near_E, 1]
        ones = np.ones(2 * len(first_E), dtype=np.float32)
        ends = np.concatenate([first_E, second_E]), np.concatenate([second_E, first_E])
        self._near_VV = csr_array((ones, ends), shape=(count, count))

    def relate(self, known: Known, texts_T: Tensor) -> Relations:
        """How each picture stands to each text.

        Args:
            known: on any device; the answer is on that of `texts_T`.
            texts_T: the interest of each text.
        """
        device, texts = texts_T.device, texts_T.cpu().numpy()
        pairs_BK, weights_BK, wrong_BH = (part.cpu().numpy() for part in known)
        weights_BV = self._table(pairs_BK, weights_BK)
        weights_BT = weights_BV[:, texts].toarray()
        near_BT = (weights_BV @ self._near_VV[:, texts]).toarray() > 0
        wrong_BT = (
            self._table(wrong_BH, np.ones(wrong_BH.shape, np.float32))[:, texts].toarray() > 0
        )
        ignored_BT = near_BT & ~wrong_BT & (weights_BT <= 0)
        return Relations(
            torch.from_numpy(weights_BT).to(device), torch.from_numpy(ignored_BT).to(device)
        )

    def _table(self, rows_BK: NDArray[np.int64], values_BK: NDArray[np.float32]) -> csr_array:
        """Lists of interests, padded with -1, as a sparse table [B, V]."""
        pictures, slots = np.nonzero(rows_BK >= 0)
        return csr_array(
            (values_BK[pictures, slots], (pictures, rows_BK[pictures, slots])),
            shape=(len(rows_BK), self._near_VV.shape[0]),
        )
