"""Which items the same people engage with: item-to-item weights, and popularity; a batch job.

    people, items, weights ─► people x items ─► per item: nearest items ─► ridge ─► k strongest

EASE (Steck 2019, "Embarrassingly Shallow Autoencoders for Sparse Data", eq. 8) is the matrix B with
a zero diagonal that rebuilds people's engagement X from itself with the least squares:

    min |X - X B|^2 + ridge |B|^2,  diag(B) = 0;    P = (X'X + ridge I)^-1,  B_ij = -P_ij / P_jj

B_ij is what engagement with item i says for item j. Its inverse costs items^2 of memory and items^3
of time, and nearly all of B must be kept to be as good. Column j alone is a ridge regression on all
other items; here only the nearest items S may speak for j, and the regression is solved for them:

    B_Sj = (G_SS + ridge I)^-1 G_Sj,    G = X'X

as in SLIM with selected features (Ning and Karypis 2011), without its L1 norm. With every item in S
this is EASE, to the last digit. Near is who has more people in common than chance brings together,
shrunk: (G_ij - n_i n_j / P) / sqrt(G_ii + ridge), n_i an item's summed weight. Only positive
weights are kept. What this costs in quality: benchmarks/bench_recommend.py has exact EASE, too.

It does not know who people are, what they did, or when: a caller weighs that.

Shapes: P people, N items, M engagements, E neighbours, S sources of one item.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from inkling_server.interests.blocks import blocks

# Pairs of items counted in one block, about 100 MB.
_BLOCK_PAIRS = 4_000_000
# Most-engaged items whose common people are counted once for all, 130 MB.
_LOOKED_UP = 4_000


@dataclass(frozen=True, slots=True)
class CoEngagementSettings:
    """How items become neighbours.

    Attributes:
        ridge: strength of the regularisation, in people: an item with fewer people than this speaks
            with less than half its voice.
        sources: items that may speak for an item, its nearest; time grows with its square.
        k: neighbours that an item names, its strongest; bounds what a request reads.
        min_people: of an item that takes part; at least 2, since one person's items have nothing
            but that person in common.
        min_common: people who have both an item and one that may speak for it; 1: any.
        max_person_items: that count of one person, their weightiest: the work grows with its
            square, and a crawler would otherwise have more to say than everybody else.
    """

    ridge: float = 100.0
    sources: int = 100
    k: int = 100
    min_people: int = 5
    min_common: int = 2
    max_person_items: int = 1_000

    def __post_init__(self) -> None:
        if min(self.k, self.sources, self.min_common, self.max_person_items) < 1:
            raise ValueError("sources, k, min_common, max_person_items: at least 1")
        if self.ridge <= 0 or self.min_people < 2:
            raise ValueError("ridge: above 0; min_people: at least 2")


@dataclass(frozen=True, slots=True, eq=False)
class Neighbours:
    """For each item, the items that its people are likely to engage with next.

    Attributes:
        offsets: int64 [N + 1]; item i has the entries offsets[i] to offsets[i + 1].
        items_E: int32, neighbours; an item's strongest first, equal weights by number.
        weights_E: float32 above 0: what engagement with the item says for the neighbour. Summed
            over a person's items it estimates their engagement with the neighbour.
    """

    offsets: NDArray[np.int64]
    items_E: NDArray[np.int32]
    weights_E: NDArray[np.float32]


def co_engagement(
    people_M: NDArray[np.integer],
    items_M: NDArray[np.integer],
    weights_M: NDArray[np.floating],
    *,
    person_count: int,
    item_count: int,
    settings: CoEngagementSettings | None = None,
) -> Neighbours:
    """Finds each item's neighbours. The same input gives the same output, bit by bit.

    Args:
        people_M: who, in [0, person_count).
        items_M: with what, in [0, item_count).
        weights_M: how much it says, >= 0; 0 does not count. Of several for one person and item the
            greatest counts.
        person_count: P.
        item_count: N.
        settings: how items become neighbours.

    Raises:
        ValueError: the arrays do not describe engagement.
    """
    settings = settings or CoEngagementSettings()
    _check(people_M, items_M, weights_M, person_count, item_count)
    has_PN = _matrix(people_M, items_M, weights_M, (person_count, item_count))
    has_PN = _weightiest(has_PN, settings.max_person_items)
    people_N = np.bincount(has_PN.indices, minlength=item_count)
    taking_part = np.flatnonzero(people_N >= settings.min_people)
    # Items by their place among those that take part, from here on.
    found = list(_regress(has_PN[:, taking_part], settings))
    return _strongest(found, taking_part, item_count, settings.k)


def popularity(
    people_M: NDArray[np.integer],
    items_M: NDArray[np.integer],
    times_s_M: NDArray[np.floating],
    *,
    item_count: int,
    now_s: float,
    half_life_s: float,
) -> NDArray[np.float32]:
    """People of each item, float32 [N]: one counts 1 now, 1/2 after `half_life_s`, 1/4 after two.

    Args:
        people_M: who, >= 0.
        items_M: with what, in [0, item_count).
        times_s_M: when; a person's latest engagement with an item counts. After `now_s` is now.
        item_count: N.
        now_s: on the same clock as `times_s_M`.
        half_life_s: above 0.
    """
    if half_life_s <= 0:
        raise ValueError("half_life_s: above 0")
    if not len(items_M):
        return np.zeros(item_count, np.float32)
    pairs_M = people_M.astype(np.int64) * item_count + items_M
    order_M = np.lexsort((times_s_M, pairs_M))
    last_M = np.append(np.diff(pairs_M[order_M]) != 0, True)
    latest = order_M[last_M]
    ages_s = np.maximum(now_s - times_s_M[latest], 0)
    counts_N = np.bincount(items_M[latest], 0.5 ** (ages_s / half_life_s), item_count)
    return counts_N.astype(np.float32)


# Sources, targets, weights.
_Entries = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]


def _matrix(
    people_M: NDArray[np.integer],
    items_M: NDArray[np.integer],
    weights_M: NDArray[np.floating],
    shape: tuple[int, int],
) -> csr_array:
    """People x items with the greatest weight of each pair; no zeros, sorted."""
    counts = weights_M > 0
    people_M, items_M = people_M[counts].astype(np.int64), items_M[counts].astype(np.int64)
    weights_M = weights_M[counts].astype(np.float64)
    order_M = np.lexsort((weights_M, items_M, people_M))
    pairs_M = people_M[order_M] * shape[1] + items_M[order_M]
    greatest = order_M[np.append(np.diff(pairs_M) != 0, True)] if len(order_M) else order_M
    offsets = np.zeros(shape[0] + 1, np.int64)
    np.cumsum(np.bincount(people_M[greatest], minlength=shape[0]), out=offsets[1:])
    return csr_array((weights_M[greatest], items_M[greatest], offsets), shape=shape)


def _weightiest(has_PN: csr_array, limit: int) -> csr_array:
    """Each person's `limit` weightiest items; equal ones by number."""
    sizes_P = np.diff(has_PN.indptr)
    if not (sizes_P > limit).any():
        return has_PN
    rows = np.repeat(np.arange(len(sizes_P)), sizes_P)
    order = np.lexsort((has_PN.indices, -has_PN.data, rows))
    rank = np.arange(len(order)) - np.repeat(has_PN.indptr[:-1], sizes_P)
    kept = np.sort(order[rank < limit])
    offsets = np.zeros(len(sizes_P) + 1, np.int64)
    np.cumsum(np.minimum(sizes_P, limit), out=offsets[1:])
    return csr_array((has_PN.data[kept], has_PN.indices[kept], offsets), shape=has_PN.shape)


