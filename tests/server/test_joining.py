"""Picture, texts and author become one ranking, by the equation of the API."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inkling_server.joining import (
    AUTHOR_FLOOR,
    AUTHOR_RELIABILITY,
    AuthorInterest,
    Evidence,
    author_evidence,
    join,
    with_author,
)

CAPTION = Evidence("caption", 0.75, 1)
COMMENT = Evidence("comment", 0.2, 1)


@dataclass(frozen=True, slots=True)
class Posts:
    """As storage counts them."""

    interest_id: str
    mean_score: float
    item_count: int
    author_item_count: int


def ranked(scores: dict[int, float], evidence: dict[int, Any], **changes: Any) -> list[Any]:
    options = {"top_n": 5, "min_score": 0.0} | changes
    return [(one.row, one.score) for one in join(scores, evidence, **options)]


def test_hand_computed_example() -> None:
    ((row, score),) = ranked({3: 0.4}, {3: (CAPTION, COMMENT)})
    assert row == 3
    assert score == np.float32(1 - 0.6 * 0.25 * 0.8)  # 0.88


def test_without_evidence_a_score_is_the_pictures_to_the_last_bit() -> None:
    score = float(np.float32(0.1234567))
    assert ranked({0: score, 1: 0.5}, {1: (CAPTION,)}) == [(1, 0.875), (0, score)]


def test_without_a_picture_texts_rank_alone() -> None:
    assert ranked({}, {4: (COMMENT,), 2: (CAPTION,)}) == [(2, 0.75), (4, float(np.float32(0.2)))]


def test_threshold_and_number_apply_to_joined_scores_and_ties_go_by_row() -> None:
    scores = {0: 0.5, 1: 0.5, 2: 0.01}
    assert ranked(scores, {2: (Evidence("title", 0.5, 1),)}, top_n=2) == [
        (2, float(np.float32(1 - 0.99 * 0.5))),
        (0, 0.5),
    ]
    assert [row for row, _ in ranked(scores, {}, min_score=0.01)] == [0, 1]


@given(
    st.floats(0, 1, width=32),
    st.lists(st.floats(0.015625, 0.984375, width=32), max_size=9),
)
def test_more_evidence_never_lowers_a_score(picture: float, weights: list[float]) -> None:
    evidence = tuple(Evidence("caption", weight, 1) for weight in weights)
    before = 0.0
    for count in range(len(evidence) + 1):
        found = join({0: picture}, {0: evidence[:count]}, top_n=1, min_score=-1.0)
        assert before <= found[0].score <= 1
        before = found[0].score


def test_author_weighs_by_share_of_items_and_few_items_say_little() -> None:
    rows = {"cat": 0, "dog": 1, "gone": None, "rare": 2}
    interests: list[AuthorInterest] = [
        Posts("cat", 0.8, 95, 95),
        Posts("dog", 1.0, 1, 1),
        Posts("gone", 1.0, 90, 95),
        Posts("rare", 0.2, 1, 95),
    ]
    found = author_evidence(interests, rows.get)
    assert found.keys() == {0, 1}
    assert found[0].weight == pytest.approx(0.25 * 0.8 * 95 / 100)
    assert (found[0].source, found[0].mention_count, found[0].text) == ("author", 95, "")
    assert found[1].weight == pytest.approx(0.25 / 6)


def test_an_author_strengthens_what_something_shows_and_introduces_nothing() -> None:
    author = {row: Evidence("author", AUTHOR_RELIABILITY, 9) for row in range(4)}
    shown = {0: AUTHOR_FLOOR, 1: AUTHOR_FLOOR - 0.01}
    found = with_author({2: (COMMENT,)}, author, shown)
    assert found.keys() == {0, 2}
    assert [one.source for one in found[2]] == ["author", "comment"]
    assert with_author({2: (CAPTION,)}, author, {})[2][0] is CAPTION
