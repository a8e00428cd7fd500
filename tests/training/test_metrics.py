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


def test_figures_of_counts_are_those_of_flags() -> None:
    given_BV = metrics.given(SCORES_BV, 2, 0.0)
    counts = (given_BV.sum(axis=1), (given_BV & GOLD_BV).sum(axis=1), GOLD_BV.sum(axis=1))
    assert metrics.figures_of_counts(*counts) == metrics.tagging_figures(given_BV, GOLD_BV)


def test_bins_keep_pairs_scores_and_right_ones() -> None:
    sums_Q3 = metrics.bin_sums(np.array([0.1, 0.2, 0.9]), np.array([False, True, True]), bins=2)
    assert sums_Q3[0].tolist() == pytest.approx([2, 0.3, 1])
    assert sums_Q3[1].tolist() == pytest.approx([1, 0.9, 1])
    assert metrics.calibration_error(sums_Q3) == pytest.approx((0.7 + 0.1) / 3)


def test_bins_of_equal_mass_are_narrow_where_scores_crowd() -> None:
    fine_H3 = np.array([[10, 1, 0], [10, 2, 5], [0, 0, 0], [10, 5, 5], [10, 9, 9]], dtype=float)
    halves_Q3 = metrics.equal_mass(fine_H3, bins=2)
    assert halves_Q3[:, 0].tolist() == [20, 20]
    assert halves_Q3[:, 1].tolist() == [3, 14]
    assert metrics.calibration_error(halves_Q3) == pytest.approx((2 + 0) / 40)
    assert len(metrics.equal_mass(np.zeros((5, 3)))) == 0


def test_rank_of_a_model_that_sees_no_difference_is_the_worst() -> None:
    right = np.array([[True, False, False], [False, True, True]])
    assert metrics.worst_ranks(np.zeros((2, 3)), right).tolist() == [3, 2]
    similarities = np.array([[0.5, 0.9, 0.1], [0.2, 0.1, 0.3]])
    assert metrics.worst_ranks(similarities, right).tolist() == [2, 1]
