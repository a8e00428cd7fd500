"""Curves pass through the operating point, and reliability says who promises too much."""

import numpy as np
import pytest

from inkling_server.interests.graph import Interest
from inkling_training.evaluation import curves, reliability, tagging
from inkling_training.evaluation.judged import judge
from inkling_training.gold import Gold
from tests.training.evaluation import small

pytestmark = pytest.mark.training


def test_curves_by_hand() -> None:
    found = curves.by_n_and_threshold(small.judged().rows)
    assert found["N"] == [1, 2, 3, 4]
    at = found["threshold"].index(0.0)
    # one tag each: right, not judged, wrong
    assert found["precision"][0][at] == pytest.approx(1 / 2)
    assert found["recall"][0][at] == pytest.approx(1 / 4)
    assert found["coverage"][0][at] == pytest.approx(1 / 3, abs=1e-4)
    assert found["tags_per_picture"][0][at] == pytest.approx(2 / 3, abs=1e-4)
    # all tags: 4 right of 11 judged
    assert found["precision"][3][at] == pytest.approx(4 / 11, abs=1e-4)
    assert found["recall"][3][at] == 1
    assert np.isnan(found["precision"][0][-1])  # nothing has a score above 0.98


def test_operating_point_lies_on_its_curve() -> None:
    ours = tagging.judge_model(small.held_out(), small.CALIBRATION)
    point = small.POINT
    found = curves.by_n_and_threshold(ours.rows, point.min_score)
    row, column = found["N"].index(point.top_n), found["threshold"].index(point.min_score)
    figures = tagging.tagging({tagging.WITH: ours.rows})[tagging.WITH]["broad"]
    for name in ("precision", "recall", "coverage", "tags_per_picture"):
        assert found[name][row][column] == pytest.approx(figures[name], abs=1e-4)
    assert found["F1"][row][column] == pytest.approx(figures["f1"], abs=1e-4)


def test_precision_recall_ends_at_all_pairs() -> None:
    found = curves.precision_recall(small.judged().sums)
    assert found["recall"][-1] == 1
    assert found["precision"][0] == 1  # the highest score of all is right
    assert 4 / 11 <= found["average precision"] < 1
    assert found["recall"] == sorted(found["recall"])


def test_histogram_counts_every_judged_pair() -> None:
    found = curves.score_histogram(small.judged().sums)
    assert sum(found["right"]) == 4
    assert sum(found["wrong"]) == 7


def test_boastful_and_shy_interests_are_told_apart() -> None:
    honest, boastful, shy = 0.3, 0.8, 0.05
    rng = np.random.default_rng(0)
    scores_BV = np.tile([honest, boastful, shy], (400, 1))
    right_BV = rng.random((400, 3)) < 0.3
    gold = Gold(right_BV, right_BV, np.ones_like(right_BV))
    judged = judge(lambda rows: scores_BV[rows], gold, 1, 0.5, np.array([], dtype=np.int64))
    names = [Interest(name, name) for name in ("honest", "boastful", "shy")]
    found = reliability.by_tag(judged, names)
    assert found["tags"] == 3
    columns = dict(zip(found["columns"]["phrase"], found["columns"]["z"], strict=True))
    assert columns["boastful"] > 2
    assert columns["shy"] < -2
    assert abs(columns["honest"]) < 3
    assert found["columns"]["phrase"][-1] == "honest"  # worst first
    error = found["columns"]["ECE"][found["columns"]["phrase"].index("boastful")]
    assert error == pytest.approx(0.8 - right_BV[:, 1].mean(), abs=1e-5)


def test_overall_calibration_by_hand() -> None:
    found = reliability.calibration(small.judged(), [Interest(str(n), str(n)) for n in range(4)])
    squared = (small.SCORES_BV - small.RIGHT_BV)[small.COUNTED_BV] ** 2
    assert found["Brier score"] == pytest.approx(squared.mean())
    assert found["share right"] == pytest.approx(4 / 11)
    assert found["mean score"] == pytest.approx(small.SCORES_BV[small.COUNTED_BV].mean())
    assert found["by tag"]["tags"] == 0  # too few pictures to say anything of one interest
    assert found["by tag"]["mean ECE"] is None
