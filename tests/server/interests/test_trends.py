"""Trends: what there is more of now, and how sure that is."""

import math

import pytest

from inkling_server.interests.trends import TrendSettings, trends


def test_what_grew_leads_and_what_shrank_comes_last() -> None:
    past = {"cat": 500, "dog": 500, "fidget": 2}
    found = trends({"cat": 50, "dog": 20, "fidget": 40}, past)
    assert [trend.key for trend in found] == ["fidget", "cat", "dog"]
    assert [trend.is_trending for trend in found] == [True, False, False]
    assert found[0].z_score > 3 > found[1].z_score
    assert found[2].log_odds < 0
    assert (found[0].recent_count, found[0].past_count) == (40, 2)


def test_same_growth_is_surer_with_more_evidence() -> None:
    recent, past = {"rare": 3, "often": 300}, {"rare": 1, "often": 100}
    found = trends(recent, past, recent_total=10_000, past_total=10_000)
    z = {trend.key: trend.z_score for trend in found}
    assert z["often"] > 3 * z["rare"]


def test_unchanged_share_is_no_trend_whatever_the_windows_sizes() -> None:
    found = trends({"cat": 10, "dog": 30}, {"cat": 1000, "dog": 3000})
    assert [trend.log_odds for trend in found] == pytest.approx([0, 0], abs=0.01)


def test_single_posts_make_no_trend() -> None:
    settings = TrendSettings(min_recent_count=5)
    found = trends({"new": 4}, {}, recent_total=10, past_total=10_000_000, settings=settings)
    assert found[0].z_score > 0
    assert not found[0].is_trending


def test_phrase_that_nobody_said_before_trends_after_a_few_mentions() -> None:
    found = trends({"new": 6}, {}, recent_total=1_000, past_total=8_000)[0]
    # prior: half an occurrence, in all 100
    log_odds = math.log(6.5 / (1_100 - 6.5)) - math.log(0.5 / (8_100 - 0.5))
    assert found.z_score == pytest.approx(log_odds / math.sqrt(1 / 6.5 + 1 / 0.5))
    assert found.is_trending


def test_formula_of_the_paper() -> None:
    settings = TrendSettings(prior_weight=0.5)
    found = trends({"a": 30, "b": 70}, {"a": 10, "b": 90}, settings=settings)[0]
    # prior of a: 0.5 * 100 * (30 + 10) / 200 = 10, in all 50
    log_odds = math.log(40 / (150 - 40)) - math.log(20 / (150 - 20))
    assert found.log_odds == pytest.approx(log_odds)
    assert found.z_score == pytest.approx(log_odds / math.sqrt(1 / 40 + 1 / 20))


def test_one_phrase_alone_stays_finite() -> None:
    assert math.isfinite(trends({"only": 5}, {})[0].z_score)


def test_nothing_recent_is_no_trend() -> None:
    assert trends({}, {"cat": 3}) == []
    assert trends({"cat": 0}, {}, recent_total=5) == []


def test_totals_below_their_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="less than the sum"):
        trends({"cat": 5}, {}, recent_total=4)


def test_prior_must_weigh_something() -> None:
    with pytest.raises(ValueError, match="prior_weight"):
        TrendSettings(prior_weight=0)
