"""A weight says how far a pair is to be believed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inkling_server.interests.mentions.matching import Mention
from inkling_server.interests.text.document import Field
from inkling_training.pairs.weights import (
    RELIABILITIES,
    discounts,
    weigh,
)


def weight(*mentions: Mention, gold: tuple[int, ...] = ()) -> float:
    return next(one.confidence for one in weigh(mentions, gold) if one.row == 0)


def test_sources_are_independent_witnesses() -> None:
    caption, tag = Mention(0, Field.CAPTION, 1.0), Mention(0, Field.HASHTAG, 1.0)
    assert weight(caption) == pytest.approx(0.75)
    assert weight(caption, tag) == pytest.approx(1 - 0.25 * 0.35)
    assert weight(caption, gold=(0,)) == 1.0
    (both,) = weigh([tag, caption], (0,))
    assert both.sources == ("caption", "hashtag", "tag")


def test_a_verb_counts_less_than_a_noun() -> None:
    assert weight(Mention(0, Field.CAPTION, 0.2)) < 0.2 < weight(Mention(0, Field.CAPTION, 1.0))


def test_any_number_of_comments_stays_weak() -> None:
    assert weight(*[Mention(0, Field.COMMENT, 1.0)] * 1_000) == pytest.approx(0.35)


def test_the_most_certain_come_first_and_ties_by_row() -> None:
    found = weigh([Mention(3, Field.BODY, 1.0), Mention(2, Field.BODY, 1.0)], (5,))
    assert [one.row for one in found] == [5, 2, 3]


@given(
    st.lists(
        st.tuples(st.sampled_from(Field), st.floats(0.001, 1.0)).map(lambda m: Mention(0, *m)),
        min_size=1,
        max_size=30,
    )
)
def test_weights_lie_in_their_range_and_never_fall_with_more_evidence(
    mentions: list[Mention],
) -> None:
    every = weight(*mentions)
    assert 0 < every <= 1
    assert weight(*mentions[:1]) <= every + 1e-12
    assert weight(*mentions[::-1]) == pytest.approx(every)


def test_generic_interests_are_discounted_to_no_less_than_a_half() -> None:
    items = [[0, 1, 2] if n < 10 else [0, 2] if n < 40 else [0] for n in range(100)]
    found = discounts(items)
    assert found[0] == 0.5
    assert 0.5 < found[2] < 0.6
    assert 1 not in found
    assert discounts(items[:20]) == {}


def test_every_field_has_a_reliability() -> None:
    assert {field.value for field in Field} <= RELIABILITIES.keys()
