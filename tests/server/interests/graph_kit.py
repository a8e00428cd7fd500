"""Small graphs for tests."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import numpy as np

from inkling_server.interests.edges import combined_weight
from inkling_server.interests.graph import (
    Community,
    Edges,
    GraphSnapshot,
    Interest,
    Topic,
    interest_id,
    make_snapshot,
)

CREATED = datetime(2026, 2, 14, 9, 30, tzinfo=UTC)


def edges_of(weights: Mapping[tuple[int, int], tuple[float, float]]) -> Edges:
    """Edges of {(row, row): (semantic, engagement)}."""
    ends = sorted(weights)
    both_E2 = np.array([weights[pair] for pair in ends], np.float32).reshape(-1, 2)
    semantic_E, engagement_E = both_E2[:, 0].copy(), both_E2[:, 1].copy()
    return Edges(
        np.array(ends, np.int32).reshape(-1, 2),
        semantic_E,
        engagement_E,
        combined_weight(semantic_E, engagement_E),
    )


def plain(*phrases: str) -> list[Interest]:
    """Interests of these phrases, sorted by id."""
    return sorted((Interest(interest_id(phrase), phrase) for phrase in phrases), key=lambda i: i.id)


def snapshot_of(
    interests: Sequence[Interest],
    weights: Mapping[tuple[str, str], tuple[float, float]] | None = None,
    *,
    topics: Sequence[Topic] = (),
    communities: Sequence[Community] = (),
) -> GraphSnapshot:
    """A version with edges {(id, id): (semantic, engagement)}."""
    ordered = sorted(interests, key=lambda interest: interest.id)
    row_of = {interest.id: row for row, interest in enumerate(ordered)}
    rows: dict[tuple[int, int], tuple[float, float]] = {}
    for (one, other), both in (weights or {}).items():
        first, second = sorted((row_of[one], row_of[other]))
        rows[first, second] = both
    return make_snapshot(
        ordered, CREATED, edges=edges_of(rows), topics=topics, communities=communities
    )
