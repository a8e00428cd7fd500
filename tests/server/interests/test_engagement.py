"""Co-engagement, against numbers worked out by hand and against the definition."""

from collections import Counter
from itertools import combinations
from math import log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from inkling_server.interests import engagement as module
from inkling_server.interests.engagement import (
    EngagementEdges,
    EngagementSettings,
    engagement_edges,
)

ANY_EVIDENCE = EngagementSettings(min_evidence=0)
ANY_SUPPORT = EngagementSettings(min_evidence=0, min_support=1)


def join(
    people: list[list[int]], count: int, settings: EngagementSettings | None = None
) -> EngagementEdges:
    offsets = np.cumsum([0, *map(len, people)])
    rows = np.array([row for person in people for row in person], np.int64)
    return engagement_edges(offsets, rows, count, settings)


def as_dict(edges: EngagementEdges) -> dict[tuple[int, int], float]:
    ends: NDArray[np.int32] = edges.ends_E2
    return {
        (first, second): value
        for (first, second), value in zip(ends.tolist(), edges.npmi_E.tolist(), strict=True)
    }


def test_pair_is_weighed_by_npmi() -> None:
    """Of 8 people 4 have 0, 4 have 1 and 3 both: ln(3/8 / (1/2 * 1/2)) / -ln(3/8) = .41339."""
    people = [[0, 1], [1, 0], [0, 1], [0], [1], [2], [2], [2]]
    assert as_dict(join(people, 3, ANY_SUPPORT)) == pytest.approx({(0, 1): 0.413390}, abs=1e-6)


def test_interests_that_only_occur_together_weigh_one() -> None:
    assert as_dict(join([[0, 1]] * 5 + [[2]] * 5, 3, ANY_EVIDENCE)) == pytest.approx({(0, 1): 1.0})


def test_what_everyone_has_joins_nothing() -> None:
    assert not as_dict(join([[0, 1]] * 20, 2, ANY_EVIDENCE))


def test_chance_and_less_than_chance_join_nothing() -> None:
    independent = [[0, 1], [0], [1], [2]] * 5
    assert not as_dict(join(independent, 3, ANY_EVIDENCE))
    avoiding = [[0]] * 10 + [[1]] * 10 + [[0, 1]] * 5
    assert not as_dict(join(avoiding, 2, ANY_EVIDENCE))


def test_evidence_is_the_log_likelihood_ratio() -> None:
    """8 where 1 was expected: 2 (8 ln 8 - 7) = 19.271; 5: 2 (5 ln 5 - 4) = 8.094."""
    found = module.evidence(np.array([8.0, 5.0, 1.0]), np.ones(3))
    assert found.tolist() == pytest.approx([19.27107, 8.09438, 0], abs=1e-5)


def test_pairs_that_met_by_chance_are_not_joined() -> None:
    rng = np.random.default_rng(3)
    people = [rng.choice(300, 12, replace=False).tolist() for _ in range(4_000)]
    friends = [[300, 301]] * 20
    assert len(as_dict(join(people + friends, 302, ANY_EVIDENCE))) > 1_000
    assert set(as_dict(join(people + friends, 302))) == {(300, 301)}


def test_pair_needs_enough_people() -> None:
    others = [[2]] * 10
    assert not as_dict(join([[0, 1]] * 4 + others, 3, ANY_EVIDENCE))
    assert as_dict(join([[0, 1]] * 5 + others, 3, ANY_EVIDENCE))


def test_person_counts_once_for_an_interest() -> None:
    once = [[0, 1], [0], [1], [2], [2]]
    twice = [[0, 1, 0, 1, 1], [0, 0], [1], [2], [2]]
    assert as_dict(join(once, 3, ANY_SUPPORT)) == as_dict(join(twice, 3, ANY_SUPPORT))


def test_people_without_interests_do_not_count() -> None:
    some = [[0, 1], [0], [1], [2], [2]]
    assert as_dict(join([[], *some, [], []], 3, ANY_SUPPORT)) == as_dict(join(some, 3, ANY_SUPPORT))


