"""What interest profiles need of one version of the graph, made once: rows, and where a walk goes.

    GraphSnapshot ─► InterestGraph ─► rows_of(ids), spread(weights), features(rows)

Immutable, so that any number of threads may ask. It knows no people and no engagements.

Shapes: N interests, P directed edges (each edge from both ends), T interests asked for, F features.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from inkling_server.interests.graph import GraphSnapshot


@dataclass(frozen=True, slots=True, eq=False)
class InterestGraph:
    """One version of the graph, for walks along its combined edges. `of` makes it.

    Attributes:
        version: of the graph.
        ids: of the interests, by row.
        offsets: int64 [N + 1]; edges from row r are [offsets[r]:offsets[r + 1]].
        to_P: int32, the other end of each.
        chances_P: float64 in (0, 1]: a step from row r takes each of its edges with a chance in
            proportion to the edge's weight; the chances of one row sum to 1.
        features_NF: float32, what tells interests apart: their embeddings, or `neighbourhoods`.
    """

    version: str
    ids: tuple[str, ...] = field(repr=False)
    offsets: NDArray[np.int64] = field(repr=False)
    to_P: NDArray[np.int32] = field(repr=False)
    chances_P: NDArray[np.float64] = field(repr=False)
    features_NF: NDArray[np.float32] = field(repr=False)
    _row_of: dict[str, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_row_of", {name: row for row, name in enumerate(self.ids)})
        for array in (self.offsets, self.to_P, self.chances_P, self.features_NF):
            array.setflags(write=False)

    @classmethod
    def of(
        cls, snapshot: GraphSnapshot, embeddings_ND: NDArray[np.float32] | None = None
    ) -> "InterestGraph":
        """Reads a snapshot.

        Args:
            snapshot: the graph.
            embeddings_ND: of its phrases, by row; None: not at hand, so that interests are told
                apart by their neighbourhoods in the graph.

        Raises:
            ValueError: the embeddings are not those of the snapshot's interests.
        """
        count = len(snapshot.interests)
        if embeddings_ND is not None and len(embeddings_ND) != count:
            raise ValueError("embeddings_ND must have a row for each interest")
        first_E, second_E = snapshot.edges.ends_E2.T
        from_P, to_P = np.r_[first_E, second_E], np.r_[second_E, first_E]
        weight_P = np.tile(snapshot.edges.weight_E.astype(np.float64), 2)
        order_P = np.argsort(from_P, kind="stable")
        from_P, to_P, weight_P = from_P[order_P], to_P[order_P], weight_P[order_P]
        strength_N = np.bincount(from_P, weight_P, count)
        offsets = np.searchsorted(from_P, np.arange(count + 1)).astype(np.int64)
        to_P, chances_P = to_P.astype(np.int32), weight_P / strength_N[from_P]
        if embeddings_ND is None:
            embeddings_ND = neighbourhoods(offsets, to_P, chances_P)
        ids = tuple(interest.id for interest in snapshot.interests)
        return cls(snapshot.version, ids, offsets, to_P, chances_P, embeddings_ND.view())

    def __len__(self) -> int:
        return len(self.ids)

    def row_of(self, interest_id: str) -> int | None:
        """The row of an interest; None: this version does not have it."""
        return self._row_of.get(interest_id)

    def rows_of(self, interest_ids: Iterable[str]) -> NDArray[np.int32]:
        """Their rows, in the order given; -1: this version does not have it."""
        get = self._row_of.get
        return np.fromiter((get(name, -1) for name in interest_ids), np.int32)

    def spread(
        self, weights_N: NDArray[np.float64], *, smoothing: float, steps: int
    ) -> NDArray[np.float64]:
        """What neighbours give: sum over t = 1..steps of smoothing^t P^t w, float64 [N].

        P moves the weight of a row to its neighbours by `chances_P`. With (1 - smoothing) w added
        to (1 - smoothing) times this, it is personalised PageRank (Page et al. 1999; Haveliwala
        2002) with restart at w, cut after some steps. A row without edges gives nothing.

        Args:
            weights_N: of any sign.
            smoothing: chance to go on from each row, in [0, 1).
            steps: of the walk, >= 0; 0: nothing is given.
        """
        given_N, moving_N = np.zeros(len(self)), weights_N
        degrees_N = np.diff(self.offsets)
        for _ in range(steps):
            moved_P = np.repeat(moving_N, degrees_N)
            moved_P *= self.chances_P
            moving_N = _sums(self.to_P, smoothing * moved_P, len(self))
            given_N += moving_N
        return given_N

    def features(self, rows_T: NDArray[np.integer]) -> NDArray[np.float64]:
        """What tells interests apart, rows of length 1 (or of zeros), float64 [T, features]."""
        features_TF = self.features_NF[rows_T].astype(np.float64)
        lengths_T1 = np.linalg.norm(features_TF, axis=1, keepdims=True)
        unit_TF: NDArray[np.float64] = features_TF / np.where(lengths_T1 > 0, lengths_T1, 1)
        return unit_TF


def _sums(
    rows: NDArray[np.integer], values: NDArray[np.float64], count: int
) -> NDArray[np.float64]:
    """Sum of the values of each row; of no values, too, where bincount would count in integers."""
    return np.bincount(rows, values, count).astype(np.float64)


def neighbourhoods(
    offsets: NDArray[np.int64],
    to_P: NDArray[np.int32],
    chances_P: NDArray[np.float64],
    *,
    dimension: int = 128,
    seed: int = 0,
) -> NDArray[np.float32]:
    """Interests as points that are near where walks in the graph meet, float32 [N, dimension].

    Where a walk of 0 to 3 steps from each row may be, every length of walk alike, seen through a
    random projection: FastRP (Chen et al., "Fast and accurate network embeddings via very sparse
    random projection", CIKM 2019), with a dense projection.

    Args:
        offsets: as those of `InterestGraph`, like the next two.
        to_P: other ends.
        chances_P: of each step.
        dimension: of the projection.
        seed: of the projection.
    """
    count = len(offsets) - 1
    rng = np.random.default_rng(seed)
    at_NF = rng.standard_normal((count, dimension), np.float32) / np.float32(dimension**0.5)
    points_NF = at_NF.copy()
    joined = np.flatnonzero(np.diff(offsets))
    for _ in range(3):
        steps_PF = at_NF[to_P] * chances_P[:, None].astype(np.float32)
        at_NF = np.zeros_like(at_NF)
        if len(joined):
            at_NF[joined] = np.add.reduceat(steps_PF, offsets[joined], axis=0)
        # A mean of many random vectors is short: without this, a far walk would not count.
        lengths_N1 = np.linalg.norm(at_NF, axis=1, keepdims=True)
        at_NF /= np.where(lengths_N1 > 0, lengths_N1, 1)
        points_NF += at_NF
    return points_NF
