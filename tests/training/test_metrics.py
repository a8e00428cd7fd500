"""Figures of merit against values counted by hand."""

import math

import numpy as np
import pytest

from inkling_training import metrics

pytestmark = pytest.mark.training

SCORES_BV = np.array([[0.9, 0.8, 0.1, 0.7], [0.2, 0.3, 0.6, 0.5]])
GOLD_BV = np.array([[True, False, True, False], [False, False, False, True]])


def test_given_tags_are_the_best_strictly_above_the_threshold() -> None:
    assert metrics.given(SCORES_BV, 2, 0.5).tolist() == [
        [True, True, False, False],
        [False, False, True, False],
    ]
    assert metrics.given(SCORES_BV, 99, 0.0).all()


def test_figures_count_what_a_person_would() -> None:
    figures = metrics.tagging_figures(metrics.given(SCORES_BV, 2, 0.0), GOLD_BV)
    assert (figures.tags_per_picture, figures.precision, figures.coverage) == (2.0, 0.5, 1.0)
    assert figures.recall == pytest.approx(2 / 3)
    assert figures.f1 == pytest.approx(4 / 7)


def test_pairs_that_nobody_can_judge_do_not_count() -> None:
    counted_BV = np.array([[True, False, True, True], [True, True, False, True]])
    figures = metrics.tagging_figures(metrics.given(SCORES_BV, 2, 0.0), GOLD_BV, counted_BV)
    assert figures.precision == 1.0
    assert figures.recall == pytest.approx(2 / 3)


def test_average_precision() -> None:
    assert metrics.average_precision(SCORES_BV[0], GOLD_BV[0]) == pytest.approx((1 + 2 / 4) / 2)
    assert math.isnan(metrics.average_precision(SCORES_BV[0], np.zeros(4, dtype=bool)))
    assert metrics.mean_average_precision(SCORES_BV, GOLD_BV) == pytest.approx((0.75 + 0.5) / 2)
    assert metrics.mean_average_precision(SCORES_BV, GOLD_BV, least=2) == pytest.approx(0.75)


def test_calibration_error_of_honest_and_boastful_scores() -> None:
    gold = np.array([True, False, False, False])
    assert metrics.expected_calibration_error(np.full(4, 0.25), gold) == pytest.approx(0)
    assert metrics.expected_calibration_error(np.full(4, 0.75), gold) == pytest.approx(0.5)
    assert metrics.expected_calibration_error(np.array([1.0]), np.array([True])) == pytest.approx(0)


def test_recall_at_k() -> None:
    assert metrics.recall_at(SCORES_BV, GOLD_BV, 1) == 0.5
    assert metrics.recall_at(SCORES_BV, GOLD_BV, 2) == 1.0
