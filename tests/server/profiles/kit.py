"""Small clusters and graphs for tests of profiles."""

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np

from inkling_server.interests.graph import Edges, GraphSnapshot, Interest, make_snapshot
from inkling_server.profiles.clusters import VisualClusters

NOW = datetime(2026, 11, 26, tzinfo=UTC)


def clusters_at(
    centroids: Sequence[Sequence[float]],
    *,
    general: Sequence[float] | None = None,
    sigma2: float = 1.0,
    beta: float = 1.0,
) -> VisualClusters:
    """Clusters with these centroids; everybody's pictures in all of them alike by default."""
    count = len(centroids)
    return VisualClusters(
        np.array(centroids, np.float32),
        np.array(general or [1 / count] * count, np.float32),
        sigma2=sigma2,
        beta=beta,
        fingerprint="model",
        background_count=100,
        created_time=NOW,
    )


def graph_of(ids: Sequence[str], *edges: tuple[int, int, float]) -> GraphSnapshot:
    """A graph with these interests and edges (row, greater row, weight)."""
    ordered = sorted(edges)
    ends_E2 = np.array([edge[:2] for edge in ordered], np.int32).reshape(-1, 2)
    weight_E = np.array([edge[2] for edge in ordered], np.float32)
    zeros_E = np.zeros(len(ordered), np.float32)
    return make_snapshot(
        [Interest(name, name) for name in ids],
        NOW,
        edges=Edges(ends_E2, zeros_E, zeros_E.copy(), weight_E),
    )
