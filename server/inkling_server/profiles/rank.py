"""Whose collection is it? People ordered by how well their profile explains a set of pictures.

    theta_uk = (y_uk + s g_k) / (n_u + s)                      the person's distribution, smoothed
    score_u  = mean over the collection's pictures m of
               ln (sum over k of theta_uk c_mk) - ln (sum over k of g_k c_mk)      nats a picture

y_u are the person's sums, n_u their pictures, g the general distribution, s the prior's worth in
pictures, c_m the soft assignment of picture m. c_mk is proportional to the likelihood of the
picture under cluster k (see visual.py), so the sums are, up to a factor that cancels, the
likelihoods of the picture under the person's mixture of Gaussians and under everybody's: the score
is their mean log-likelihood ratio. theta is the posterior mean under a Dirichlet prior; with s = 0
one picture in a cluster that the person has never seen would rule them out.

The prior is worth fewer pictures than in a comparison of two people (compare.py): there it guards
against calling chance a difference; here whoever is undecided is still ordered.

It does not know who people are.

Shapes: U people, M pictures of the collection, K clusters.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_PEOPLE = 1024  # scored at a time: bounds the memory of their likelihoods


@dataclass(frozen=True, slots=True)
class RankSettings:
    """How people are ranked.

    Attributes:
        prior_scale: pictures that the prior is worth, > 0.
    """

    prior_scale: float = 10.0

    def __post_init__(self) -> None:
        if not 0 < self.prior_scale < float("inf"):
            raise ValueError("prior_scale: finite and above 0")


def rank(
    collection_MK: NDArray[np.floating],
    sums_UK: NDArray[np.floating],
    general_K: NDArray[np.floating],
    settings: RankSettings | None = None,
    *,
    kept_UM: NDArray[np.bool_] | None = None,
) -> NDArray[np.float64]:
    """Scores people: mean log-likelihood ratio of the pictures, in nats a picture, float64 [U].

    Above 0: more like this person than like anybody. A person without pictures has 0.

    Args:
        collection_MK: soft assignments of the collection, M >= 1.
        sums_UK: of each person, >= 0; float32 or float64.
        general_K: the general distribution, > 0; its sum is 1.
        settings: the prior.
        kept_UM: which of the collection's pictures are in whose sums; they are taken out before the
            person is scored, so that nobody wins by having kept the very same pictures.

    Raises:
        ValueError: the shapes do not fit together, or there is no picture.
    """
    scale = (settings or RankSettings()).prior_scale
    count, clusters = len(sums_UK), len(general_K)
    if not len(collection_MK) or collection_MK.shape[1:] != (clusters,):
        raise ValueError("collection_MK must have pictures, of the same clusters")
    if sums_UK.shape != (count, clusters):
        raise ValueError("sums_UK must be of the same clusters")
    if kept_UM is not None and kept_UM.shape != (count, len(collection_MK)):
        raise ValueError("kept_UM must say it of each person and picture")
    shares_MK = collection_MK.astype(np.float64)
    prior_K = scale * general_K.astype(np.float64)
    general_M = shares_MK @ (prior_K / scale)
    scores_U = np.empty(count)
    for start in range(0, count, _PEOPLE):
        people = slice(start, start + _PEOPLE)
        counts_PK = sums_UK[people].astype(np.float64)
        if kept_UM is not None:
            counts_PK -= kept_UM[people].astype(np.float64) @ shares_MK
            np.maximum(counts_PK, 0, out=counts_PK)  # rounding of float32 sums
        totals_P = counts_PK.sum(axis=1)
        counts_PK += prior_K
        likelihood_PM = counts_PK @ shares_MK.T
        likelihood_PM /= (totals_P[:, None] + scale) * general_M
        scores_U[people] = np.log(likelihood_PM, out=likelihood_PM).mean(axis=1)
    return scores_U


def log_ratios(
    sums_UK: NDArray[np.floating],
    general_K: NDArray[np.floating],
    settings: RankSettings | None = None,
) -> NDArray[np.float64]:
    """ln(theta_uk / g_k): how much more a cluster is this person's than anybody's, float64 [U, K].

    Arguments as those of `rank`; [K] for one person gives [K].
    """
    scale = (settings or RankSettings()).prior_scale
    shares_K = general_K.astype(np.float64)
    counts_UK = sums_UK.astype(np.float64)
    totals_U1 = counts_UK.sum(axis=-1, keepdims=True)
    ratios_UK: NDArray[np.float64] = np.log(
        (counts_UK + scale * shares_K) / ((totals_U1 + scale) * shares_K)
    )
    return ratios_UK


def best(scores_U: NDArray[np.float64], limit: int) -> NDArray[np.int64]:
    """Rows of the highest scores, the best first; ties: the lower row."""
    return np.argsort(-scores_U, kind="stable")[:limit]