def _regress(has_PN: csr_array, settings: CoEngagementSettings) -> Iterator[_Entries]:
    """Each item as target: its nearest items, and their weights."""
    has_NP = has_PN.T.tocsr()
    count = has_PN.shape[1]
    mass_N = np.asarray(has_PN.sum(axis=0))
    scale_N = 1 / np.sqrt(np.asarray(has_PN.multiply(has_PN).sum(axis=0)) + settings.ridge)
    sizes_P = np.diff(has_PN.indptr).astype(np.int64)
    pairs_N = np.bincount(has_PN.indices, np.repeat(sizes_P, sizes_P), count)
    gram = _Gram(has_PN, has_NP)
    ones_PN = has_PN.copy()
    ones_PN.data[:] = 1
    ones_NP = ones_PN.T.tocsr()
    for start, stop in blocks(pairs_N.astype(np.int64), _BLOCK_PAIRS):
        grams = (has_NP[start:stop] @ has_PN).tocsr()
        # Of the same pattern, so entries correspond once both are sorted.
        common = (ones_NP[start:stop] @ ones_PN).tocsr()
        grams.sort_indices()
        common.sort_indices()
        for target in range(start, stop):
            row = slice(grams.indptr[target - start], grams.indptr[target - start + 1])
            sources, gram_S = grams.indices[row].astype(np.int64), grams.data[row]
            chance_S = mass_N[sources] * (mass_N[target] / has_PN.shape[0])
            near_S = (gram_S - chance_S) * scale_N[sources]
            near_S[(sources == target) | (common.data[row] < settings.min_common)] = -np.inf
            best = np.flatnonzero(near_S > 0)
            best = best[np.lexsort((sources[best], -near_S[best]))[: settings.sources]]
            sources, gram_S = sources[best], gram_S[best]
            gram_SS = gram.of(sources)
            gram_SS[np.diag_indices(len(sources))] += settings.ridge
            weights_S = np.linalg.solve(gram_SS, gram_S)
            positive = weights_S > 0
            targets = np.full(int(positive.sum()), target, np.int64)
            yield sources[positive], targets, weights_S[positive]


