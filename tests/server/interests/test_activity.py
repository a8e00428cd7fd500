"""Interests age by days with content, and trend against the past."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inkling_server.interests.activity import Activity, ActivitySettings
from inkling_server.interests.corpus_state import CorpusState
from inkling_server.interests.phrases.corpus import RECENT_DAYS, PhraseRecord
from inkling_server.interests.trends import TrendSettings

NEWEST = 20_000


def state_of(days: dict[int, int]) -> CorpusState:
    """Days with one document each; `days`: phrases of each."""
    return CorpusState(phrases_by_day=dict(days), documents_by_day=dict.fromkeys(days, 1))


def record(days: dict[int, int], last_day: int | None = None) -> PhraseRecord:
    return PhraseRecord(
        ("frog",),
        count=1,
        document_count=sum(days.values()),
        forms=Counter({"frog": 1}),
        days=days,
        last_day=max(days, default=0) if last_day is None else last_day,
    )


def test_interest_does_not_age_where_nothing_is_posted() -> None:
    state = state_of({1: 5, 2: 5})
    activity = Activity(state, ActivitySettings())
    assert activity.unseen_days(record({}, 2)) == 0
    assert activity.unseen_days(record({}, 1)) == 1
    state = state_of({1: 5, 2: 5, 5_000: 5})  # years of silence are one day
    assert Activity(state, ActivitySettings()).unseen_days(record({}, 2)) == 1


def test_interest_retires_after_days_of_content_without_it() -> None:
    settings = ActivitySettings(retire_after_days=10)
    state = state_of(dict.fromkeys(range(NEWEST - 30, NEWEST + 1), 1))
    activity = Activity(state, settings)
    assert not activity.is_retired(record({}, NEWEST))
    assert not activity.is_retired(record({}, NEWEST - 10))
    assert activity.is_retired(record({}, NEWEST - 11))


def test_count_halves_every_half_life() -> None:
    activity = Activity(CorpusState(), ActivitySettings(half_life_days=90))
    assert [activity.faded(1_000, days) for days in (0, 90, 180, 9_000)] == [1_000, 500, 250, 0]
    assert activity.faded(0, 5) == 0


def test_nothing_trends_without_a_past() -> None:
    state = state_of(dict.fromkeys(range(NEWEST - 6, NEWEST + 1), 100))
    found = Activity(state, ActivitySettings()).trends({"frog": [record({NEWEST: 90})]})
    assert found == {}
    assert Activity(CorpusState(), ActivitySettings()).trends({}) == {}


def test_phrase_that_is_only_in_the_recent_window_trends() -> None:
    days = dict.fromkeys(range(NEWEST - 60, NEWEST + 1), 100)
    new = {NEWEST - 6: 10, NEWEST: 20}
    old = dict.fromkeys(days, 2)
    found = Activity(state_of(days), ActivitySettings()).trends(
        {"new": [record(new)], "old": [record(old)], "gone": [record({NEWEST - 20: 50})]}
    )
    assert found["new"].is_trending
    assert found["new"].z_score > 3
    assert (found["new"].recent_count, found["new"].past_count) == (30, 0)
    assert not found["old"].is_trending
    assert found["old"].z_score == pytest.approx(0, abs=0.5)
    assert (found["old"].recent_count, found["old"].past_count) == (14, 2 * 54)
    assert "gone" not in found  # not named lately


def test_few_posts_make_no_trend() -> None:
    days = dict.fromkeys(range(NEWEST - 60, NEWEST + 1), 1_000)
    settings = ActivitySettings(trends=TrendSettings(min_recent_count=40))
    activity = Activity(state_of(days), settings)
    assert not activity.trends({"a": [record({NEWEST: 39})]})["a"].is_trending
    assert activity.trends({"a": [record({NEWEST: 40})]})["a"].is_trending


def test_spellings_of_one_interest_count_together() -> None:
    days = dict.fromkeys(range(NEWEST - 60, NEWEST + 1), 100)
    both = [record({NEWEST: 3, NEWEST - 30: 1}), record({NEWEST: 4, NEWEST - 30: 1})]
    trend = Activity(state_of(days), ActivitySettings()).trends({"frog": both})["frog"]
    assert (trend.recent_count, trend.past_count) == (7, 2)


def test_what_lies_before_the_past_window_does_not_count() -> None:
    settings = ActivitySettings(recent_days=2, past_days=3)
    days = dict.fromkeys(range(NEWEST - 9, NEWEST + 1), 10)
    own = dict.fromkeys(days, 1)
    trend = Activity(state_of(days), settings).trends({"frog": [record(own)]})["frog"]
    assert (trend.recent_count, trend.past_count) == (2, 3)


def test_more_than_all_phrases_of_a_window_is_no_error() -> None:
    # Days of the state are forgotten apart from those of records: sums may differ.
    state = state_of({NEWEST: 1, NEWEST - 20: 1})
    found = Activity(state, ActivitySettings()).trends(
        {"a": [record({NEWEST: 50, NEWEST - 20: 70})], "b": [record({NEWEST: 5})]}
    )
    assert found["a"].recent_count == 50


def test_windows_fit_into_what_records_remember() -> None:
    settings = ActivitySettings()
    assert settings.recent_days + settings.past_days <= RECENT_DAYS


@given(
    days=st.dictionaries(st.integers(0, 300), st.integers(1, 50), min_size=1, max_size=20),
    last=st.integers(0, 320),
)
def test_unseen_days_are_the_days_of_content_since(days: dict[int, int], last: int) -> None:
    activity = Activity(state_of(days), ActivitySettings())
    assert activity.unseen_days(record({}, last)) == len([day for day in days if day > last])
