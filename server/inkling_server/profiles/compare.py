"""Where two people's pictures differ: log-odds ratio with an informative Dirichlet prior.

Monroe, Colaresi and Quinn, "Fightin' words: lexical feature selection and evaluation for
identifying the content of political conflict", Political Analysis 16 (2008), with clusters for
words and a person's pseudo-counts for the counts of a word:

    delta_k = ln (y1_k + a_k) / (n1 + a0 - y1_k - a_k)
            - ln (y2_k + a_k) / (n2 + a0 - y2_k - a_k)                            (eq. 16)
    FULL:         var_k = 1 / (y1_k + a_k) + 1 / (n1 + a0 - y1_k - a_k)
                        + 1 / (y2_k + a_k) + 1 / (n2 + a0 - y2_k - a_k)           (eq. 19)
    APPROXIMATE:  var_k = 1 / (y1_k + a_k) + 1 / (y2_k + a_k)                     (eq. 20)
    z_k = delta_k / sqrt(var_k)                                                   (eq. 22)

    a_k = prior_scale * general_k     a0 = sum of a_k = prior_scale, in pictures  (eq. 23)

scattertext's LogOddsRatioInformativeDirichletPrior computes FULL, convokit's FightingWords
APPROXIMATE. The approximation leaves out two positive terms, so its |z| is never smaller; much
larger where one cluster holds most of somebody's pictures. Counts here are soft: a picture shared
by two clusters varies less than a whole one, which the variance of whole counts overstates.

max |z| is the greatest of K numbers that each exceed 1.96 in 5 % of comparisons of people who do
not differ: `corrected` shares the level out among the clusters (Bonferroni).

It does not know people, nor what the clusters show.

Shapes: K clusters.
"""

from dataclasses import dataclass
from enum import StrEnum
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from inkling_server.profiles.visual import VisualSums

_TINY = float(np.finfo(np.float64).tiny)


class LogOddsVariance(StrEnum):
    """Which variance z is computed with."""

    FULL = "full"
    APPROXIMATE = "approximate"


@dataclass(frozen=True, slots=True)
class CompareSettings:
    """How two people are compared.

    Attributes:
        prior_scale: pictures that the prior is worth, > 0; None: as many as there are clusters, so
            one picture for each in the mean (Laplace's rule, spread by the general distribution).
            Much less, and the variance of a cluster that one of the two does not have at all,
            about 1 / a_k, drowns even plain differences; much more, and everybody is alike.
        variance: of the log-odds ratio.
    """

    prior_scale: float | None = None
    variance: LogOddsVariance = LogOddsVariance.FULL

    def __post_init__(self) -> None:
        if self.prior_scale is not None and not 0 < self.prior_scale < float("inf"):
            raise ValueError("prior_scale: finite and above 0, or None")


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Two people, cluster by cluster.

    Attributes:
        log_odds_K: delta, float64; above 0: more of the first person's.
        variance_K: of delta, > 0; 0 where there is but one cluster.
        z_K: delta over its standard deviation.
    """

    log_odds_K: NDArray[np.float64]
    variance_K: NDArray[np.float64]
    z_K: NDArray[np.float64]

    @property
    def max_abs_z(self) -> float:
        """Over all clusters."""
        return float(np.abs(self.z_K).max())

    @property
    def order_K(self) -> NDArray[np.int64]:  # noqa: N802 - shapes in names
        """Clusters, the greatest |z| first; ties: the lower number."""
        return np.argsort(-np.abs(self.z_K), kind="stable")

    def differs(self, confidence: float = 0.95, *, corrected: bool = False) -> bool:
        """Whether max |z| is beyond the two-sided quantile.

        Args:
            confidence: in (0, 1); 0.95: 1.960, 0.99: 2.576.
            corrected: with the level shared out among the clusters.
        """
        return self.max_abs_z > critical_z(confidence, len(self.z_K) if corrected else 1)


def critical_z(confidence: float, comparisons: int = 1) -> float:
    """Two-sided quantile of the standard normal, with Bonferroni's correction.

    Args:
        confidence: that none of the comparisons exceeds it by chance, in (0, 1).
        comparisons: how many are made, >= 1.
    """
    return NormalDist().inv_cdf(1 - (1 - confidence) / (2 * comparisons))


def compare(
    first: VisualSums,
    second: VisualSums,
    general_K: NDArray[np.floating],
    settings: CompareSettings | None = None,
) -> Comparison:
    """Compares two people, or one with everybody.

    For everybody, `second` is `visual.everybody(clusters)`: a sample of as many pictures as the
    background has. The prior does not move it (it has the same shares), and the more pictures it
    was, the nearer it is to a distribution that is known exactly.

    Args:
        first: the one's pictures.
        second: the other's.
        general_K: the general distribution, > 0; its sum is 1.
        settings: prior and variance.

    Raises:
        ValueError: the profiles are not of the same clusters.
    """
    settings = settings or CompareSettings()
    scale = len(general_K) if settings.prior_scale is None else settings.prior_scale
    prior_K = scale * general_K.astype(np.float64)
    return log_odds_ratio(first.sums_K, second.sums_K, prior_K, settings.variance)


def log_odds_ratio(
    first_K: NDArray[np.floating],
    second_K: NDArray[np.floating],
    prior_K: NDArray[np.floating],
    variance: LogOddsVariance = LogOddsVariance.FULL,
) -> Comparison:
    """The equations, on any counts.

    Args:
        first_K: counts y1, >= 0.
        second_K: counts y2, >= 0.
        prior_K: pseudo-counts a, > 0, of both.
        variance: eq. 19 or 20.

    Raises:
        ValueError: the arrays have different shapes, or a prior is not above 0.
    """
    if not first_K.shape == second_K.shape == prior_K.shape or first_K.ndim != 1:
        raise ValueError("counts and prior must be of the same clusters, [K]")
    if not (prior_K > 0).all():
        raise ValueError("the prior must be above 0 everywhere")
    if len(prior_K) == 1:  # everybody has all of it: there are no odds
        return Comparison(np.zeros(1), np.zeros(1), np.zeros(1))
    mine_K, rest_K = _with_prior(first_K, prior_K)
    theirs_K, others_K = _with_prior(second_K, prior_K)
    # Each side's log odds by themselves: equal ones differ by 0, and not by their rounding.
    delta_K = (np.log(mine_K) - np.log(rest_K)) - (np.log(theirs_K) - np.log(others_K))
    variance_K = 1 / mine_K + 1 / theirs_K
    if variance is LogOddsVariance.FULL:
        variance_K += 1 / rest_K + 1 / others_K
    return Comparison(delta_K, variance_K, delta_K / np.sqrt(variance_K))


def _with_prior(
    counts_K: NDArray[np.floating], prior_K: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """y + a, and what all other clusters have of it; both above 0."""
    total_K = counts_K.astype(np.float64) + prior_K
    # Where one cluster has all but what rounding hides, the rest is not 0 but hardly anything.
    floor = max(float(prior_K.min()), _TINY)
    return total_K, np.maximum(total_K.sum() - total_K, floor)
