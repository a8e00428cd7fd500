"""Nearest by meaning: exact, the same from scratch and from the previous graph; and combination."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from inkling_server.interests import edges as module
from inkling_server.interests.edges import (
    Neighbors,
    PreviousNeighbors,
    combine,
    combined_weight,
    same_rows,
    semantic_neighbors,
)
from inkling_server.interests.engagement import EngagementEdges

Float32 = NDArray[np.float32]


def vectors(seed: int, count: int, dimensions: int) -> Float32:
    """Vectors of which many are alike: of few directions, some repeated, some zero."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(5, dimensions))
    made = centres[rng.integers(0, 5, count)]
    made = made + rng.choice([0, 0.3, 3], (count, 1)) * rng.normal(size=made.shape)
    made[rng.random(count) < 0.1] = 0
    return made.astype(np.float32)


def by_hand(embeddings_ND: Float32, k: int, min_cosine: float) -> list[list[tuple[int, float]]]:
    """The definition, one pair after the other."""
    lengths = [float(np.linalg.norm(row.astype(np.float64))) for row in embeddings_ND]
    units = [
        (row.astype(np.float64) / (length or 1)).astype(np.float32).astype(np.float64)
        for row, length in zip(embeddings_ND, lengths, strict=True)
    ]
    lists = []
    for row, one in enumerate(units):
        cosines = {
            other: min(float(np.float32((one * two).sum())), 1.0)
            for other, two in enumerate(units)
            if other != row
        }
        near = [pair for pair in cosines.items() if pair[1] >= np.float32(min_cosine)]
        lists.append(sorted(near, key=lambda pair: (-pair[1], pair[0]))[:k])
    return lists


def as_lists(neighbors: Neighbors) -> list[list[tuple[int, float]]]:
    return [
        [
            (int(row), float(cosine))
            for row, cosine in zip(rows_K, cosines_K, strict=True)
            if row >= 0
        ]
        for rows_K, cosines_K in zip(neighbors.rows_NK, neighbors.cosines_NK, strict=True)
    ]


def assert_equal(mine: Neighbors, theirs: Neighbors) -> None:
    np.testing.assert_array_equal(mine.rows_NK, theirs.rows_NK)
    np.testing.assert_array_equal(mine.cosines_NK, theirs.cosines_NK)


@settings(max_examples=50, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(0, 40),
    dimensions=st.integers(1, 70),
    k=st.integers(1, 12),
    min_cosine=st.sampled_from([0.05, 0.5, 0.95, 1.0]),
)
def test_neighbors_are_the_nearest(
    seed: int, count: int, dimensions: int, k: int, min_cosine: float
) -> None:
    embeddings_ND = vectors(seed, count, dimensions)
    found = semantic_neighbors(embeddings_ND, k=k, min_cosine=min_cosine)
    assert as_lists(found) == by_hand(embeddings_ND, k, min_cosine)


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(1, 60),
    dimensions=st.integers(1, 70),
    k=st.integers(1, 12),
    min_cosine=st.sampled_from([0.05, 0.5, 0.95]),
    changed_share=st.sampled_from([0.0, 0.05, 0.3, 0.9]),
)
def test_update_equals_search_of_everything(
    seed: int, count: int, dimensions: int, k: int, min_cosine: float, changed_share: float
) -> None:
    """Some interests retire, some are new, some have another embedding."""
    rng = np.random.default_rng(seed)
    pool_ND = vectors(seed, count, dimensions)
    names = [f"{row:03d}" for row in range(count)]
    old = np.flatnonzero(rng.random(count) >= changed_share)
    new = np.flatnonzero(rng.random(count) >= changed_share)
    now_ND = pool_ND.copy()
    now_ND[rng.random(count) < changed_share / 2] *= -0.5
    before = semantic_neighbors(pool_ND[old], k=k, min_cosine=min_cosine)
    rows_N = same_rows(
        [names[row] for row in old], pool_ND[old], [names[row] for row in new], now_ND[new]
    )
    updated = semantic_neighbors(
        now_ND[new], k=k, min_cosine=min_cosine, previous=PreviousNeighbors(before, rows_N)
    )
    assert_equal(updated, semantic_neighbors(now_ND[new], k=k, min_cosine=min_cosine))


def test_update_searches_for_new_rows_only(monkeypatch: pytest.MonkeyPatch) -> None:
    embeddings_ND = np.random.default_rng(3).normal(size=(300, 16)).astype(np.float32)
    old = np.delete(np.arange(300), [7, 150])
    before = semantic_neighbors(embeddings_ND[old], k=5, min_cosine=0.1)
    rows_N = np.full(300, -1)
    rows_N[old] = np.arange(298)
    scored: list[int] = []
    exact = module._exact_cosines

    def count_pairs(
        units_ND: Float32, from_P: NDArray[np.int64], to_P: NDArray[np.int64]
    ) -> Float32:
        scored.append(len(from_P))
        return exact(units_ND, from_P, to_P)

    monkeypatch.setattr(module, "_exact_cosines", count_pairs)
    semantic_neighbors(
        embeddings_ND, k=5, min_cosine=0.1, previous=PreviousNeighbors(before, rows_N)
    )
    assert 0 < sum(scored) < 60


