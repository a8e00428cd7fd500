import numpy as np
import pytest

from inkling_server.profiles.interest_graph import InterestGraph
from tests.server.profiles.kit import graph_of

# b is joined with a (weight 1) and c (weight 3); d with nobody.
_GRAPH = InterestGraph.of(graph_of("abcd", (0, 1, 0.25), (1, 2, 0.75)))


def test_ids_become_rows() -> None:
    assert _GRAPH.row_of("c") == 2
    assert _GRAPH.row_of("z") is None
    assert _GRAPH.rows_of(["d", "z", "a"]).tolist() == [3, -1, 0]
    assert _GRAPH.rows_of([]).tolist() == []


def test_a_step_goes_by_the_edges_weights() -> None:
    # From b: a quarter to a, three quarters to c; then all of it back.
    start_N = np.array([0.0, 1, 0, 0])

    np.testing.assert_allclose(_GRAPH.spread(start_N, smoothing=0.5, steps=1), [0.125, 0, 0.375, 0])
    np.testing.assert_allclose(
        _GRAPH.spread(start_N, smoothing=0.5, steps=2), [0.125, 0.25, 0.375, 0]
    )


def test_many_steps_are_personalised_pagerank() -> None:
    # v = (1 - s) (w + s P w + ...) solves v = (1 - s) w + s P v.
    start_N, smoothing = np.array([0.2, -1.0, 0.5, 0.0]), 0.4
    steps_NN = np.array([[0, 0.25, 0, 0], [1, 0, 1, 0], [0, 0.75, 0, 0], [0, 0, 0, 0]])
    solved_N = (1 - smoothing) * np.linalg.solve(np.eye(4) - smoothing * steps_NN, start_N)

    given_N = _GRAPH.spread(start_N, smoothing=smoothing, steps=60)

    walked_N = (1 - smoothing) * (start_N + given_N)
    assert np.abs(walked_N - solved_N).max() < 1e-12


def test_an_interest_without_edges_gives_nothing() -> None:
    given_N = _GRAPH.spread(np.array([0.0, 0, 0, 1]), smoothing=0.5, steps=3)

    assert not given_N.any()


def test_a_graph_without_edges_gives_nothing() -> None:
    graph = InterestGraph.of(graph_of("ab"))

    assert not graph.spread(np.ones(2), smoothing=0.5, steps=2).any()
    assert len(InterestGraph.of(graph_of(""))) == 0


def test_embeddings_tell_interests_apart_where_there_are_some() -> None:
    embeddings_ND = np.array([[3, 4], [0, 0], [0, 2], [1, 0]], np.float32)

    graph = InterestGraph.of(graph_of("abcd"), embeddings_ND)

    expected_TF = np.array([[0.6, 0.8], [0, 0]])
    np.testing.assert_allclose(graph.features(np.array([0, 1])), expected_TF, atol=1e-7)
    assert embeddings_ND.flags.writeable  # the caller's array stays the caller's


def test_else_their_neighbours_do() -> None:
    # Two triangles.
    edges = [(0, 1, 1.0), (0, 2, 1.0), (1, 2, 1.0), (3, 4, 1.0), (3, 5, 1.0), (4, 5, 1.0)]
    graph = InterestGraph.of(graph_of("abcdef", *edges))

    cosines_TT = graph.features(np.arange(6)) @ graph.features(np.arange(6)).T

    assert cosines_TT[:3, :3].min() > cosines_TT[:3, 3:].max() + 0.3


def test_embeddings_of_another_graph_are_refused() -> None:
    with pytest.raises(ValueError, match="row for each interest"):
        InterestGraph.of(graph_of("ab"), np.zeros((3, 2), np.float32))
