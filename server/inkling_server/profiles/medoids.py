"""Groups of points, each named by one of them: Ward's clusters and their medoids.

    points ─► nearest-neighbour chain ─► merges ─► cut at a distance ─► groups ─► medoids

As PinnerSage (Pal et al., "PinnerSage: multi-modal user embedding framework for recommendations at
Pinterest", KDD 2020) makes several interests of one person's items: hierarchical clusters, as many
as there are, and a real item for each instead of a mean that is none. Ward, "Hierarchical grouping
to optimize an objective function" (1963); Lance and Williams (1967) for the update; the chain is
Benzecri's (1982), exact for Ward since two clusters never come nearer by a merge elsewhere.

numpy alone: it runs on the path of a request. It does not know what a point is.

Shapes: T points, F features.
"""

import numpy as np
from numpy.typing import NDArray


def ward_groups(features_TF: NDArray[np.floating], max_distance: float) -> NDArray[np.int64]:
    """Groups points; clusters merge while Ward's distance of them is at most `max_distance`.

    The distance of clusters A and B is sqrt(2 |A| |B| / (|A| + |B|)) times that of their means: of
    two points the Euclidean distance, more the larger the clusters (as in SciPy).

    Args:
        features_TF: the points.
        max_distance: >= 0.

    Returns:
        group of each point, int64 [T], numbered from 0 by their first point.
    """
    count = len(features_TF)
    group_T = np.arange(count)
    for first, second, distance in _merges(features_TF):
        # Heights of Ward's tree never fall towards its root: what lies below this merge is joined.
        if distance <= max_distance:
            group_T[group_T == group_T[second]] = group_T[first]
    _, start_G, inverse_T = np.unique(group_T, return_index=True, return_inverse=True)
    number_G = np.empty(len(start_G), np.int64)
    number_G[np.argsort(start_G, kind="stable")] = np.arange(len(start_G))
    numbers_T: NDArray[np.int64] = number_G[inverse_T]
    return numbers_T


def medoid(features_TF: NDArray[np.floating], weights_T: NDArray[np.floating]) -> int:
    """The point with the least weighted sum of squared distances to all; ties: the first.

    Args:
        features_TF: at least one point.
        weights_T: how much each other point counts, >= 0.
    """
    costs_T = squared_distances_within(features_TF) @ weights_T
    # Points at the same place must tie in spite of rounding.
    return int(np.flatnonzero(costs_T <= costs_T.min() + 1e-9 * (1 + abs(costs_T.min())))[0])


def squared_distances_within(features_TF: NDArray[np.floating]) -> NDArray[np.float64]:
    """Squared Euclidean distances of all pairs, float64 [T, T], >= 0, zeros on the diagonal."""
    points_TF = features_TF.astype(np.float64)
    squares_T = np.einsum("tf,tf->t", points_TF, points_TF)
    squared_TT: NDArray[np.float64] = squares_T[:, None] + squares_T - 2 * (points_TF @ points_TF.T)
    np.maximum(squared_TT, 0, out=squared_TT)
    np.fill_diagonal(squared_TT, 0)
    return squared_TT


def _merges(features_TF: NDArray[np.floating]) -> list[tuple[int, int, float]]:
    """All T - 1 merges, as (a point of each side, distance); not in order of distance."""
    count = len(features_TF)
    squared_TT = squared_distances_within(features_TF)
    np.fill_diagonal(squared_TT, np.inf)
    sizes_T = np.ones(count)
    alive_T = np.ones(count, np.bool_)
    merges: list[tuple[int, int, float]] = []
    chain: list[int] = []
    for _ in range(count - 1):
        if not chain:
            chain.append(int(alive_T.argmax()))
        while True:
            tip = chain[-1]
            nearest = int(squared_TT[tip].argmin())
            # The one before wins a tie, or two equally near clusters would be visited for ever.
            if len(chain) > 1 and squared_TT[tip, chain[-2]] <= squared_TT[tip, nearest]:
                break
            chain.append(nearest)
        second, first = chain.pop(), chain.pop()
        merges.append((first, second, float(np.sqrt(squared_TT[first, second]))))
        _merge(squared_TT, sizes_T, alive_T, first, second)
    return merges


def _merge(
    squared_TT: NDArray[np.float64],
    sizes_T: NDArray[np.float64],
    alive_T: NDArray[np.bool_],
    first: int,
    second: int,
) -> None:
    """Lets `first` stand for both: Lance and Williams's update for squared distances."""
    alive_T[second] = False
    others = alive_T.copy()
    others[first] = False
    mine, theirs, sizes = sizes_T[first], sizes_T[second], sizes_T[others]
    updated = (
        (mine + sizes) * squared_TT[first, others]
        + (theirs + sizes) * squared_TT[second, others]
        - sizes * squared_TT[first, second]
    ) / (mine + theirs + sizes)
    sizes_T[first] = mine + theirs
    squared_TT[second, :] = squared_TT[:, second] = np.inf
    squared_TT[first, others] = squared_TT[others, first] = np.maximum(updated, 0)
