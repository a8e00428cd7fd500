"""Ranks are PageRank; communities are found, numbered and named."""

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inkling_server.interests.communities import (
    StructureSettings,
    edge_pagerank,
    find_structure,
)
from inkling_server.interests.graph import Edges, Interest
from tests.server.interests.graph_kit import edges_of


def clique(rows: list[int]) -> dict[tuple[int, int], tuple[float, float]]:
    return {(a, b): (0.8, 0.0) for a in rows for b in rows if a < b}


def interests(*phrases: str, counts: dict[str, int] | None = None) -> list[Interest]:
    counts = counts or {}
    return [
        Interest(f"{row:03d}", phrase, count=counts.get(phrase, 0))
        for row, phrase in enumerate(phrases)
    ]


@pytest.mark.parametrize("count", [30, 400])
def test_ranks_are_those_of_networkx(count: int) -> None:
    rng = np.random.default_rng(count)
    pairs = {tuple(sorted(pair)) for pair in rng.integers(0, count - 3, (3 * count, 2)).tolist()}
    edges = edges_of({(a, b): (float(rng.uniform(0.1, 1)), 0.0) for a, b in pairs if a != b})
    graph = nx.Graph()
    graph.add_nodes_from(range(count))
    for (a, b), weight in zip(edges.ends_E2.tolist(), edges.weight_E.tolist(), strict=True):
        graph.add_edge(a, b, weight=weight)
    theirs = nx.pagerank(graph, tol=1e-10)
    mine_N = edge_pagerank(edges.ends_E2, edges.weight_E, count)
    np.testing.assert_allclose(mine_N, [theirs[row] for row in range(count)], atol=2e-6)
    assert mine_N.sum() == pytest.approx(1)


def test_communities_are_numbered_by_size() -> None:
    names = [f"p{row}" for row in range(12)]
    # 3 and 7 are alone; 4 and 9 are a pair.
    groups = [[0, 5, 8], [1, 2, 6, 10, 11]]
    edges = edges_of(clique(groups[0]) | clique(groups[1]) | {(4, 9): (0.9, 0.0)})
    found = find_structure(interests(*names), edges)
    assert found.community_N.tolist() == [0 if r in groups[1] else 1 if r in groups[0] else -1
                                          for r in range(12)]  # fmt: skip
    assert [(c.number, c.interest_count) for c in found.communities] == [(0, 5), (1, 3)]


def test_continued_communities_take_in_what_is_new_and_lose_what_is_gone() -> None:
    names = [f"p{row}" for row in range(10)]
    # One clique by its edges; two communities before. 8 is new and nearer to the second, 9 knows
    # nobody, and the third community has lost all but one.
    edges = edges_of(clique(list(range(8))) | {(5, 8): (0.9, 0.0), (6, 8): (0.9, 0.0),
                                               (0, 8): (0.5, 0.0)})  # fmt: skip
    before = {f"{row:03d}": 4 if row < 4 else 1 for row in range(7)} | {"007": 2, "gone": 2}
    found = find_structure(interests(*names), edges, before=before)
    assert found.community_N.tolist() == [0, 0, 0, 0, 1, 1, 1, -1, 1, -1]
    assert [c.interest_count for c in found.communities] == [4, 4]
    assert (
        find_structure(interests(*names), edges).community_N.tolist() != found.community_N.tolist()
    )


def test_communities_of_one_size_are_numbered_by_lowest_row() -> None:
    edges = edges_of(clique([1, 3, 5]) | clique([0, 2, 4]))
    found = find_structure(interests(*"abcdef"), edges)
    assert found.community_N.tolist() == [0, 1, 0, 1, 0, 1]


def test_weak_bridge_joins_no_communities() -> None:
    edges = edges_of(clique([0, 1, 2, 3]) | clique([4, 5, 6, 7]) | {(3, 4): (0.1, 0.0)})
    found = find_structure(interests(*"abcdefgh"), edges)
    assert found.community_N.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]


def test_name_is_made_of_the_most_central_phrases() -> None:
    closeness = [0.3, 0.6, 0.9, 0.8, 0.3]
    joined = {(a, b): (closeness[a] * closeness[b], 0.0) for a in range(5) for b in range(a + 1, 5)}
    named = interests("leash", "golden retriever", "dogs", "puppy", "vet", counts={"vet": 99})
    found = find_structure(named, edges_of(joined))
    assert found.communities[0].name == "dogs, puppy, golden retriever"


def test_counts_settle_ties_and_a_phrase_that_says_nothing_new_is_skipped() -> None:
    named = interests(
        "dog", "Dogs", "dog walk", "cat", "vet", counts={"Dogs": 9, "vet": 8, "cat": 7, "dog": 6}
    )
    found = find_structure(named, edges_of(clique([0, 1, 2, 3, 4])))
    assert found.communities[0].name == "Dogs, vet, cat"


def test_names_are_distinct() -> None:
    edges = edges_of(clique([0, 1, 2]) | clique([3, 4, 5]) | clique([6, 7, 8, 9]))
    named = interests("a", "b", "c", "a", "b", "C", "a", "b", "c", "d")
    names = [c.name for c in find_structure(named, edges).communities]
    assert names == ["a, b, c", "a, b, c (2)", "a, b, C (3)"]


def test_graph_without_edges_has_equal_ranks_and_no_communities() -> None:
    found = find_structure(interests("a", "b"), Edges.none())
    assert found.rank_N.tolist() == [0.5, 0.5]
    assert found.community_N.tolist() == [-1, -1]
    assert found.communities == ()
    assert len(find_structure([], Edges.none()).rank_N) == 0


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_structure_is_whole_and_the_same_every_time(seed: int) -> None:
    rng = np.random.default_rng(seed)
    pairs = rng.integers(0, 30, (45, 2)).tolist()
    edges = edges_of({(min(p), max(p)): (float(rng.random()) + 0.01, 0.0)
                      for p in pairs if p[0] != p[1]})  # fmt: skip
    named = interests(*(f"p{row % 7}" for row in range(30)))
    one = find_structure(named, edges, StructureSettings(min_interests=3))
    again = find_structure(named, edges, StructureSettings(min_interests=3))
    assert one.communities == again.communities
    np.testing.assert_array_equal(one.community_N, again.community_N)
    sizes = [community.interest_count for community in one.communities]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes == [int((one.community_N == number).sum()) for number in range(len(sizes))]
    assert all(size >= 3 for size in sizes)
    assert len({c.name.casefold() for c in one.communities}) == len(sizes)
    assert one.rank_N.sum() == pytest.approx(1)
