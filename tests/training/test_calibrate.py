"""Calibration finds the parameters that made the data, and never lets the prior rule."""

import numpy as np
import pytest

from inkling_server.interests.graph import Interest
from inkling_server.model_manifest import Calibration
from inkling_training import calibrate
from inkling_training.data import Record
from inkling_training.exported import scores
from inkling_training.gold import EVERYDAY, Gold
from inkling_training.held_out import HeldOut

pytestmark = pytest.mark.training


def _held_out(scale: float, bias: float, seed: int = 0) -> HeldOut:
    """Pictures whose gold was drawn with sigmoid(scale * cosine + bias)."""
    rng = np.random.default_rng(seed)
    pictures_BD, phrases_VD = rng.normal(size=(400, 16)), rng.normal(size=(50, 16))
    pictures_BD /= np.linalg.norm(pictures_BD, axis=1, keepdims=True)
    phrases_VD /= np.linalg.norm(phrases_VD, axis=1, keepdims=True)
    chances_BV = 1 / (1 + np.exp(-(scale * pictures_BD @ phrases_VD.T + bias)))
    gold_BV = rng.random(chances_BV.shape) < chances_BV
    records = tuple(Record(f"{EVERYDAY}/{n}", EVERYDAY, "val", b"", (), None) for n in range(400))
    interests = tuple(Interest(f"i{n:02}", f"interest {n}", (), n) for n in range(50))
    gold = Gold(gold_BV, gold_BV, np.ones_like(gold_BV))
    return HeldOut(
        records, interests, pictures_BD.astype(np.float32), phrases_VD.astype(np.float32), gold
    )


def test_fit_recovers_what_made_the_data() -> None:
    fitted = calibrate.fit(_held_out(9.0, -3.0))
    assert fitted.scale == pytest.approx(9.0, rel=0.1)
    assert fitted.bias == pytest.approx(-3.0, abs=0.3)
    assert fitted.prior_weight < 0.05  # counts had nothing to do with it


def test_prior_moves_no_score_by_more_than_its_cap() -> None:
    held_out = _held_out(9.0, -3.0)
    fitted = calibrate.fit(held_out)
    heavy = Calibration(
        fitted.scale,
        fitted.bias,
        5.0,
        calibrate.PRIOR_CAP,
        5.0,
        fitted.calibrated_time,
        "",
        0.0,
        fitted.recommended,
    )
    cosines_BV = held_out.cosines_BV
    with_prior_BV = scores(cosines_BV, held_out.interests, heavy)
    without_BV = scores(cosines_BV, held_out.interests, heavy, prior=False)
    moved_BV = np.log(with_prior_BV / (1 - with_prior_BV)) - np.log(without_BV / (1 - without_BV))
    assert np.abs(moved_BV).max() == pytest.approx(calibrate.PRIOR_CAP, abs=1e-6)


def test_recommended_threshold_prefers_precision() -> None:
    held_out = _held_out(12.0, -4.0)
    fitted = calibrate.fit(held_out)
    point = calibrate.recommend(held_out, fitted)
    assert point.top_n == calibrate.TOP_N
    assert 0.1 < point.min_score < 0.9
    assert point.precision > 0.3
    assert 0 < point.coverage <= 1


def test_everyday_photos_weigh_half() -> None:
    held_out = _held_out(9.0, -3.0)
    others = [Record(f"caltech-101/{n}", "caltech-101", "val", b"", (), None) for n in range(390)]
    mixed = HeldOut(
        (*held_out.records[:10], *others),
        held_out.interests,
        held_out.pictures_BD,
        held_out.phrases_VD,
        held_out.gold,
    )
    weights_B = mixed.picture_weights()
    assert weights_B.sum() == pytest.approx(1)
    assert weights_B[:10].sum() == pytest.approx(0.5)
