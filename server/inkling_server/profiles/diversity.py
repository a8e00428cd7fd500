"""Picks a list that is good as a whole: unlike one another, or in proportion to a distribution.

    scores ─► greedy: best score, less what is already there ─► places, in the order of being picked

It does not know people, and not where scores come from.

Shapes: n items, D dimensions, K clusters, I interests, L items picked.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Likeness:
    """How alike two items are, in [0, 1]: the mean of what is known of both.

    Attributes:
        pictures_nD: float32, rows of length 1, or 0 where there is no picture.
        tags_nI: float32, rows of length 1, or 0 where there are no tags.
    """

    pictures_nD: NDArray[np.float32] = field(repr=False)
    tags_nI: NDArray[np.float32] = field(repr=False)

    @classmethod
    def of(
        cls,
        rows_n: NDArray[np.int64],
        embeddings_ND: NDArray[np.float32],
        has_embedding_N: NDArray[np.bool_],
        tag_offsets: NDArray[np.integer],
        tag_interests_T: NDArray[np.integer],
        tag_scores_T: NDArray[np.float32],
    ) -> "Likeness":
        """Of some rows of N items.

        Args:
            rows_n: the items.
            embeddings_ND: rows of length 1; D may be 0.
            has_embedding_N: bool.
            tag_offsets: int [N + 1], into the tags.
            tag_interests_T: int, any numbers.
            tag_scores_T: in [0, 1].
        """
        pictures_nD = np.where(has_embedding_N[rows_n, None], embeddings_ND[rows_n], 0)
        counts_n = tag_offsets[rows_n + 1] - tag_offsets[rows_n]
        places = np.repeat(np.arange(len(rows_n)), counts_n)
        within = np.arange(len(places)) - np.repeat(np.cumsum(counts_n) - counts_n, counts_n)
        entries = np.repeat(tag_offsets[rows_n], counts_n) + within
        names, columns = np.unique(tag_interests_T[entries], return_inverse=True)
        tags_nI = np.zeros((len(rows_n), len(names)), np.float32)
        tags_nI[places, columns] = tag_scores_T[entries]
        lengths_n = np.linalg.norm(tags_nI, axis=1, keepdims=True)
        tags_nI /= np.where(lengths_n > 0, lengths_n, 1)
        return cls(pictures_nD.astype(np.float32, copy=False), tags_nI)

    def to(self, item: int) -> NDArray[np.float32]:
        """Of every item to one, float32 [n]: mean of the pictures' and the tags' cosines."""
        seen_n = self.pictures_nD.any(axis=1) & self.pictures_nD[item].any()
        told_n = self.tags_nI.any(axis=1) & self.tags_nI[item].any()
        pictures_n = np.clip(self.pictures_nD @ self.pictures_nD[item], 0, 1)
        tags_n = self.tags_nI @ self.tags_nI[item]
        known_n = seen_n.astype(np.float32) + told_n
        return np.asarray((pictures_n * seen_n + tags_n * told_n) / np.maximum(known_n, 1))


def pick_marginal(
    scores_n: NDArray[np.float64], likeness: Likeness, limit: int, diversity: float
) -> NDArray[np.int64]:
    """Maximal marginal relevance (Carbonell and Goldstein 1998), greedy.

        next = argmax over i not picked of (1 - d) score_i - d max over j picked of likeness_ij

    Args:
        scores_n: in [0, 1].
        likeness: of the same items.
        limit: items to pick at most.
        diversity: d, in [0, 1].

    Returns:
        places, in the order of being picked; equal ones by place.
    """
    picked: list[int] = []
    nearest_n = np.zeros(len(scores_n), np.float32)
    open_n = np.ones(len(scores_n), bool)
    for _ in range(min(limit, len(scores_n))):
        worth_n = (1 - diversity) * scores_n - diversity * nearest_n
        # With d = 1 nothing speaks for any first item: the best is it.
        if not picked:
            worth_n = scores_n
        choice = int(np.argmax(np.where(open_n, worth_n, -np.inf)))
        picked.append(choice)
        open_n[choice] = False
        np.maximum(nearest_n, likeness.to(choice), out=nearest_n)
    return np.array(picked, np.int64)


def pick_proportional(
    scores_n: NDArray[np.float64],
    assign_nK: NDArray[np.floating],
    shares_K: NDArray[np.floating],
    limit: int,
    diversity: float,
) -> NDArray[np.int64]:
    """PM-2 (Dang and Croft 2012, "Diversity by Proportionality"), greedy, mixed with the score.

    Clusters take places like parties take seats (Sainte-Lague): the greater a cluster's quotient
    q_k = share_k / (2 taken_k + 1), the more it is its turn. An item's gain, and what it takes:

        gain_i = sum over k of q_k a_ik,    taken_k += a_ik
        next   = argmax over i not picked of (1 - d) score_i + d gain_i / greatest gain

    This is PM-2 with lambda = 1/2, but that the score is added to the gain rather than multiplied
    with it: otherwise a cluster whose items all score low would stay below its share.

    Args:
        scores_n: in [0, 1].
        assign_nK: soft assignment to clusters, rows sum to 1.
        shares_K: what the list is to be like, sums to 1.
        limit: items to pick at most.
        diversity: d, in [0, 1].

    Returns:
        places, in the order of being picked; equal ones by place.
    """
    picked: list[int] = []
    taken_K = np.zeros(len(shares_K))
    open_n = np.ones(len(scores_n), bool)
    for _ in range(min(limit, len(scores_n))):
        quotients_K = shares_K / (2 * taken_K + 1)
        gain_n = np.where(open_n, assign_nK @ quotients_K, 0)
        greatest = gain_n.max()
        if greatest > 0:
            gain_n = gain_n / greatest
        worth_n = (1 - diversity) * scores_n + diversity * gain_n
        choice = int(np.argmax(np.where(open_n, worth_n, -np.inf)))
        picked.append(choice)
        open_n[choice] = False
        taken_K += assign_nK[choice]
    return np.array(picked, np.int64)
