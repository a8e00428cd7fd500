"""Cross-validation keeps what proves better, and nothing else."""

import numpy as np
import pytest

from inkling_training.calibration import choose
from inkling_training.calibration.figures import judge, scorer
from inkling_training.calibration.fit_data import FitData
from tests.training.calibration.calibration_kit import fit_data

pytestmark = pytest.mark.training


def chosen(data: FitData, names: tuple[str, ...] = choose.NAMES) -> choose.Choice:
    return choose.choose(data, choose.candidates(data, names, fold_count=3, say=lambda _: None))


def test_data_of_a_sigmoid_keep_the_sigmoid() -> None:
    choice = chosen(fit_data(900, parts=3))
    assert choice.chosen.name == choose.SIGMOID
    assert choice.chosen.final.curve is None
    assert choice.chosen.final.tag_offsets == {}


def test_tags_that_differ_get_offsets_which_help_on_other_pictures() -> None:
    true_V = np.random.default_rng(3).normal(0, 1.0, 50)
    choice = chosen(fit_data(900, offsets_V=true_V, parts=3))
    assert "offsets" in choice.chosen.name
    fresh = fit_data(900, seed=8, offsets_V=true_V)
    with_offsets, _ = judge(fresh, scorer(fresh, choice.chosen.final))
    plain = choose.candidates(fit_data(900, parts=3, offsets_V=true_V), (choose.SIGMOID,))[0]
    without, _ = judge(fresh, scorer(fresh, plain.final))
    assert with_offsets.log_loss < 0.97 * without.log_loss
    assert with_offsets.mean_ap > without.mean_ap + 0.01


def test_logits_that_a_sigmoid_cannot_fit_get_a_curve() -> None:
    data = fit_data(1500, bend=lambda logits: np.where(logits > -2, -1.5, logits), parts=3)
    choice = chosen(data)
    assert choice.chosen.name == choose.ISOTONIC
    assert choice.chosen.figures.ece_likely < 0.03


def test_scores_of_a_fold_come_from_the_calibration_without_it() -> None:
    data = fit_data(90, 10)
    folds = data.folds(3)
    (candidate,) = choose.candidates(data, (choose.SIGMOID,), fold_count=3, say=lambda _: None)
    scored = choose.by_fold_scorer(data, folds, candidate.by_fold)
    for rows, calibration in zip(folds, candidate.by_fold, strict=True):
        assert (scored(rows) == scorer(data, calibration)(rows)).all()
    assert len({calibration.scale for calibration in candidate.by_fold}) == 3


def test_folds_deal_every_picture_once_and_every_part_evenly() -> None:
    data = fit_data(101, 5, parts=4)
    folds = data.folds(5)
    assert sorted(np.concatenate(folds).tolist()) == list(range(101))
    for part in set(data.sources):
        sizes = [sum(data.sources[row] == part for row in rows) for rows in folds]
        assert max(sizes) - min(sizes) <= 1
    with pytest.raises(ValueError, match="4 pictures for 5 folds"):
        fit_data(4, 5).folds(5)


@pytest.mark.parametrize(
    ("method", "with_offsets", "names"),
    [
        ("auto", None, choose.NAMES),
        ("sigmoid", False, (choose.SIGMOID,)),
        ("isotonic", False, (choose.ISOTONIC,)),
        ("auto", False, (choose.SIGMOID, choose.ISOTONIC)),
        ("sigmoid", True, (choose.OFFSETS, choose.NEAR_OFFSETS)),
    ],
)
def test_options_leave_these_candidates(
    method: choose.Method, with_offsets: bool | None, names: tuple[str, ...]
) -> None:
    assert choose.wanted_names(method, with_offsets) == names
