"""The sigmoid finds the parameters that made the data, and never lets the prior rule."""

from dataclasses import replace

import numpy as np
import pytest

from inkling_training.calibration import platt
from inkling_training.data import Record
from inkling_training.exported import scores
from inkling_training.gold import EVERYDAY, Gold
from inkling_training.held_out import HeldOut
from tests.training.calibration.calibration_kit import fit_data

pytestmark = pytest.mark.training


def test_fit_recovers_what_made_the_data() -> None:
    data = fit_data(800)
    fitted = platt.fit(data, data.all_rows)
    assert fitted.scale == pytest.approx(9.0, rel=0.1)
    assert fitted.bias == pytest.approx(-3.0, abs=0.3)
    assert fitted.prior_weight < 0.05  # counts had nothing to do with it


def test_start_changes_the_time_and_not_the_result() -> None:
    data = fit_data()
    cold = platt.fit(data, data.all_rows)
    warm = platt.fit(data, data.all_rows, start=replace(cold, scale=20.0, bias=-1.0))
    assert warm.scale == pytest.approx(cold.scale, rel=1e-2)
    assert warm.bias == pytest.approx(cold.bias, abs=2e-2)


def test_pairs_that_do_not_count_change_nothing() -> None:
    data = fit_data()
    rng = np.random.default_rng(1)
    hidden_BV = rng.random(data.right_BV.shape) < 0.2
    spoiled = replace(data, right_BV=data.right_BV | hidden_BV, counted_BV=~hidden_BV)
    honest = replace(data, counted_BV=~hidden_BV, right_BV=data.right_BV & ~hidden_BV)
    # Only counted labels are right ones, as `FitData.of` makes them.
    spoiled = replace(spoiled, right_BV=spoiled.right_BV & spoiled.counted_BV)
    assert platt.fit(spoiled, data.all_rows).scale == platt.fit(honest, data.all_rows).scale


def test_prior_moves_no_score_by_more_than_its_cap() -> None:
    data = fit_data()
    heavy = replace(platt.fit(data, data.all_rows), prior_weight=5.0)
    cosines_BV = np.clip(data.cosines_BV.astype(np.float64), -0.2, 0.5)
    with_prior_BV = scores(cosines_BV, data.interests, heavy)
    without_BV = scores(cosines_BV, data.interests, heavy, prior=False)
    moved_BV = np.log(with_prior_BV / (1 - with_prior_BV)) - np.log(without_BV / (1 - without_BV))
    assert np.abs(moved_BV).max() == pytest.approx(platt.PRIOR_CAP, abs=1e-4)


def test_everyday_photos_weigh_half() -> None:
    sources = [EVERYDAY] * 10 + ["caltech-101"] * 390
    records = tuple(
        Record(f"{source}/{number}", source, "val", b"", (), None)
        for number, source in enumerate(sources)
    )
    flags_BV = np.ones((400, 1), dtype=bool)
    ones_BD = np.ones((400, 1), np.float32)
    gold = Gold(flags_BV, flags_BV, flags_BV)
    interests = fit_data(1, 1).interests
    weights_B = HeldOut(records, interests, ones_BD, ones_BD[:1], gold).picture_weights()
    assert weights_B.sum() == pytest.approx(1)
    assert weights_B[:10].sum() == pytest.approx(0.5)