def test_result_does_not_depend_on_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    embeddings_ND = vectors(1, 200, 33)
    whole = semantic_neighbors(embeddings_ND, min_cosine=0.2)
    monkeypatch.setattr(module, "_BLOCK_CELLS", 1_400)
    monkeypatch.setattr(module, "_PAIR_CELLS", 100)
    assert_equal(semantic_neighbors(embeddings_ND, min_cosine=0.2), whole)


def test_equal_vectors_name_the_lower_row_first() -> None:
    found = semantic_neighbors(np.ones((5, 3), np.float32), k=2, min_cosine=0.5)
    assert found.rows_NK.tolist() == [[1, 2], [0, 2], [0, 1], [0, 1], [0, 1]]


def test_row_without_vector_has_no_neighbors_and_is_none() -> None:
    found = semantic_neighbors(
        np.array([[1, 0], [0, 0], [2, 0.1]], np.float32), k=2, min_cosine=0.01
    )
    assert found.rows_NK.tolist() == [[2, -1], [-1, -1], [0, -1]]
    assert found.cosines_NK[1].tolist() == [0, 0]


@pytest.mark.parametrize(("k", "min_cosine"), [(4, 0.2), (5, 0.3)])
def test_previous_graph_of_other_settings_is_not_used(k: int, min_cosine: float) -> None:
    embeddings_ND = vectors(2, 50, 8)
    before = semantic_neighbors(embeddings_ND, k=5, min_cosine=0.2)
    found = semantic_neighbors(
        embeddings_ND,
        k=k,
        min_cosine=min_cosine,
        previous=PreviousNeighbors(before, np.arange(50)),
    )
    assert_equal(found, semantic_neighbors(embeddings_ND, k=k, min_cosine=min_cosine))


def test_same_rows_are_those_of_the_same_embedding() -> None:
    old_MD = np.array([[1, 2], [3, 4], [5, 6]], np.float32)
    new_ND = np.array([[1, 2], [9, 9], [3, 5], [5, 6]], np.float32)
    rows_N = same_rows(["a", "c", "d"], old_MD, ["a", "b", "c", "d"], new_ND)
    assert rows_N.tolist() == [0, -1, -1, 2]
    assert same_rows(["a"], old_MD[:1], ["a"], np.ones((1, 3), np.float32)).tolist() == [-1]


def test_bad_input_is_refused() -> None:
    good = np.ones((2, 2), np.float32)
    with pytest.raises(ValueError, match="finite"):
        semantic_neighbors(np.full((2, 2), np.nan, np.float32), min_cosine=0.5)
    with pytest.raises(ValueError, match="min_cosine"):
        semantic_neighbors(good, min_cosine=0)
    before = semantic_neighbors(good, min_cosine=0.5)
    with pytest.raises(ValueError, match="same order"):
        PreviousNeighbors(before, np.array([1, 0]))
    with pytest.raises(ValueError, match="one entry for each"):
        semantic_neighbors(good, min_cosine=0.5, previous=PreviousNeighbors(before, np.array([0])))


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), k=st.integers(1, 6))
def test_edges_hold_the_lists_that_they_were_made_of(seed: int, k: int) -> None:
    lists = semantic_neighbors(vectors(seed, 40, 12), k=k, min_cosine=0.2)
    engagement = EngagementEdges(
        np.array([[0, 39], [3, 4]], np.int32), np.array([0.5, 0.25], np.float32)
    )
    edges = combine(lists, engagement)
    assert_equal(Neighbors.from_edges(edges, 40, k=k, min_cosine=0.2), lists)


def test_edges_are_the_union_of_what_either_end_names() -> None:
    # On a line of angles: 0 names 1, 1 names 0, 2 names 1; 3 is far from all.
    angles = np.radians([0, 10, 25, 170])
    lists = semantic_neighbors(
        np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32), k=1, min_cosine=0.5
    )
    engagement = EngagementEdges(
        np.array([[0, 1], [0, 3]], np.int32), np.array([0.5, 0.25], np.float32)
    )
    edges = combine(lists, engagement)
    assert edges.ends_E2.tolist() == [[0, 1], [0, 3], [1, 2]]
    np.testing.assert_allclose(
        edges.semantic_E, [np.cos(np.radians(10)), 0, np.cos(np.radians(15))], rtol=1e-6
    )
    assert edges.engagement_E.tolist() == [0.5, 0.25, 0]
    np.testing.assert_allclose(
        edges.weight_E,
        [1 - (1 - 0.9 * np.cos(np.radians(10))) * 0.55, 0.225, 0.9 * np.cos(np.radians(15))],
        rtol=1e-6,
    )


def test_nothing_joins_nothing() -> None:
    lists = semantic_neighbors(np.empty((0, 4), np.float32), min_cosine=0.5)
    assert len(combine(lists, EngagementEdges.none())) == 0


_WEIGHTS = st.floats(0, 1, width=32, allow_subnormal=False)


@given(one=st.tuples(_WEIGHTS, _WEIGHTS), other=st.tuples(_WEIGHTS, _WEIGHTS))
def test_combined_weight_is_positive_and_grows_with_both(
    one: tuple[float, float], other: tuple[float, float]
) -> None:
    low, high = np.minimum(one, other), np.maximum(one, other)
    semantic_E, engagement_E = np.array([low, high], np.float32).T
    weight_E = combined_weight(semantic_E, engagement_E)
    assert weight_E[0] <= weight_E[1] < 1
    assert ((weight_E > 0) == ((semantic_E > 0) | (engagement_E > 0))).all()
