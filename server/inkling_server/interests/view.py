"""Questions about one version of the graph, answered from arrays that are made once.

    GraphSnapshot ─► GraphView ─► rows by id, by name, by prefix, in an order; neighbours of a row

A row is an interest's place in `GraphSnapshot.interests`. Everything is immutable, so that any
number of threads may ask. It knows no pages, tokens or messages.

Shapes: N interests, E edges, R rows found, K neighbours of one row.
"""

import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from inkling_server.interests.graph import GraphSnapshot
from inkling_server.interests.strongest import strongest

Rows = NDArray[np.int32]
Array = TypeVar("Array", bound=NDArray[np.generic])


class EdgeKind(StrEnum):
    """Why two interests are joined."""

    COMBINED = "combined"
    SEMANTIC = "semantic"
    ENGAGEMENT = "engagement"


class InterestOrder(StrEnum):
    """What comes first; ties: as PHRASE has it."""

    PHRASE = "phrase"  # a dictionary's: neither case nor accents matter
    COUNT = "count"  # most documents first
    TREND = "trend"  # highest z-score first
    RANK = "rank"  # highest PageRank first


@dataclass(frozen=True, slots=True, eq=False)
class NeighborRows:
    """What a row is joined with, the strongest first.

    Attributes:
        rows_K: int32 rows.
        edges_K: int32 places in `GraphSnapshot.edges`, for the other weights of each edge.
        weights_K: float32, of the kind that was asked for.
    """

    rows_K: Rows
    edges_K: NDArray[np.int32]
    weights_K: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.rows_K)


class GraphView:
    """Look-ups in one snapshot.

    Attributes:
        snapshot: what it is a view of.
        trending_count: interests that are trending.
        edge_counts: of each kind; one edge may be of both, COMBINED counts them all.
    """

    snapshot: GraphSnapshot
    trending_count: int
    edge_counts: Mapping[EdgeKind, int]

    def __init__(self, snapshot: GraphSnapshot) -> None:
        self.snapshot = snapshot
        interests = snapshot.interests
        self._row_of_id = {interest.id: row for row, interest in enumerate(interests)}
        self._trending_N = _frozen(np.array([i.is_trending for i in interests], np.bool_))
        self.trending_count = int(self._trending_N.sum())
        self._community_N = _frozen(
            np.array([-1 if i.community is None else i.community for i in interests], np.int32)
        )
        self._orders = _orders(snapshot)
        # Of interests with the same name, a phrase goes before an alias, then the larger count.
        named = sorted(
            (fold(name), place > 0, -interest.count, row)
            for row, interest in enumerate(interests)
            for place, name in enumerate((interest.phrase, *interest.aliases))
        )
        self._names = [entry[0] for entry in named]
        self._name_rows = _frozen(np.array([entry[3] for entry in named], np.int32))
        self._adjacency = _adjacency(snapshot)
        self.edge_counts = {
            kind: len(adjacency.edges) // 2 for kind, adjacency in self._adjacency.items()
        }

    def __len__(self) -> int:
        return len(self.snapshot.interests)

    def row_of(self, interest_id: str) -> int | None:
        """The row of an interest; None: this version does not have it."""
        return self._row_of_id.get(interest_id)

    def find_name(self, text: str) -> int | None:
        """The row whose phrase, else one of whose aliases, is the text; case does not matter."""
        name = fold(text.strip())
        place = bisect_left(self._names, name)
        if place < len(self._names) and self._names[place] == name:
            return int(self._name_rows[place])
        return None

    def with_prefix(self, prefix: str) -> Rows:
        """Rows whose phrase or an alias begins so, in order of rows, [R]; case does not matter."""
        start = fold(prefix)
        low = bisect_left(self._names, start)
        high = bisect_right(self._names, start, lo=low, key=lambda name: name[: len(start)])
        return np.unique(self._name_rows[low:high])

    def in_order(self, order: InterestOrder = InterestOrder.PHRASE) -> Rows:
        """All rows, [N]."""
        return self._orders[order]

    def select(
        self,
        order: InterestOrder = InterestOrder.PHRASE,
        *,
        prefix: str = "",
        trending_only: bool = False,
        community: int | None = None,
    ) -> Rows:
        """Rows that fulfil every condition, in an order, [R]."""
        chosen_N = np.ones(len(self), np.bool_)
        if prefix:
            chosen_N[:] = False
            chosen_N[self.with_prefix(prefix)] = True
        if trending_only:
            chosen_N &= self._trending_N
        if community is not None:
            chosen_N &= self._community_N == community
        rows_N = self._orders[order]
        return rows_N[chosen_N[rows_N]]

    def neighbors(self, row: int, kind: EdgeKind = EdgeKind.COMBINED) -> NeighborRows:
        """What a row is joined with by edges of a kind, the strongest first; ties: the lower row.

        Raises:
            IndexError: there is no such row.
        """
        if not 0 <= row < len(self):
            raise IndexError(f"no row {row}")
        adjacency = self._adjacency[kind]
        mine = slice(int(adjacency.offsets[row]), int(adjacency.offsets[row + 1]))
        edges_K = adjacency.edges[mine]
        return NeighborRows(adjacency.rows[mine], edges_K, adjacency.weight_E[edges_K])


