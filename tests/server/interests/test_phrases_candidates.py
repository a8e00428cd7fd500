"""Candidates: what may be a key phrase."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inkling_server.interests.text.document import Field
from tests.server.interests.phrase_kit import SPIDERS, read


def whole(text: str, field: Field = Field.BODY) -> list[str]:
    return [candidate.text for candidate in read(text, field).whole]


def test_noun_phrases_end_at_verbs_function_words_and_punctuation() -> None:
    assert whole("Solar panels power the remote research station, mountain huts.") == [
        "Solar panels",
        "remote research station",
        "mountain huts",
    ]


def test_inflections_are_one_candidate_with_the_commonest_form() -> None:
    found = read("A rain forest. The rain forests. Two rain forests.").candidates
    assert found["rain", "forest"].count == 3
    assert found["rain", "forest"].text == "rain forests"


def test_shorter_phrases_within_are_counted_but_not_whole() -> None:
    found = read("solar energy storage").candidates
    assert found["solar", "energy"].count == 1
    assert found["solar", "energy"].whole_count == 0


def test_weak_word_begins_a_name_only_where_that_is_wanted() -> None:
    text = "We moved to New York with a new car."
    assert [c.text for c in read(text).whole] == ["York", "car"]
    assert [c.text for c in read(text, weak_names=True).whole] == ["New York", "car"]


def test_longest_run_beyond_the_limit_keeps_its_end() -> None:
    found = read("solar energy storage device market", max_words=3)
    assert [candidate.text for candidate in found.whole] == ["storage device market"]


@pytest.mark.parametrize("text", ["the large number of things", "a new way", "two", "", "?!", "x"])
def test_words_that_say_little_make_no_phrase(text: str) -> None:
    assert whole(text) == []


def test_weak_first_word_is_dropped() -> None:
    assert whole("a new solar panel") == ["solar panel"]


def test_hashtag_is_one_phrase_whatever_its_words_are() -> None:
    assert whole("travel", Field.HASHTAG) == ["travel"]
    assert whole("stay wild", Field.HASHTAG) == ["stay wild"]


def test_hashtag_of_an_adjective_names_nothing() -> None:
    assert whole("beautiful", Field.HASHTAG) == []


def test_names_are_told() -> None:
    found = read("we saw Monica Geller and a monkey").candidates
    assert found["monica", "geller"].name_count == 1
    assert found["monkey",].name_count == 0


def test_occurrences_are_in_order() -> None:
    found = read(SPIDERS).candidates["jumping", "spider"]
    assert found.count == 4
    assert found.starts == sorted(found.starts)


@settings(max_examples=50, deadline=None)
@given(st.text(alphabet="ab Aé1-.,'#\n", max_size=60), st.sampled_from(list(Field)))
def test_any_text_gives_candidates_within_its_words(text: str, field: Field) -> None:
    found = read(text, field)
    for candidate in found.candidates.values():
        assert 1 <= len(candidate.key) <= 4
        assert 0 <= candidate.whole_count <= candidate.count
        for start in candidate.starts:
            words = found.words[start : start + len(candidate.key)]
            assert tuple(word.token.normal for word in words) == candidate.key
