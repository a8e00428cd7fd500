"""Arrivals, quantiles, growth and exponents."""

import numpy as np
import pytest

from benchmarks.speed.estimates import (
    fit_power,
    fit_slope,
    poisson_schedule,
    quantiles_ms,
    relative_spread,
)


def test_poisson_gaps_are_exponential_with_the_wanted_mean() -> None:
    times = poisson_schedule(200.0, 100.0, seed=3)
    gaps = np.diff(np.array([0.0, *times]))
    assert len(times) == pytest.approx(20_000, rel=0.03)
    assert gaps.mean() == pytest.approx(1 / 200, rel=0.03)
    # An exponential distribution's deviation is its mean; a regular schedule's would be 0.
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.05)
    assert times == sorted(times)
    assert times[-1] < 100.0


def test_a_seed_fixes_the_schedule() -> None:
    assert poisson_schedule(50, 2, seed=1) == poisson_schedule(50, 2, seed=1)
    assert poisson_schedule(50, 2, seed=1) != poisson_schedule(50, 2, seed=2)


@pytest.mark.parametrize(("rate", "duration_s"), [(0.0, 1.0), (1.0, 0.0), (-1.0, 1.0)])
def test_a_schedule_needs_rate_and_duration(rate: float, duration_s: float) -> None:
    with pytest.raises(ValueError, match="allowed"):
        poisson_schedule(rate, duration_s, seed=1)


def test_quantiles_are_milliseconds_and_name_the_slowest() -> None:
    found = quantiles_ms([0.001 * n for n in range(1, 102)])
    assert found["p50"] == pytest.approx(51)
    assert found["p99"] == pytest.approx(100)
    assert found["max"] == pytest.approx(101)
    assert quantiles_ms([]) == {}


def test_slope_of_a_line_is_found_and_grows() -> None:
    x = [float(n) for n in range(30)]
    rng = np.random.default_rng(1)
    line = fit_slope(x, [2.0 * n + 5 + rng.normal(0, 0.5) for n in x])
    assert line.slope == pytest.approx(2.0, abs=0.05)
    assert line.intercept == pytest.approx(5.0, abs=0.8)
    assert line.grows
    assert line.half_width < 0.1


def test_noise_does_not_grow() -> None:
    rng = np.random.default_rng(2)
    x = [float(n) for n in range(40)]
    assert not fit_slope(x, list(rng.normal(300, 2, len(x)))).grows


def test_values_that_depend_on_each_other_widen_the_interval() -> None:
    x = [float(n) for n in range(60)]
    # The same values about a flat line: in runs of ten, and turn and turn about.
    runs = [1.0 if (n // 10) % 2 else -1.0 for n in range(60)]
    turns = [1.0 if n % 2 else -1.0 for n in range(60)]
    assert fit_slope(x, runs).half_width > 1.5 * fit_slope(x, turns).half_width


def test_a_slope_needs_three_points_at_more_than_one_x() -> None:
    with pytest.raises(ValueError, match="at least 3"):
        fit_slope([1, 2], [1, 2])
    with pytest.raises(ValueError, match="equal"):
        fit_slope([1, 1, 1], [1, 2, 3])


def test_power_law_is_found() -> None:
    x = [1.0, 10.0, 100.0, 1000.0]
    power = fit_power(x, [3.0 * n**0.7 for n in x])
    assert power.exponent == pytest.approx(0.7)
    assert power.factor == pytest.approx(3.0)
    assert power.r2 == pytest.approx(1.0)
    with pytest.raises(ValueError, match="> 0"):
        fit_power([1.0, 2.0], [0.0, 1.0])


def test_spread_is_half_the_range_over_the_median() -> None:
    assert relative_spread([90.0, 100.0, 110.0]) == pytest.approx(0.1)
    assert relative_spread([5.0]) == 0.0