class _Gram:
    """G among a few items: looked up for the most-engaged ones, computed for the others."""

    def __init__(self, has_PN: csr_array, has_NP: csr_array) -> None:
        self._has_NP = has_NP
        people_N = np.diff(has_NP.indptr)
        head = np.sort(np.argsort(-people_N, kind="stable")[:_LOOKED_UP])
        self._place_N = np.full(len(people_N), -1, np.int64)
        self._place_N[head] = np.arange(len(head))
        self._head_HH = (has_NP[head] @ has_PN[:, head]).toarray()

    def of(self, items_S: NDArray[np.int64]) -> NDArray[np.float64]:
        """G of these items, float64 [S, S]."""
        gram_SS = np.empty((len(items_S), len(items_S)))
        places_S = self._place_N[items_S]
        head, others = np.flatnonzero(places_S >= 0), np.flatnonzero(places_S < 0)
        gram_SS[np.ix_(head, head)] = self._head_HH[np.ix_(places_S[head], places_S[head])]
        if len(others):
            rows_OS = (self._has_NP[items_S[others]] @ self._has_NP[items_S].T).toarray()
            gram_SS[others] = rows_OS
            gram_SS[:, others] = rows_OS.T
        return gram_SS


def _strongest(
    found: list[_Entries], taking_part: NDArray[np.int64], item_count: int, k: int
) -> Neighbours:
    """Each source's k strongest; equal weights by number."""
    offsets = np.zeros(item_count + 1, np.int64)
    if not found:
        return Neighbours(offsets, np.empty(0, np.int32), np.empty(0, np.float32))
    sources, targets, weights = (np.concatenate(columns) for columns in zip(*found, strict=True))
    sources, targets = taking_part[sources], taking_part[targets]
    order = np.lexsort((targets, -weights, sources))
    sources, targets, weights = sources[order], targets[order], weights[order]
    kept = np.arange(len(sources)) - np.searchsorted(sources, sources) < k
    np.cumsum(np.bincount(sources[kept], minlength=item_count), out=offsets[1:])
    return Neighbours(offsets, targets[kept].astype(np.int32), weights[kept].astype(np.float32))


def _check(
    people_M: NDArray[np.integer],
    items_M: NDArray[np.integer],
    weights_M: NDArray[np.floating],
    person_count: int,
    item_count: int,
) -> None:
    if not len(people_M) == len(items_M) == len(weights_M):
        raise ValueError("people_M, items_M and weights_M must be of one length")
    for name, rows_M, count in [
        ("people_M", people_M, person_count),
        ("items_M", items_M, item_count),
    ]:
        if len(rows_M) and not 0 <= rows_M.min() <= rows_M.max() < count:
            raise ValueError(f"{name} must be in [0, {count})")
    if len(weights_M) and not (np.isfinite(weights_M).all() and weights_M.min() >= 0):
        raise ValueError("weights_M must be finite and not negative")
