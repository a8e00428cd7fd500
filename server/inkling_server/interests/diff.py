"""What changed between two versions of the graph.

Interests are compared by id, edges by the ids of their ends. It does not know versions' order: what
is "new" is what the caller gives second.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from inkling_server.interests.graph import Edges, GraphSnapshot, Interest


class Renamed(NamedTuple):
    """The same interest, before and after its phrase changed."""

    before: Interest
    after: Interest


@dataclass(frozen=True, slots=True)
class GraphDiff:
    """Changes; in every list most documents first (of the newer version, where both have it).

    Attributes:
        added: not in the old version.
        removed: not in the new one, as they were in the old.
        renamed: in both, under different phrases.
        newly_trending: trending now and not before; also where they were added.
        no_longer_trending: trending before and, though still there, not now.
        added_edge_count: joined now and not before, whatever the weight.
        removed_edge_count: joined before and not now.
    """

    added: tuple[Interest, ...]
    removed: tuple[Interest, ...]
    renamed: tuple[Renamed, ...]
    newly_trending: tuple[Interest, ...]
    no_longer_trending: tuple[Interest, ...]
    added_edge_count: int
    removed_edge_count: int


def diff_graphs(old: GraphSnapshot, new: GraphSnapshot) -> GraphDiff:
    """Compares two versions."""
    before = {interest.id: interest for interest in old.interests}
    after = {interest.id: interest for interest in new.interests}
    both = [(before[i.id], i) for i in new.interests if i.id in before]
    added = [i for i in new.interests if i.id not in before]
    shared_edge_count = count_shared_edges(old, new.interests, new.edges)
    renamed = [Renamed(was, now) for was, now in both if was.phrase != now.phrase]
    return GraphDiff(
        added=_by_count(added),
        removed=_by_count(i for i in old.interests if i.id not in after),
        renamed=tuple(sorted(renamed, key=lambda pair: (-pair.after.count, pair.after.id))),
        newly_trending=_by_count(
            [now for was, now in both if now.is_trending and not was.is_trending]
            + [i for i in added if i.is_trending]
        ),
        no_longer_trending=_by_count(
            now for was, now in both if was.is_trending and not now.is_trending
        ),
        added_edge_count=len(new.edges) - shared_edge_count,
        removed_edge_count=len(old.edges) - shared_edge_count,
    )


def count_shared_edges(old: GraphSnapshot, interests: Sequence[Interest], edges: Edges) -> int:
    """Edges between the same interests in both, whatever their weight.

    Args:
        old: a version.
        interests: of another one, sorted by id.
        edges: between them.
    """
    row_of = {interest.id: row for row, interest in enumerate(interests)}
    new_rows_M = np.array([row_of.get(i.id, -1) for i in old.interests], np.int64)
    # Both are sorted by id, so an edge's ends are in the same order in both.
    ends_E2 = new_rows_M[old.edges.ends_E2] if len(old.edges) else np.empty((0, 2), np.int64)
    still_there = (ends_E2 >= 0).all(axis=1)
    return int(np.isin(_keys(ends_E2[still_there]), _keys(edges.ends_E2)).sum())


def _by_count(interests: Iterable[Interest]) -> tuple[Interest, ...]:
    return tuple(sorted(interests, key=lambda interest: (-interest.count, interest.id)))


def _keys(ends_E2: NDArray[np.integer]) -> NDArray[np.int64]:
    first_E, second_E = ends_E2.T.astype(np.int64)
    return np.asarray((first_E << 32) | second_E)
