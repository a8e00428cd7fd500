"""Emerging phrases: log-odds with an informative Dirichlet prior (Monroe, Colaresi and Quinn 2008).

Counts of a recent window are held against counts of the past. The prior pulls phrases that are
rare in both towards "no change", so that a z-score is large only where the evidence is: 3 times
as often means little for 3 occurrences and much for 300.

Pure arithmetic: it does not know documents, clocks, or where windows begin.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import log, sqrt
from typing import Generic, TypeVar

K = TypeVar("K", bound=tuple[str, ...] | str)


@dataclass(frozen=True, slots=True)
class Trend(Generic[K]):
    """How a phrase's share changed.

    Attributes:
        key: the phrase.
        log_odds: ln of the odds ratio of recent to past, shrunk by the prior; > 0: more now.
        z_score: `log_odds` in standard deviations.
        recent_count, past_count: what it was found in.
        is_trending: by the settings.
    """

    key: K
    log_odds: float
    z_score: float
    recent_count: int
    past_count: int
    is_trending: bool


@dataclass(frozen=True, slots=True)
class TrendSettings:
    """When a phrase is trending.

    Attributes:
        min_z_score: at least so sure. 3: one phrase in 700 that did not change is called trending.
        min_recent_count: and seen so often in the recent window, so that no single post makes a
            trend.
        prior_weight: occurrences in all that the prior is worth, as a share of the recent window;
            more: calmer.
        least_prior: occurrences that the prior of each phrase is worth at least. Half of one
            (Jeffreys 1946): with less, a phrase that was never seen before has a variance without
            bound, and nothing new could trend.
    """

    min_z_score: float = 3.0
    min_recent_count: int = 5
    prior_weight: float = 0.1
    least_prior: float = 0.5

    def __post_init__(self) -> None:
        if self.prior_weight <= 0 or self.least_prior < 0:
            raise ValueError("prior_weight: above 0; least_prior: at least 0")


def trends(
    recent: Mapping[K, int],
    past: Mapping[K, int],
    *,
    recent_total: int | None = None,
    past_total: int | None = None,
    settings: TrendSettings | None = None,
) -> list[Trend[K]]:
    """Phrases of the recent window, the surest gain first; ties by key.

    Args:
        recent: occurrences, or documents, by phrase; so is `past`.
        past: must not hold what `recent` holds.
        recent_total: sum over all phrases, where the mapping holds only some.
        past_total: the same of the past.
        settings: when a phrase is trending.

    Raises:
        ValueError: a total is less than what it sums.
    """
    settings = settings or TrendSettings()
    total_r = _total(recent, recent_total)
    total_p = _total(past, past_total)
    if total_r == 0:
        return []
    prior_total = settings.prior_weight * total_r
    found = []
    for key, count_r in recent.items():
        count_p = past.get(key, 0)
        if count_r + count_p == 0:
            continue
        # Informative: each phrase's prior follows its share of both windows together.
        share = (count_r + count_p) / (total_r + total_p)
        prior = max(prior_total * share, settings.least_prior)
        log_odds = _log_odds(count_r + prior, total_r + prior_total) - _log_odds(
            count_p + prior, total_p + prior_total
        )
        z_score = log_odds / sqrt(1 / (count_r + prior) + 1 / (count_p + prior))
        is_trending = z_score >= settings.min_z_score and count_r >= settings.min_recent_count
        found.append(Trend(key, log_odds, z_score, count_r, count_p, is_trending))
    return sorted(found, key=lambda trend: (-trend.z_score, trend.key))


def _total(counts: Mapping[K, int], total: int | None) -> int:
    known = sum(counts.values())
    if total is None:
        return known
    if total < known:
        raise ValueError(f"a total of {total} is less than the sum of its counts, {known}")
    return total


def _log_odds(count: float, total: float) -> float:
    # One phrase may be all that a window holds: then the odds have no bound.
    return log(count / max(total - count, 0.5))
