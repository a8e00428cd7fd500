"""The one pass counts what direct formulas over the whole matrix count."""

from dataclasses import fields

import numpy as np
import pytest

from inkling_training import metrics
from inkling_training.evaluation import judged, tagging
from inkling_training.exported import scores
from tests.training.evaluation import small

pytestmark = pytest.mark.training


def test_counts_by_hand() -> None:
    rows = small.judged().rows
    assert rows.given_B.tolist() == [2, 1, 0]  # nobody can judge the second's best tag
    assert rows.hits_B.tolist() == [1, 1, 0]
    assert rows.gold_B.tolist() == [2, 1, 1]
    assert rows.strict_given_B.tolist() == [2, 2, 0]
    assert rows.precision_B.tolist() == pytest.approx([(1 + 2 / 4) / 2, 1.0, 1 / 3])
    assert rows.pairs_B.tolist() == [4, 3, 4]
    assert rows.squared_B[1] == pytest.approx(0.2**2 + 0.3**2 + 0.5**2)
    assert rows.best_BK[0].tolist() == [0, 1, 3, 2]
    assert rows.first_five_B.all()


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    part = small.held_out(90)
    whole = tagging.judge_model(part, small.CALIBRATION)
    monkeypatch.setattr(judged, "CHUNK", 7)
    pieces = tagging.judge_model(part, small.CALIBRATION)
    for field in fields(judged.PictureRows):
        counted, expected = (getattr(rows, field.name) for rows in (pieces.rows, whole.rows))
        np.testing.assert_allclose(counted, expected, atol=1e-6, err_msg=field.name)
    np.testing.assert_allclose(pieces.sums.logits_H3, whole.sums.logits_H3, atol=1e-5)
    np.testing.assert_allclose(pieces.sums.tags_V4, whole.sums.tags_V4, atol=1e-5)


def test_figures_are_those_of_the_whole_matrix() -> None:
    part, calibration = small.held_out(), small.CALIBRATION
    point, gold = calibration.recommended, part.gold
    scores_BV = scores(part.cosines_BV, part.interests, calibration)
    counted_BV = np.where(gold.counted_BV, scores_BV, -1.0)
    given_BV = metrics.given(scores_BV, point.top_n, point.min_score)
    ours = tagging.judge_model(part, calibration)
    figures = tagging.tagging({tagging.WITH: ours.rows})[tagging.WITH]

    broad = metrics.tagging_figures(given_BV, gold.broad_BV, gold.counted_BV)
    strict = metrics.tagging_figures(given_BV, gold.strict_BV)
    assert figures["broad"]["f1"] == pytest.approx(broad.f1)
    assert figures["strict"]["coverage"] == pytest.approx(strict.coverage)
    assert figures["mean AP a picture"] == pytest.approx(
        metrics.mean_average_precision(counted_BV, gold.broad_BV)
    )
    assert figures["mean AP a tag"] == pytest.approx(
        metrics.mean_average_precision(counted_BV.T, gold.broad_BV.T, tagging.LEAST_FOR_TAG_AP)
    )
    assert figures["right in first 5 (strict)"] == metrics.recall_at(scores_BV, gold.strict_BV, 5)
    for name, least in (("ECE all pairs", -1.0), ("ECE pairs above .05", 0.05)):
        pairs = gold.counted_BV & (scores_BV > least)
        expected = metrics.expected_calibration_error(scores_BV[pairs], gold.broad_BV[pairs])
        assert figures[name] == pytest.approx(expected)


def test_figures_of_some_pictures_are_sums_of_their_rows() -> None:
    part = small.held_out()
    chosen_B = np.array([record.source == "drawings" for record in part.records])
    apart = tagging.judge_model(part.take(chosen_B), small.CALIBRATION)
    taken = tagging.judge_model(part, small.CALIBRATION).rows.take(chosen_B)
    alone = tagging.tagging({tagging.WITH: apart.rows})[tagging.WITH]
    sliced = tagging.tagging({tagging.WITH: taken})[tagging.WITH]
    assert sliced["broad"] == alone["broad"]
    assert sliced["mean AP a tag"] == pytest.approx(alone["mean AP a tag"])
    assert sliced["ECE pairs above .05"] == pytest.approx(alone["ECE pairs above .05"])


def test_frequency_baseline_gives_its_tags_to_every_picture() -> None:
    part = small.held_out(50)
    frequency_V = np.linspace(0, 1, len(part.interests))
    rows = tagging.judge_all(part, small.CALIBRATION, frequency_V)[tagging.FREQUENT].rows
    assert set(rows.strict_given_B.tolist()) == {small.POINT.top_n}
    assert set(rows.best_BK[:, 0].tolist()) == {len(part.interests) - 1}


def test_ratios_are_the_figures() -> None:
    ours = tagging.judge_model(small.held_out(), small.CALIBRATION)
    figures = tagging.tagging({tagging.WITH: ours.rows})[tagging.WITH]
    ratios = tagging.ratios(ours.rows)
    assert ratios["F1"].value == pytest.approx(figures["broad"]["f1"])
    assert ratios["precision"].value == pytest.approx(figures["broad"]["precision"])
    assert ratios["coverage"].value == pytest.approx(figures["broad"]["coverage"])
    assert ratios["mAP a picture"].value == pytest.approx(figures["mean AP a picture"])


def test_fine_bins_hold_their_scores() -> None:
    edges_H = judged.fine_edges()
    values = np.array([0.0, 1e-4, 0.05, 0.5, 0.77, 0.999, 1.0])
    bins = judged.fine_bin(values)
    assert bins[0] == 0
    assert bins[-1] == judged.FINE - 1
    inner = values[1:-1]
    assert (edges_H[bins[1:-1]] <= inner + 1e-12).all()
    assert (edges_H[bins[1:-1] + 1] >= inner - 1e-12).all()