def test_crawlers_cannot_join_everything() -> None:
    people = [[row] for row in range(40) for _ in range(5)]
    crawlers = [list(range(40))] * 6
    assert not as_dict(
        join(people + crawlers, 40, EngagementSettings(min_evidence=0, fair_interests=10))
    )
    assert not as_dict(
        join(people + crawlers, 40, EngagementSettings(min_evidence=0, max_interests=39))
    )
    # They would, if they counted as people do.
    assert as_dict(
        join(people + crawlers, 40, EngagementSettings(min_evidence=0, fair_interests=40))
    )


def test_eager_person_counts_less_than_one() -> None:
    """4 interests where 2 are fair: weight 1 * 2 / (4 * 3) = 1/6 in every count."""
    eager = [[0, 1, 2, 3]] * 6
    settings = EngagementSettings(min_evidence=0, min_support=1, fair_interests=2)
    found = as_dict(join([*eager, [4], [4], [4]], 5, settings))
    # p(x) = p(y) = p(x, y) = 1 / 4.
    assert found == pytest.approx(dict.fromkeys(combinations(range(4), 2), 1.0))
    mixed = as_dict(join([*eager, [4], [4], [0]], 5, settings))
    # p(0) = 2 / 4, p(1) = p(0, 1) = 1 / 4.
    assert mixed[0, 1] == pytest.approx(log(2) / log(4))


def test_interest_names_its_strongest_and_stays_named_by_others() -> None:
    people = [[0, 1]] * 8 + [[0, 2]] * 6 + [[0, 3]] * 5 + [[1], [2], [3]] * 2 + [[4]] * 40
    both = as_dict(join(people, 5, EngagementSettings(min_evidence=0, k=1)))
    # 0 names 1 alone; 2 and 3 name 0.
    assert set(both) == {(0, 1), (0, 2), (0, 3)}
    lonely = [[0, 1]] * 9 + [[1, 2]] * 8 + [[2, 0]] * 5 + [[3]] * 40
    assert set(as_dict(join(lonely, 4, EngagementSettings(min_evidence=0, k=1)))) == {
        (0, 1),
        (1, 2),
    }


def npmi_by_definition(people: list[list[int]], min_support: int) -> dict[tuple[int, int], float]:
    sets = [frozenset(person) for person in people if person]
    single = Counter(row for person in sets for row in person)
    pairs = Counter(pair for person in sets for pair in combinations(sorted(person), 2))
    made = {}
    for (x, y), both in pairs.items():
        if both >= min_support and both < len(sets):
            p = both / len(sets)
            value = log(p / (single[x] / len(sets) * single[y] / len(sets))) / -log(p)
            if value > 1e-9:
                made[x, y] = value
    return made


@settings(max_examples=100, deadline=None)
@given(
    people=st.lists(st.lists(st.integers(0, 9), max_size=5), max_size=30),
    min_support=st.integers(1, 3),
)
def test_blocks_give_what_the_definition_says(people: list[list[int]], min_support: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_BLOCK_PAIRS", 7)
        found = join(people, 10, EngagementSettings(min_evidence=0, min_support=min_support, k=10))
    worth = {pair: value for pair, value in as_dict(found).items() if value > 1e-9}
    assert worth == pytest.approx(npmi_by_definition(people, min_support), abs=1e-6)
    assert list(worth) == sorted(worth)


def test_arrays_that_describe_no_people_are_refused() -> None:
    rows = np.array([0, 1])
    for offsets in ([1, 2], [0, 1], [0, 2, 1, 2], []):
        with pytest.raises(ValueError, match="person_offsets"):
            engagement_edges(np.array(offsets, np.int64), rows, 2)
    with pytest.raises(ValueError, match="rows of interests"):
        engagement_edges(np.array([0, 2]), rows, 1)