def fold(text: str) -> str:
    """What names are compared by: no letter case, one form of each character."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


@dataclass(frozen=True, slots=True, eq=False)
class _Adjacency:
    """Each edge from both of its ends (CSR): row r's are [offsets[r]:offsets[r + 1]]."""

    offsets: NDArray[np.int64]
    rows: Rows
    edges: NDArray[np.int32]
    weight_E: NDArray[np.float32]


def _adjacency(snapshot: GraphSnapshot) -> dict[EdgeKind, _Adjacency]:
    edges, made = snapshot.edges, {}
    for kind, weight_E in (
        (EdgeKind.COMBINED, edges.weight_E),
        (EdgeKind.SEMANTIC, edges.semantic_E),
        (EdgeKind.ENGAGEMENT, edges.engagement_E),
    ):
        chosen = np.flatnonzero(weight_E > 0).astype(np.int32)
        first, second = edges.ends_E2[chosen].T
        from_P, to_P = np.r_[first, second], np.r_[second, first]
        edges_P = np.r_[chosen, chosen]
        order_P = strongest(from_P, to_P, weight_E[edges_P])
        offsets = np.searchsorted(from_P[order_P], np.arange(len(snapshot.interests) + 1))
        made[kind] = _Adjacency(
            _frozen(offsets), _frozen(to_P[order_P]), _frozen(edges_P[order_P]), weight_E
        )
    return made


def _orders(snapshot: GraphSnapshot) -> dict[InterestOrder, Rows]:
    interests = snapshot.interests
    keys = [(_dictionary_key(i.phrase), i.phrase, i.id) for i in interests]
    by_phrase = np.array(sorted(range(len(interests)), key=keys.__getitem__), np.int32)
    orders = {InterestOrder.PHRASE: by_phrase}
    for order, values in (
        (InterestOrder.COUNT, [i.count for i in interests]),
        (InterestOrder.TREND, [i.trend_z for i in interests]),
        (InterestOrder.RANK, [i.rank for i in interests]),
    ):
        negative_N = -np.array(values, np.int64 if order is InterestOrder.COUNT else np.float64)
        orders[order] = by_phrase[np.argsort(negative_N[by_phrase], kind="stable")]
    return {order: _frozen(rows_N) for order, rows_N in orders.items()}


def _dictionary_key(phrase: str) -> str:
    if phrase.isascii():
        return phrase.casefold()
    apart = unicodedata.normalize("NFKD", phrase.casefold())
    return "".join(character for character in apart if not unicodedata.combining(character))


def _frozen(array: Array) -> Array:
    array.setflags(write=False)
    return array
