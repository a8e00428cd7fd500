"""A view answers as a walk over the whole snapshot would."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inkling_server.interests.graph import Interest
from inkling_server.interests.view import EdgeKind, GraphView, InterestOrder, fold
from tests.server.interests.graph_kit import edges_of, plain, snapshot_of

VIEW = GraphView(
    snapshot_of(
        [
            Interest("dog", "Dog", ("dogs", "doggo"), 50, trend_z=1.0, rank=0.4, community=0),
            Interest(
                "cafe", "café", ("coffee house",), 20, trend_z=4.0, is_trending=True, rank=0.1
            ),
            Interest("coffee", "coffee", ("dog",), 50, rank=0.2, community=0),
            Interest("zebra", "Zebra", (), 1, trend_z=-2.0, rank=0.3, community=1),
        ],
        {
            ("dog", "cafe"): (0.5, 0.5),
            ("dog", "coffee"): (0.9, 0.0),
            ("coffee", "cafe"): (0.9, 0.25),
            ("dog", "zebra"): (0.0, 0.5),
        },
    )
)  # rows: 0 cafe, 1 coffee, 2 dog, 3 zebra


def test_interest_is_found_by_id() -> None:
    assert VIEW.row_of("dog") == 2
    assert VIEW.row_of("Dog") is None
    assert len(VIEW) == 4


@pytest.mark.parametrize(
    ("text", "row"),
    [("dog", 2), (" DOGS ", 2), ("CAFÉ", 0), ("cafe\u0301", 0), ("Coffee House", 0), ("do", None)],
)
def test_interest_is_found_by_phrase_before_alias(text: str, row: int | None) -> None:
    assert VIEW.find_name(text) == row


@pytest.mark.parametrize(
    ("prefix", "rows"),
    [("do", [1, 2]), ("CO", [0, 1]), ("coffee h", [0]), ("x", []), ("", [0, 1, 2, 3])],
)
def test_prefix_finds_phrases_and_aliases(prefix: str, rows: list[int]) -> None:
    assert VIEW.with_prefix(prefix).tolist() == rows


@pytest.mark.parametrize(
    ("order", "rows"),
    [
        (InterestOrder.PHRASE, [0, 1, 2, 3]),
        (InterestOrder.COUNT, [1, 2, 0, 3]),
        (InterestOrder.TREND, [0, 2, 1, 3]),
        (InterestOrder.RANK, [2, 3, 1, 0]),
    ],
)
def test_orders(order: InterestOrder, rows: list[int]) -> None:
    assert VIEW.in_order(order).tolist() == rows


def test_order_by_phrase_is_a_dictionarys() -> None:
    view = GraphView(snapshot_of(plain("Éclair", "eclipse", "Zoo", "apple", "ebony")))
    phrases = [view.snapshot.interests[row].phrase for row in view.in_order()]
    assert phrases == ["apple", "ebony", "Éclair", "eclipse", "Zoo"]


def test_conditions_are_combined() -> None:
    assert VIEW.select(InterestOrder.RANK, community=0).tolist() == [2, 1]
    assert VIEW.select(InterestOrder.RANK, community=0, prefix="dogs").tolist() == [2]
    assert VIEW.select(trending_only=True).tolist() == [0]
    assert VIEW.select(trending_only=True, prefix="d").tolist() == []
    assert VIEW.select(community=7).tolist() == []


@pytest.mark.parametrize(
    ("kind", "rows", "weights"),
    [
        (EdgeKind.COMBINED, [1, 0, 3], [0.81, 1 - 0.55**2, 0.45]),
        (EdgeKind.SEMANTIC, [1, 0], [0.9, 0.5]),
        (EdgeKind.ENGAGEMENT, [0, 3], [0.5, 0.5]),
    ],
)
def test_neighbors_are_the_strongest_first(
    kind: EdgeKind, rows: list[int], weights: list[float]
) -> None:
    found = VIEW.neighbors(2, kind)
    assert found.rows_K.tolist() == rows
    assert found.weights_K.tolist() == pytest.approx(weights)
    ends_K2 = VIEW.snapshot.edges.ends_E2[found.edges_K]
    assert [sorted((2, row)) for row in rows] == ends_K2.tolist()


def test_what_is_counted() -> None:
    assert VIEW.trending_count == 1
    assert VIEW.edge_counts == {
        EdgeKind.COMBINED: 4,
        EdgeKind.SEMANTIC: 3,
        EdgeKind.ENGAGEMENT: 3,
    }


@pytest.mark.parametrize("row", [-1, 4])
def test_row_that_is_not_there_is_refused(row: int) -> None:
    with pytest.raises(IndexError):
        VIEW.neighbors(row)


def test_answers_cannot_be_changed() -> None:
    for array in (VIEW.in_order(), VIEW.neighbors(2).rows_K, VIEW.neighbors(2).edges_K):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_empty_graph_has_answers_too() -> None:
    view = GraphView(snapshot_of([]))
    assert view.with_prefix("a").tolist() == view.in_order().tolist() == []
    assert view.find_name("a") is None
    assert view.select(prefix="a", community=0).tolist() == []


@given(
    names=st.lists(st.text(min_size=1, max_size=4), max_size=12),
    prefix=st.text(max_size=3),
)
def test_prefix_finds_what_a_walk_finds(names: list[str], prefix: str) -> None:
    interests = [Interest(f"{i:02d}", name, (name[::-1],)) for i, name in enumerate(names)]
    expected = [
        row
        for row, i in enumerate(interests)
        if any(fold(name).startswith(fold(prefix)) for name in (i.phrase, *i.aliases))
    ]
    assert GraphView(snapshot_of(interests)).with_prefix(prefix).tolist() == expected


@given(seed=st.integers(0, 2**32 - 1))
def test_every_edge_is_seen_from_both_ends(seed: int) -> None:
    rng = np.random.default_rng(seed)
    pairs = {(min(p), max(p)) for p in rng.integers(0, 9, (15, 2)).tolist() if p[0] != p[1]}
    edges = edges_of({pair: (float(rng.random()), float(rng.integers(2))) for pair in pairs})
    names = [f"{row}" for row in range(9)]
    weights = {
        (names[a], names[b]): (s, e)
        for (a, b), s, e in zip(
            edges.ends_E2.tolist(),
            edges.semantic_E.tolist(),
            edges.engagement_E.tolist(),
            strict=True,
        )
    }
    view = GraphView(snapshot_of([Interest(name, name) for name in names], weights))
    seen = {
        (row, other, weight)
        for row in range(9)
        for other, weight in zip(
            view.neighbors(row).rows_K.tolist(), view.neighbors(row).weights_K.tolist(), strict=True
        )
    }
    ends, weight_E = view.snapshot.edges.ends_E2.tolist(), view.snapshot.edges.weight_E.tolist()
    one_way = {(a, b, weight) for (a, b), weight in zip(ends, weight_E, strict=True)}
    assert seen == one_way | {(b, a, weight) for a, b, weight in one_way}
