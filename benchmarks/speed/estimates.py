"""Statistics of the speed benchmarks: arrivals, quantiles, growth, exponents. Pure maths.

It does not know servers, pictures or files.
"""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

# Two-sided 95 % of the normal distribution.
_Z95 = 1.959964


def poisson_schedule(rate: float, duration_s: float, seed: int) -> list[float]:
    """Arrival times of a Poisson process, ascending seconds in [0, duration_s).

    The gaps are exponential with mean 1 / rate. The times are fixed before anything is sent, so
    that a slow server cannot slow its own load down ("coordinated omission": Tene, "How not to
    measure latency", 2013).

    Args:
        rate: arrivals a second, > 0.
        duration_s: length of the schedule, > 0.
        seed: the same seed gives the same times.

    Raises:
        ValueError: rate or duration is not positive.
    """
    if not (rate > 0 and duration_s > 0):
        raise ValueError(f"rate {rate}, duration {duration_s} s; allowed: both > 0")
    generator = random.Random(seed)
    times: list[float] = []
    now_s = generator.expovariate(rate)
    while now_s < duration_s:
        times.append(now_s)
        now_s += generator.expovariate(rate)
    return times


def quantiles_ms(
    seconds: Sequence[float], at: Sequence[float] = (0.5, 0.9, 0.99)
) -> dict[str, float]:
    """Quantiles in milliseconds by name ("p50"), and "max"; empty for no values."""
    if not seconds:
        return {}
    values = np.quantile(np.asarray(seconds, np.float64), at) * 1000
    named = {f"p{q * 100:g}": round(float(v), 3) for q, v in zip(at, values, strict=True)}
    return named | {"max": round(max(seconds) * 1000, 3)}


@dataclass(frozen=True, slots=True)
class Slope:
    """Growth of y with x by least squares, with the half width of its 95 % interval.

    The interval takes the residuals as they come, one after the other, to depend on each other
    (memory does): it is widened by their lag-1 autocorrelation r, sqrt((1 + r) / (1 - r)).
    """

    slope: float
    half_width: float
    intercept: float

    @property
    def grows(self) -> bool:
        """Whether the whole interval lies above zero."""
        return self.slope - self.half_width > 0


def fit_slope(x: Sequence[float], y: Sequence[float]) -> Slope:
    """A straight line through points in the order of x.

    Raises:
        ValueError: fewer than three points, or all at one x.
    """
    if len(x) != len(y) or len(x) < 3:
        raise ValueError(f"{len(x)} x and {len(y)} y; allowed: equally many, at least 3")
    xs, ys = np.asarray(x, np.float64), np.asarray(y, np.float64)
    spread = float(((xs - xs.mean()) ** 2).sum())
    if spread == 0:
        raise ValueError("all x are equal; allowed: at least two values")
    slope = float(((xs - xs.mean()) * (ys - ys.mean())).sum()) / spread
    intercept = float(ys.mean() - slope * xs.mean())
    residuals = ys - (intercept + slope * xs)
    squares = float((residuals**2).sum())
    error = math.sqrt(squares / (len(xs) - 2) / spread)
    if squares > 0:
        lagged = float((residuals[1:] * residuals[:-1]).sum()) / squares
        lagged = min(max(lagged, 0.0), 0.95)
        error *= math.sqrt((1 + lagged) / (1 - lagged))
    return Slope(slope, _Z95 * error, intercept)


@dataclass(frozen=True, slots=True)
class Power:
    """y = factor * x ** exponent, fitted by least squares of the logarithms; r2 in [0, 1]."""

    exponent: float
    factor: float
    r2: float


def fit_power(x: Sequence[float], y: Sequence[float]) -> Power:
    """Fits a power law.

    Raises:
        ValueError: fewer than two points, a value that is not positive, or all at one x.
    """
    if len(x) != len(y) or len(x) < 2 or min(*x, *y) <= 0:
        raise ValueError("allowed: at least two points, all values > 0")
    log_x, log_y = np.log(np.asarray(x, np.float64)), np.log(np.asarray(y, np.float64))
    spread = float(((log_x - log_x.mean()) ** 2).sum())
    if spread == 0:
        raise ValueError("all x are equal; allowed: at least two values")
    exponent = float(((log_x - log_x.mean()) * (log_y - log_y.mean())).sum()) / spread
    offset = float(log_y.mean() - exponent * log_x.mean())
    total = float(((log_y - log_y.mean()) ** 2).sum())
    left = float(((log_y - offset - exponent * log_x) ** 2).sum())
    return Power(exponent, math.exp(offset), 1 - left / total if total > 0 else 1.0)


def relative_spread(values: Sequence[float]) -> float:
    """Half the range over the median: how far rounds of one measurement lie apart. 0 for one."""
    middle = median(values)
    return (max(values) - min(values)) / 2 / middle if middle else 0.0
