"""Intervals hold what statistics promises of them, and pairing sees small differences."""

import numpy as np
import pytest

from inkling_training import metrics
from inkling_training.evaluation import bootstrap
from inkling_training.evaluation.bootstrap import Ratio, draws, interval, paired

pytestmark = pytest.mark.training


def _mean(values_B: object) -> Ratio:
    values = np.asarray(values_B, dtype=np.float64)
    return Ratio(values, np.ones(len(values)))


def test_draws_take_as_many_pictures_as_there_are() -> None:
    drawn = draws(50, 30)
    assert drawn.shape == (30, 50)
    assert (drawn.sum(axis=1) == 50).all()
    assert np.array_equal(drawn, draws(50, 30))


def test_interval_of_a_share_is_the_binomial_one() -> None:
    hits = np.arange(400) % 4 == 0
    ratio = _mean(hits)
    around = interval(ratio.value, ratio.of_draws(draws(400)))
    assert around is not None
    half = 1.96 * (0.25 * 0.75 / 400) ** 0.5
    assert around.low == pytest.approx(0.25 - half, abs=0.006)
    assert around.high == pytest.approx(0.25 + half, abs=0.006)


def test_pairing_sees_what_separate_intervals_cannot() -> None:
    rng = np.random.default_rng(1)
    before_B = rng.random(300)
    after_B = before_B + 0.01
    around = paired(_mean(before_B), _mean(after_B), draws(300))
    assert around is not None
    assert 0 < around.low <= 0.01 <= around.high + 1e-9
    alone = interval(before_B.mean(), _mean(before_B).of_draws(draws(300)))
    assert alone is not None
    assert alone.high - alone.low > 0.05


def test_nothing_counted_has_no_interval() -> None:
    nothing = Ratio(np.zeros(10), np.zeros(10))
    assert np.isnan(nothing.value)
    assert interval(nothing.value, nothing.of_draws(draws(10, 20))) is None


def test_ratio_of_rows_counts_those_rows_only() -> None:
    ratio = Ratio(np.array([1.0, 2.0, 0.0]), np.array([2.0, 2.0, 4.0]))
    assert ratio.value == pytest.approx(3 / 8)
    assert ratio.of_rows(np.array([True, False, True])).value == pytest.approx(1 / 6)


def test_drawing_every_picture_once_gives_the_figures_themselves() -> None:
    rng = np.random.default_rng(2)
    scores_BT, right_BT = rng.random((60, 4)), rng.random((60, 4)) < 0.2
    once = np.ones((1, 60), dtype=np.float32)
    drawn = bootstrap.drawn_tag_precision(scores_BT, right_BT, once)
    assert drawn[0] == pytest.approx(metrics.mean_average_precision(scores_BT.T, right_BT.T))
    bins_BQ3 = np.stack([metrics.bin_sums(s, r) for s, r in zip(scores_BT, right_BT, strict=True)])
    error = bootstrap.drawn_calibration_error(bins_BQ3, once)
    expected = metrics.expected_calibration_error(scores_BT.ravel(), right_BT.ravel())
    assert error[0] == pytest.approx(expected)
