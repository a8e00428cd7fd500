"""PageRank of a small undirected weighted graph, given as arrays.

NetworkX builds Python dictionaries first, which costs more than the ranking on the thousands of
tiny graphs of a corpus. Up to a few hundred nodes the ranks are solved for exactly, beyond that
by power iteration. It does not know words.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import coo_array

Float64 = NDArray[np.float64]
DAMPING = 0.85
_DENSE = 256
_TOLERANCE = 1e-6
_MAX_ITERATIONS = 100


def pagerank(weights: Mapping[tuple[int, int], float], count: int) -> Float64:
    """Ranks of `count` nodes, [count]; they sum to 1.

    Args:
        weights: > 0, of edges between different nodes; each edge once.
        count: nodes, also those without an edge.
    """
    if not weights:
        return np.full(count, 1 / max(count, 1))
    left_E, right_E = np.array(list(weights), dtype=np.intp).T
    weights_E = np.fromiter(weights.values(), np.float64, len(weights))
    if count <= _DENSE:
        weights_NN = np.zeros((count, count))
        weights_NN[left_E, right_E] = weights_E
        weights_NN[right_E, left_E] = weights_E
        return dense_pagerank(weights_NN)
    # Late: a gateway imports this module and never calls it; only refreshes do.
    from scipy.sparse import coo_array

    rows_2E, columns_2E = np.r_[left_E, right_E], np.r_[right_E, left_E]
    matrix = coo_array(
        (np.r_[weights_E, weights_E], (rows_2E, columns_2E)), shape=(count, count)
    ).tocsr()
    return _iterate(matrix, np.asarray(matrix.sum(axis=1)))


def dense_pagerank(weights_NN: Float64) -> Float64:
    """Ranks of the nodes of a symmetric matrix of weights, [N]; they sum to 1."""
    count = len(weights_NN)
    if count == 1:
        return np.ones(1)
    strengths_N = weights_NN.sum(axis=0)
    if count > _DENSE:
        return _iterate(weights_NN, strengths_N)
    # A node without edges gives its rank to all alike; to solve with it missing and to scale the
    # rest comes to the same.
    flow_NN = weights_NN / np.where(strengths_N > 0, strengths_N, 1)
    ranks_N = np.linalg.solve(np.eye(count) - DAMPING * flow_NN, np.full(count, 1 / count))
    return np.asarray(ranks_N / ranks_N.sum())


def _iterate(matrix: "Float64 | coo_array", strengths_N: Float64) -> Float64:
    count = len(strengths_N)
    safe_N = np.where(strengths_N > 0, strengths_N, 1)
    ranks_N = np.full(count, 1 / count)
    for _ in range(_MAX_ITERATIONS):
        flowed_N = DAMPING * (matrix @ (ranks_N / safe_N))
        flowed_N += (1 - flowed_N.sum()) / count
        change = np.abs(flowed_N - ranks_N).sum()
        ranks_N = flowed_N
        if change < _TOLERANCE:
            break
    return np.asarray(ranks_N)
