"""The operating point: figures by hand, both rules, and a target out of reach."""

import numpy as np
import pytest

from inkling_training.calibration import operating
from inkling_training.calibration.figures import Tops, judge, scorer
from inkling_training.calibration.operating import TargetUnreachable
from tests.training.calibration.calibration_kit import CALIBRATION, fit_data

pytestmark = pytest.mark.training

TOPS = Tops(
    scores_BN=np.array([[0.9, 0.6, 0.2], [0.8, 0.3, 0.1]], np.float32),
    right_BN=np.array([[True, False, True], [False, True, False]]),
    counted_BN=np.array([[True, True, True], [True, True, True]]),
    right_count_B=np.array([2, 4]),
    weights_B=np.array([0.5, 0.5]),
)


def drawn() -> Tops:
    data = fit_data(600, 30, bias=-4.5)
    return judge(data, scorer(data, CALIBRATION))[1]


def test_figures_of_a_point_are_counted_by_hand() -> None:
    found = operating.point(TOPS, 2, 0.5)
    assert found.precision == pytest.approx(1 / 3)
    assert found.recall == pytest.approx(1 / 4)  # two places a picture can hold two each
    assert found.coverage == 0.5
    assert found.tags_per_picture == 1.5
    assert found.precision_low < found.precision
    assert found.f_beta == pytest.approx(1.25 * (1 / 12) / (0.25 / 3 + 0.25))


def test_threshold_is_strict_as_in_the_server() -> None:
    score = float(np.float32(0.6))
    assert operating.point(TOPS, 3, score).tags_per_picture == 1.0
    assert operating.point(TOPS, 3, np.nextafter(score, 0)).tags_per_picture == 1.5


def test_nothing_given_is_no_precision_and_no_error() -> None:
    found = operating.point(TOPS, 3, 0.95)
    assert (found.precision, found.precision_low, found.coverage) == (0, 0, 0)


def test_lower_bound_holds_as_often_as_it_promises() -> None:
    tops = drawn()
    truth = operating.point(tops, 3, 0.4).precision
    rng = np.random.default_rng(0)
    below = 0
    for _ in range(300):
        some = rng.integers(0, len(tops.weights_B), 80)
        sample = Tops(
            tops.scores_BN[some],
            tops.right_BN[some],
            tops.counted_BN[some],
            tops.right_count_B[some],
            np.full(80, 1 / 80),
        )
        below += operating.point(sample, 3, 0.4, confidence=0.9).precision_low <= truth
    assert 0.85 <= below / 300 <= 0.97


def test_target_precision_has_the_largest_coverage_that_reaches_it() -> None:
    points = operating.curve(drawn(), range(1, 11))
    chosen = operating.best_coverage(points, 0.6)
    assert chosen.precision > chosen.precision_low >= 0.6
    assert all(each.coverage <= chosen.coverage for each in points if each.precision_low >= 0.6)
    stricter = operating.best_coverage(points, 0.75)
    assert stricter.coverage < chosen.coverage


def test_target_out_of_reach_says_what_is_in_reach() -> None:
    points = operating.curve(drawn(), range(1, 4))
    with pytest.raises(TargetUnreachable, match=r"0\.9999: out of reach; allowed: up to 0\.\d+"):
        operating.best_coverage(points, 0.9999)


def test_smaller_beta_prefers_precision() -> None:
    tops = drawn()
    careful, eager = (
        operating.best_f_beta(operating.curve(tops, [5], beta=beta)) for beta in (0.25, 2.0)
    )
    assert careful.precision > eager.precision
    assert careful.recall < eager.recall


def test_precision_at_a_coverage_is_that_of_the_highest_threshold() -> None:
    tops = drawn()
    like = operating.point(tops, 5, 0.4)
    assert operating.precision_at_coverage(tops, 5, like.coverage) == pytest.approx(
        like.precision, abs=0.02
    )
    assert np.isnan(operating.precision_at_coverage(tops, 5, 1.1))
