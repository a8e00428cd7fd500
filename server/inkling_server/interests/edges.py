"""Edges of the interest graph: nearest by meaning, and the combination with co-engagement.

    embeddings ─► semantic_neighbors ─► Neighbors ─┐
                      ▲ previous (only what changed)├─► combine ─► Edges
    people ─► engagement.engagement_edges ──────────┘

The search is exact, by numpy alone, and in blocks, so that memory stays bounded. Single precision
matrix products only *propose*: whatever lies within their rounding error of the k-th place is
scored again in double precision, pair by pair. So a cosine depends on its two vectors alone, and
what a refresh computes from the previous graph is, to the last bit, what a search of everything
gives.

Nothing here knows phrases, people or where vectors come from.

Shapes: N interests now, M before, K neighbours kept of each, D numbers per embedding, B rows of a
block, P pairs, E edges.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from inkling_server.interests.engagement import EngagementEdges
from inkling_server.interests.graph import Edges
from inkling_server.interests.strongest import strongest

Float32 = NDArray[np.float32]
# Cosines of a block, 32 MB; partitioning takes the same again.
_BLOCK_CELLS = 8_000_000
# Pairs scored at a time: 16,000 of 256 numbers are 32 MB in double precision.
_PAIR_CELLS = 4_000_000
SEMANTIC_TRUST = 0.9
ENGAGEMENT_TRUST = 0.9


@dataclass(frozen=True, slots=True, eq=False)
class Neighbors:
    """The nearest of each interest, the closest first; ties: the lower row first.

    Attributes:
        rows_NK: int32; -1 where there are fewer than K.
        cosines_NK: float32 in [min_cosine, 1]; 0 where there are fewer.
        min_cosine: no neighbour is further than this; above 0.
    """

    rows_NK: NDArray[np.int32]
    cosines_NK: Float32
    min_cosine: float

    def __post_init__(self) -> None:
        self.rows_NK.setflags(write=False)
        self.cosines_NK.setflags(write=False)

    @classmethod
    def from_edges(cls, edges: Edges, count: int, *, k: int, min_cosine: float) -> "Neighbors":
        """The lists that `combine` joined, which edges hold in full: nothing else need be stored.

        (What else an interest is joined with named it, and is further than its own K nearest.)

        Args:
            edges: of a graph whose semantic edges were made with this `k` and `min_cosine`.
            count: interests of that graph, N.
            k: neighbours kept of each, K.
            min_cosine: see `semantic_neighbors`.
        """
        chosen = edges.semantic_E > 0
        ends_E2, cosines_E = edges.ends_E2[chosen], edges.semantic_E[chosen]
        pairs = _Pairs(
            np.r_[ends_E2[:, 0], ends_E2[:, 1]].astype(np.int64),
            np.r_[ends_E2[:, 1], ends_E2[:, 0]].astype(np.int64),
            np.r_[cosines_E, cosines_E],
        )
        return _lists(_nearest(pairs, k), count, k, min_cosine)


@dataclass(frozen=True, slots=True, eq=False)
class PreviousNeighbors:
    """What the previous graph knows.

    Attributes:
        neighbors: its lists, of M interests.
        rows_N: for each interest of now, its row there; -1: it is new, or its embedding changed.
            Rows that are kept keep their order (both graphs are sorted by id). See `same_rows`.
    """

    neighbors: Neighbors
    rows_N: NDArray[np.int64]

    def __post_init__(self) -> None:
        kept = self.rows_N[self.rows_N >= 0]
        if len(kept) and (not (np.diff(kept) > 0).all() or kept[-1] >= len(self.neighbors.rows_NK)):
            raise ValueError("kept rows must be rows of the previous graph, in the same order")


def same_rows(
    old_ids: Sequence[str], old_MD: Float32, new_ids: Sequence[str], new_ND: Float32
) -> NDArray[np.int64]:
    """The row before of each interest whose embedding is still the same, else -1, [N]."""
    row_of = {name: row for row, name in enumerate(old_ids)}
    rows_N = np.array([row_of.get(name, -1) for name in new_ids], np.int64)
    if old_MD.shape[1:] != new_ND.shape[1:]:
        return np.full(len(new_ids), -1, np.int64)
    known = np.flatnonzero(rows_N >= 0)
    step = max(1, _PAIR_CELLS // max(1, new_ND.shape[1]))
    for start in range(0, len(known), step):
        some = known[start : start + step]
        changed = (old_MD[rows_N[some]] != new_ND[some]).any(axis=1)
        rows_N[some[changed]] = -1
    return rows_N


def semantic_neighbors(
    embeddings_ND: Float32,
    *,
    min_cosine: float,
    k: int = 10,
    previous: PreviousNeighbors | None = None,
) -> Neighbors:
    """The k nearest of each interest by cosine, exact.

    With `previous`, only new rows are held against all. A row whose list was full and lost an entry
    is searched anew, since nobody knows who would follow; one whose list was not full already had
    all that is near enough. A previous graph of other settings, or one of which less than half is
    left, is not used.

    Args:
        embeddings_ND: of any length; a row of zeros means: no vector, so no neighbours.
        min_cosine: in (0, 1]; what is further is no neighbour.
        k: at most so many, >= 1.
        previous: the graph before, if there is one.

    Raises:
        ValueError: a number is not finite, or an argument is out of its range.
    """
    if k < 1 or not 0 < min_cosine <= 1:
        raise ValueError("k: at least 1; min_cosine: above 0, at most 1")
    units_ND = _unit_rows(embeddings_ND)
    count = len(units_ND)
    kept = _carry_over(previous, count, k, min_cosine)
    has_vector_N = units_ND.any(axis=1)
    margin = 2 * (units_ND.shape[1] + 4) * 2.0**-24  # twice the error bound of a sum of D products
    is_update = bool(np.isfinite(kept.floors_N).any())
    parts = [kept.pairs]
    for rows_A, are_new in (
        (np.flatnonzero(kept.is_new_N & has_vector_N), True),
        (np.flatnonzero(kept.is_stale_N), False),
    ):
        step = max(1, _BLOCK_CELLS // max(1, count))
        for start in range(0, len(rows_A), step):
            rows_B = rows_A[start : start + step]
            cosines_BN = units_ND[rows_B] @ units_ND.T
            cosines_BN[np.arange(len(rows_B)), rows_B] = -2  # nobody is their own neighbour
            floors_B1 = np.full((len(rows_B), 1), min_cosine, np.float32)
            if count > k:
                kth_B = np.partition(cosines_BN, count - k, axis=1)[:, count - k]
                floors_B1[:, 0] = np.maximum(kth_B, min_cosine)
            found = cosines_BN >= floors_B1 - np.float32(margin)
            near_P, far_P = np.divmod(np.flatnonzero(found), count)
            proposed = [(rows_B[near_P], far_P)]
            if are_new and is_update:
                # The same products tell kept rows which new ones are nearer than their last.
                found = cosines_BN >= (kept.floors_N - margin).astype(np.float32)
                near_P, far_P = np.divmod(np.flatnonzero(found), count)
                proposed.append((far_P, rows_B[near_P]))
            for from_P, to_P in proposed:
                scored = _Pairs(from_P, to_P, _exact_cosines(units_ND, from_P, to_P))
                parts.append(_nearest(scored.where(scored.cosines_P >= np.float32(min_cosine)), k))
    pairs = _Pairs(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
    return _lists(_nearest(pairs, k), count, k, min_cosine)


def combine(neighbors: Neighbors, engagement: EngagementEdges) -> Edges:
    """Joins both kinds: an edge for each pair of which either names the other, or people join.

    The combined weight is a noisy or (Pearl 1988) of two witnesses, each trusted `*_TRUST`:

        weight = 1 - (1 - SEMANTIC_TRUST * semantic) * (1 - ENGAGEMENT_TRUST * engagement)

    It grows with each of the two, is in (0, 1), and two middling witnesses outweigh a strong one
    (.6 and .5: .75; .8 alone: .72). The trusts were not tuned on anything: below 1, so that a
    perfect cosine still leaves room for what people do, and alike, so that neither kind rules.

    Args:
        neighbors: by meaning, of N interests.
        engagement: by people; rows below N.
    """
    count = len(neighbors.rows_NK)
    from_P, place_P = np.nonzero(neighbors.rows_NK >= 0)
    to_P = neighbors.rows_NK[from_P, place_P].astype(np.int64)
    keys_P = np.minimum(from_P, to_P) * count + np.maximum(from_P, to_P)
    first, second = engagement.ends_E2.T.astype(np.int64)
    if len(engagement.ends_E2) and engagement.ends_E2.max() >= count:
        raise ValueError("engagement names interests that have no row of neighbours")
    keys_Q = first * count + second
    keys_E = np.unique(np.r_[keys_P, keys_Q])
    semantic_E = np.zeros(len(keys_E), np.float32)
    # A pair that is named from both sides has the same cosine from both.
    semantic_E[np.searchsorted(keys_E, keys_P)] = neighbors.cosines_NK[from_P, place_P]
    engagement_E = np.zeros(len(keys_E), np.float32)
    engagement_E[np.searchsorted(keys_E, keys_Q)] = engagement.npmi_E
    ends_E2 = np.stack(np.divmod(keys_E, max(count, 1)), axis=1).astype(np.int32)
    weight_E = combined_weight(semantic_E, engagement_E)
    return Edges(ends_E2, np.clip(semantic_E, 0, 1), engagement_E, weight_E)


def combined_weight(semantic_E: Float32, engagement_E: Float32) -> Float32:
    """The noisy or that `combine` documents, float32 in (0, 1) where either is above 0, [E]."""
    s_E = SEMANTIC_TRUST * np.clip(semantic_E.astype(np.float64), 0, 1)
    e_E = ENGAGEMENT_TRUST * np.clip(engagement_E.astype(np.float64), 0, 1)
    # Not 1 - (1 - s)(1 - e): that rounds the smallest weights to 0.
    return np.asarray(s_E + e_E * (1 - s_E)).astype(np.float32)


class _Pairs(NamedTuple):
    """Directed: `to_P` is near `from_P`."""

    from_P: NDArray[np.int64]
    to_P: NDArray[np.int64]
    cosines_P: Float32

    def where(self, chosen_P: NDArray[np.bool_]) -> "_Pairs":
        return _Pairs(self.from_P[chosen_P], self.to_P[chosen_P], self.cosines_P[chosen_P])


_NO_PAIRS = _Pairs(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))


class _Kept(NamedTuple):
    """Of the previous graph: pairs that still hold, and what to search.

    floors_N: how near a new row must be to enter a row's list; infinite where that is made anew.
    """

    pairs: _Pairs
    floors_N: NDArray[np.float64]
    is_new_N: NDArray[np.bool_]
    is_stale_N: NDArray[np.bool_]


def _carry_over(previous: PreviousNeighbors | None, count: int, k: int, min_cosine: float) -> _Kept:
    if previous is not None and len(previous.rows_N) != count:
        raise ValueError("previous.rows_N must have one entry for each embedding")
    if (
        previous is None
        or previous.neighbors.min_cosine != min_cosine
        or previous.neighbors.rows_NK.shape[1] != k
        or (previous.rows_N >= 0).sum() < count / 2
    ):
        everywhere, nowhere = np.ones(count, np.bool_), np.zeros(count, np.bool_)
        return _Kept(_NO_PAIRS, np.full(count, np.inf), everywhere, nowhere)
    old_MK, old_cosines_MK = previous.neighbors.rows_NK, previous.neighbors.cosines_NK
    is_new_N = previous.rows_N < 0
    kept_C = np.flatnonzero(~is_new_N)
    new_of_old_M = np.full(len(old_MK) + 1, -1, np.int64)  # the last one answers for -1
    new_of_old_M[previous.rows_N[kept_C]] = kept_C
    old_CK = old_MK[previous.rows_N[kept_C]]
    cosines_CK = old_cosines_MK[previous.rows_N[kept_C]]
    rows_CK = new_of_old_M[old_CK]
    was_full_C = old_CK[:, -1] >= 0
    lost_one_C = ((old_CK >= 0) & (rows_CK < 0)).any(axis=1)
    stale_C = was_full_C & lost_one_C
    is_stale_N = np.zeros(count, np.bool_)
    is_stale_N[kept_C[stale_C]] = True
    floors_N = np.full(count, np.inf)
    floors_N[kept_C] = np.where(was_full_C, cosines_CK[:, -1], min_cosine)
    floors_N[is_stale_N] = np.inf
    at_C, place_C = np.nonzero((rows_CK >= 0) & ~stale_C[:, None])
    pairs = _Pairs(kept_C[at_C], rows_CK[at_C, place_C], cosines_CK[at_C, place_C])
    return _Kept(pairs, floors_N, is_new_N, is_stale_N)


def _unit_rows(embeddings_ND: Float32) -> Float32:
    """Rows of length 1, each from its own numbers alone; rows of zeros stay."""
    if embeddings_ND.ndim != 2 or not np.isfinite(embeddings_ND).all():
        raise ValueError("embeddings must be [N, D] and finite")
    units_ND = np.empty(embeddings_ND.shape, np.float32)
    step = max(1, _PAIR_CELLS // max(1, embeddings_ND.shape[1]))
    for start in range(0, len(units_ND), step):
        wide_BD = np.ascontiguousarray(embeddings_ND[start : start + step], dtype=np.float64)
        lengths_B = np.sqrt((wide_BD * wide_BD).sum(axis=1))
        units_ND[start : start + step] = wide_BD / np.where(lengths_B > 0, lengths_B, 1)[:, None]
    return units_ND


def _exact_cosines(
    units_ND: Float32, from_P: NDArray[np.int64], to_P: NDArray[np.int64]
) -> Float32:
    """Cosines whose value depends on the two rows alone, and not on what else is computed, [P]."""
    cosines_P = np.empty(len(from_P), np.float32)
    step = max(1, _PAIR_CELLS // max(1, units_ND.shape[1]))
    for start in range(0, len(from_P), step):
        some = slice(start, start + step)
        left_PD = units_ND[from_P[some]].astype(np.float64)
        cosines_P[some] = (left_PD * units_ND[to_P[some]]).sum(axis=1)
    return np.minimum(cosines_P, np.float32(1))


def _nearest(pairs: _Pairs, k: int) -> _Pairs:
    """Each row's k nearest, the closest first, rows in order."""
    chosen = strongest(*pairs, k)
    return _Pairs(pairs.from_P[chosen], pairs.to_P[chosen], pairs.cosines_P[chosen])


def _lists(pairs: _Pairs, count: int, k: int, min_cosine: float) -> Neighbors:
    starts_P = np.searchsorted(pairs.from_P, pairs.from_P)
    place_P = np.arange(len(pairs.from_P)) - starts_P
    rows_NK = np.full((count, k), -1, np.int32)
    rows_NK[pairs.from_P, place_P] = pairs.to_P
    cosines_NK = np.zeros((count, k), np.float32)
    cosines_NK[pairs.from_P, place_P] = pairs.cosines_P
    return Neighbors(rows_NK, cosines_NK, min_cosine)
