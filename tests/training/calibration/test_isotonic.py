"""The curve finds a known distortion, leaves honest logits alone, and always rises."""

import numpy as np
import pytest

from inkling_server.model_manifest import MAX_KNOTS, Curve
from inkling_server.scoring import bent
from inkling_training.calibration import isotonic
from inkling_training.calibration.fit_data import FitData, Float64
from tests.training.calibration.calibration_kit import CALIBRATION, fit_data

pytestmark = pytest.mark.training


def distorted(logits: Float64) -> Float64:
    """Overconfident above 0, underconfident below."""
    return np.where(logits > 0, 0.4 * logits, 0.7 * logits)


def fitted(data: FitData) -> Curve:
    curve = isotonic.fit(isotonic.histogram(data, data.all_rows, CALIBRATION))
    assert curve is not None
    return curve


def test_curve_recovers_a_known_distortion() -> None:
    curve = fitted(fit_data(3000, bend=distorted))
    assert 8 <= len(curve.logits) <= MAX_KNOTS
    where = np.linspace(-4, 2.5, 40)
    assert np.abs(bent(where, curve) - distorted(where)).max() < 0.35
    assert np.abs(bent(where, curve) - distorted(where)).mean() < 0.12


def test_honest_logits_stay_as_they_are() -> None:
    curve = fitted(fit_data(3000))
    where = np.linspace(-5, 2, 40)
    assert np.abs(bent(where, curve) - where).mean() < 0.12


def test_curve_rises_where_the_labels_fall() -> None:
    # More right pairs at low logits than at high ones: isotonic regression alone is flat there.
    curve = fitted(fit_data(bend=lambda logits: -0.2 * logits))
    slopes = np.diff(curve.calibrated) / np.diff(curve.logits)
    assert slopes.min() >= isotonic.LEAST_SLOPE * 0.999


def test_too_few_right_pairs_make_no_curve() -> None:
    data = fit_data(20, 5, bias=-6.0)
    assert data.right_BV.sum() < 2 * isotonic.LEAST_RIGHT
    assert isotonic.fit(isotonic.histogram(data, data.all_rows, CALIBRATION)) is None
