"""The maths of calibrated scores."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inkling_server.model_manifest import Curve
from inkling_server.scoring import bent, final_logits, offset_logits, prior_logits, sigmoid
from tests.serving import CALIBRATION

logits = st.floats(-1e6, 1e6)
counts = st.lists(st.integers(0, 10**9), min_size=1, max_size=30)


def make_curve(seed: int) -> Curve:
    """A curve with flat and steep parts."""
    rng = np.random.default_rng(seed)
    steps_2K = np.exp(rng.uniform(-7, 1.5, (2, int(rng.integers(2, 33)))))
    logits_K, calibrated_K = rng.uniform(-15, 0) + np.cumsum(steps_2K, axis=1)
    return Curve(tuple(logits_K.tolist()), tuple(calibrated_K.tolist()))


curves = st.builds(make_curve, st.integers(0, 2**32 - 1))


@given(logits)
def test_score_is_a_probability_that_float32_holds(logit: float) -> None:
    score = sigmoid(logit)
    assert score.dtype == np.float32
    assert 0 <= score <= 1


@given(logits, logits)
def test_score_never_falls_as_the_logit_rises(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert sigmoid(low) <= sigmoid(high)


@given(st.floats(-30, 30))
def test_score_matches_its_definition(logit: float) -> None:
    assert float(sigmoid(logit)) == pytest.approx(1 / (1 + math.exp(-logit)), rel=1e-6)


def test_extreme_logits_neither_overflow_nor_warn() -> None:
    with np.errstate(all="raise", under="ignore"):
        scores = sigmoid([-1e308, -745.0, 0.0, 745.0, 1e308, -math.inf, math.inf])
    assert scores.tolist() == [0, 0, 0.5, 1, 1, 0, 1]


@given(counts)
def test_prior_keeps_the_order_of_the_counts_and_its_cap(counts: list[int]) -> None:
    priors_N = prior_logits(counts, CALIBRATION)
    assert np.abs(priors_N).max() <= CALIBRATION.prior_cap
    order = np.argsort(counts, kind="stable")
    assert np.all(np.diff(priors_N[order]) >= 0)


@given(counts)
def test_uncapped_prior_shifts_nothing_on_average(counts: list[int]) -> None:
    priors_N = prior_logits(counts, replace(CALIBRATION, prior_cap=1e9))
    assert abs(priors_N.mean()) < 1e-9


@given(st.integers(0, 10**9), st.integers(1, 20))
def test_equally_frequent_interests_have_no_prior(count: int, size: int) -> None:
    assert np.abs(prior_logits([count] * size, CALIBRATION)).max() < 1e-9


def test_prior_follows_its_formula() -> None:
    calibration = replace(CALIBRATION, prior_weight=0.5, prior_cap=1.0, prior_smoothing=1.0)
    logs = np.log([1.0, 10.0, 100.0])
    expected = np.clip(0.5 * (logs - logs.mean()), -1.0, 1.0)
    assert prior_logits([0, 9, 99], calibration) == pytest.approx(expected)


@settings(deadline=None)
@given(st.lists(st.floats(-20, 20), min_size=2, max_size=50), curves)
def test_curve_never_decreases(values: list[float], curve: Curve) -> None:
    # Knots themselves and their neighbours are where rounding would show.
    near = [side for knot in curve.logits for side in (np.nextafter(knot, -99), knot)]
    bent_x = bent(np.sort([*values, *near]), curve)
    assert np.all(np.diff(bent_x) >= 0)


@settings(deadline=None)
@given(curves)
def test_curve_meets_its_knots_and_goes_on_with_slope_1(curve: Curve) -> None:
    assert bent(curve.logits, curve) == pytest.approx(curve.calibrated)
    low, high = curve.logits[0] - 2.5, curve.logits[-1] + 2.5
    ends = (curve.calibrated[0] - 2.5, curve.calibrated[-1] + 2.5)
    assert bent([low, high], curve) == pytest.approx(ends)


def test_offsets_of_unknown_interests_are_ignored_and_new_interests_have_0() -> None:
    offsets = {"cat": 0.5, "gone": 2.0}
    assert offset_logits(["cat", "new"], offsets).tolist() == [0.5, 0]
    assert offset_logits([], offsets).shape == (0,)


def test_final_logit_is_the_curve_of_the_sum() -> None:
    curve = Curve((0.0, 4.0), (0.0, 1.0))
    parts = (np.array([0.2]), np.array([0.5]), np.array([0.5]))
    assert final_logits(*parts, scale=10.0, bias=-1.0) == pytest.approx([2.0])
    assert final_logits(*parts, scale=10.0, bias=-1.0, curve=curve) == pytest.approx([0.5])


def test_prior_of_weight_0_and_of_an_empty_graph_is_nothing() -> None:
    assert prior_logits([1, 1000], replace(CALIBRATION, prior_weight=0.0)).tolist() == [0, 0]
    assert prior_logits([], CALIBRATION).shape == (0,)
