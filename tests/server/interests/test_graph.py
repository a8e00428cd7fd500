"""The graph as a value: what names a version, and what edges must be."""

from dataclasses import replace

import numpy as np
import pytest

from inkling_server.interests.graph import (
    Community,
    Edges,
    Interest,
    Topic,
    is_version,
    make_snapshot,
)
from tests.server.interests.graph_kit import CREATED, edges_of, plain, snapshot_of


def test_version_depends_on_everything_that_it_says() -> None:
    cat, dog = plain("cat", "dog")
    edges = edges_of({(0, 1): (0.5, 0.25)})

    def version(*interests: Interest, edges: Edges = edges, **others: object) -> str:
        return make_snapshot(interests, CREATED, edges=edges, **others).version  # type: ignore[arg-type]

    versions = [
        version(cat, dog),
        version(cat, replace(dog, rank=0.1)),
        version(cat, replace(dog, last_seen=CREATED)),
        version(cat, replace(dog, topic=0)),
        version(cat, replace(dog, extractors=("rake",))),
        version(cat, dog, edges=Edges.none()),
        version(cat, dog, edges=edges_of({(0, 1): (0.5, 0.5)})),
        version(cat, dog, topics=[Topic(0, ("sea",))]),
        version(cat, dog, communities=[Community(0, "pets", 2)]),
        version(cat, dog, document_count=1),
        version(cat, dog, origin="feed"),
    ]
    assert len(set(versions)) == len(versions)
    assert version(cat, dog) == versions[0]


def test_edges_must_fit_the_interests() -> None:
    cat, dog = plain("cat", "dog")
    edges = edges_of({(0, 1): (0.5, 0.0)})
    with pytest.raises(ValueError, match="not sorted"):
        make_snapshot([dog, cat], CREATED, edges=edges)
    with pytest.raises(ValueError, match="not there"):
        make_snapshot([cat], CREATED, edges=edges)


@pytest.mark.parametrize(
    "ends",
    [[[1, 0]], [[0, 0]], [[-1, 0]], [[0, 1], [0, 1]], [[0, 2], [0, 1]]],
    ids=["turned", "loop", "negative", "twice", "unsorted"],
)
def test_edges_out_of_order_are_refused(ends: list[list[int]]) -> None:
    weights = [np.full(len(ends), 0.5, np.float32) for _ in range(3)]
    with pytest.raises(ValueError, match="sorted, unique"):
        Edges(np.array(ends, np.int32), *weights)


def test_edges_of_another_shape_or_type_are_refused() -> None:
    one = np.full(1, 0.5, np.float32)
    with pytest.raises(ValueError, match="int32"):
        Edges(np.array([[0, 1]]), one, one, one)
    with pytest.raises(ValueError, match="float32"):
        Edges(np.array([[0, 1]], np.int32), one, one, np.full(2, 0.5, np.float32))


def test_edges_cannot_be_changed() -> None:
    edges = snapshot_of(plain("a", "b"), {("a", "b"): (0.5, 0.1)}).edges
    for array in (edges.ends_E2, edges.semantic_E, edges.engagement_E, edges.weight_E):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [("2026-02-14-1a2b3c4d", True), ("v1", True), ("ü" * 100, True), ("ü" * 101, False)],
)
def test_version_is_a_name_that_a_folder_can_have(text: str, expected: bool) -> None:
    assert is_version(text) is expected
