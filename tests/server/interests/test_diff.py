"""What a diff says of two versions."""

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from inkling_server.interests.diff import Renamed, diff_graphs
from inkling_server.interests.graph import Interest
from tests.server.interests.graph_kit import plain, snapshot_of

CAT = Interest("cat", "cat", count=5, is_trending=True)
DOG = Interest("dog", "dog", count=9)
ELK = Interest("elk", "elk", count=2, is_trending=True)
FOX = Interest("fox", "fox", count=3)


def test_interests_that_came_and_went() -> None:
    diff = diff_graphs(snapshot_of([CAT, DOG, ELK]), snapshot_of([ELK, FOX]))
    assert diff.added == (FOX,)
    assert diff.removed == (DOG, CAT)
    assert not any((diff.renamed, diff.newly_trending, diff.no_longer_trending))


def test_interest_under_another_phrase_is_renamed() -> None:
    doggo = replace(DOG, phrase="doggo", count=20)
    kitty = replace(CAT, phrase="kitty", count=30)
    diff = diff_graphs(snapshot_of([CAT, DOG, ELK]), snapshot_of([kitty, doggo, ELK]))
    assert diff.renamed == (Renamed(CAT, kitty), Renamed(DOG, doggo))
    assert diff.added == diff.removed == ()


def test_trends_that_began_and_ended() -> None:
    now_trending = replace(DOG, is_trending=True)
    new_and_trending = replace(FOX, is_trending=True, count=30)
    over = replace(CAT, is_trending=False, count=6)
    # The elk was trending and retired: it is removed, and nothing more.
    diff = diff_graphs(
        snapshot_of([CAT, DOG, ELK]), snapshot_of([over, now_trending, new_and_trending])
    )
    assert diff.newly_trending == (new_and_trending, now_trending)
    assert diff.no_longer_trending == (over,)


def test_edges_are_compared_by_ids() -> None:
    old = snapshot_of(plain("a", "b", "d"), {("a", "b"): (0.5, 0), ("b", "d"): (0.5, 0)})
    # "c" shifts the row of "d"; b-d stays, with another weight.
    new = snapshot_of(
        plain("a", "b", "c", "d"),
        {("b", "d"): (0.9, 0.1), ("c", "d"): (0.5, 0), ("a", "d"): (0.5, 0)},
    )
    diff = diff_graphs(old, new)
    assert (diff.added_edge_count, diff.removed_edge_count) == (2, 1)


def test_version_does_not_differ_from_itself() -> None:
    one = snapshot_of([CAT, DOG], {("cat", "dog"): (0.5, 0)})
    diff = diff_graphs(one, one)
    assert not any((diff.added, diff.removed, diff.renamed, diff.newly_trending))
    assert (diff.added_edge_count, diff.removed_edge_count) == (0, 0)
    empty = diff_graphs(snapshot_of([]), one)
    assert (empty.added, empty.added_edge_count) == ((DOG, CAT), 1)


@given(seed=st.integers(0, 2**32 - 1))
def test_edge_counts_are_those_of_sets(seed: int) -> None:
    rng = np.random.default_rng(seed)
    versions, sets = [], []
    for _ in range(2):
        names = sorted(str(name) for name in rng.choice(list("abcdefgh"), 6, replace=False))
        pairs = {tuple(sorted(rng.choice(names, 2, replace=False).tolist())) for _ in range(8)}
        versions.append(snapshot_of(plain(*names), dict.fromkeys(pairs, (0.5, 0))))
        sets.append(pairs)
    diff = diff_graphs(*versions)
    assert diff.added_edge_count == len(sets[1] - sets[0])
    assert diff.removed_edge_count == len(sets[0] - sets[1])
