"""The visual profile: a picture is shared out among the clusters, a person's shares are summed.

    c_k = exp(-beta ||d - r_k||^2 / sigma^2) / sum over j of exp(-beta ||d - r_j||^2 / sigma^2)
    y_k = sum over the person's pictures of c_k          pseudo-counts; their sum: the pictures
    profile_k = y_k / sum over j of y_j

d is a picture's embedding, r_k the centroid of cluster k, sigma^2 the mean squared distance of two
pictures of the background. c is what a mixture of K spherical Gaussians of the same size, with
variance sigma^2 / (2 beta) in each direction, holds for the probability that the picture came from
each: log-odds are linear in the difference of squared distances.

**beta.** The source sets beta "by the margin"; its equation is illegible in our copy. The reading
taken here: the *margin* of a picture is how much nearer (in squared distance) its nearest centroid
is than the next one. The odds of the two are exp(beta * margin / sigma^2), whatever the other
clusters. So beta is set such that a picture of the background with the median margin m has stated
odds o for its nearest centroid against the next:

    beta = sigma^2 ln(o) / m                                            (`beta_from_margin`)

It needs no margin of a loss (the shipped model was not trained with one), is free of the scale of
the embeddings, and has a meaning: half of the pictures are decided more clearly than o : 1. For a
siamese network, trained with margin t (other labels at least t apart), m = t^2 reads the same: a
picture at its own centroid has odds o against a centroid one margin away. `beta_effect` shows what
other values would do: from 0 (every picture is the general mixture) to infinity (k-means).

It does not know who the pictures belong to.

Shapes: N pictures, K clusters, D dimensions.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from inkling_server.profiles.clusters import VisualClusters

_ROWS = 8192  # pictures assigned at a time: bounds the memory of their distances


@dataclass(frozen=True, slots=True, eq=False)
class VisualSums:
    """Some pictures, shared out among the clusters and summed.

    Attributes:
        sums_K: float64 pseudo-counts, >= 0; their sum is the number of pictures.
        picture_count: pictures.
    """

    sums_K: NDArray[np.float64] = field(repr=False)
    picture_count: int

    def __post_init__(self) -> None:
        if self.sums_K.ndim != 1 or self.sums_K.dtype != np.float64:
            raise ValueError("sums_K must be float64 [K]")
        if not (self.sums_K >= 0).all() or self.picture_count < 0:
            raise ValueError("sums_K and picture_count must not be negative")
        self.sums_K.setflags(write=False)

    @classmethod
    def empty(cls, count: int) -> "VisualSums":
        """Of no pictures."""
        return cls(np.zeros(count), 0)

    @property
    def shares_K(self) -> NDArray[np.float64]:  # noqa: N802 - shapes in names
        """The profile: the sums over their sum, [K]; zeros where there are no pictures."""
        total = self.sums_K.sum()
        return self.sums_K / total if total > 0 else self.sums_K

    def plus(self, other: "VisualSums") -> "VisualSums":
        """With the pictures of another."""
        return VisualSums(self.sums_K + other.sums_K, self.picture_count + other.picture_count)

    def minus(self, other: "VisualSums") -> "VisualSums":
        """Without pictures that are among these."""
        # Sums that were kept as float32 may fall below 0 by a rounding.
        left_K = np.maximum(self.sums_K - other.sums_K, 0)
        return VisualSums(left_K, self.picture_count - other.picture_count)

    def to_bytes(self) -> bytes:
        """The sums as little-endian float32."""
        return self.sums_K.astype("<f4").tobytes()

    @classmethod
    def from_bytes(cls, data: bytes, picture_count: int) -> "VisualSums":
        """Reads what `to_bytes` wrote."""
        return cls(np.frombuffer(data, "<f4").astype(np.float64), picture_count)


def soft_assign(
    embeddings_ND: NDArray[np.floating], clusters: VisualClusters
) -> NDArray[np.float32]:
    """Shares pictures out among the clusters: c of the module's docstring.

    Args:
        embeddings_ND: of the clusters' model, [N, D].
        clusters: K of them.

    Returns:
        float32 [N, K]; each row sums to 1.

    Raises:
        ValueError: the embeddings have another dimension.
    """
    return assign(embeddings_ND, clusters.centroids_KD, beta=clusters.beta, sigma2=clusters.sigma2)


def assign(
    embeddings_ND: NDArray[np.floating],
    centroids_KD: NDArray[np.floating],
    *,
    beta: float,
    sigma2: float,
) -> NDArray[np.float32]:
    """As `soft_assign`, by the numbers that make clusters."""
    assign_NK = np.empty((len(embeddings_ND), len(centroids_KD)), np.float32)
    for start in range(0, len(embeddings_ND), _ROWS):
        rows = slice(start, start + _ROWS)
        squared_RK = squared_distances(embeddings_ND[rows], centroids_KD)
        # The nearest is subtracted first: exp of what is left is in (0, 1], and never all zeros.
        squared_RK -= squared_RK.min(axis=1, keepdims=True)
        weights_RK = np.exp(squared_RK * (-beta / sigma2))
        assign_NK[rows] = weights_RK / weights_RK.sum(axis=1, keepdims=True)
    return assign_NK


def squared_distances(
    embeddings_ND: NDArray[np.floating], centroids_KD: NDArray[np.floating]
) -> NDArray[np.float64]:
    """||d - r_k||^2 of each picture and centroid, float64 [N, K], >= 0."""
    if embeddings_ND.ndim != 2 or embeddings_ND.shape[1] != centroids_KD.shape[1]:
        raise ValueError(
            f"embeddings of shape {embeddings_ND.shape}; allowed: [N, {centroids_KD.shape[1]}]"
        )
    points_ND, centres_KD = embeddings_ND.astype(np.float64), centroids_KD.astype(np.float64)
    squared_NK = points_ND @ centres_KD.T
    squared_NK *= -2
    squared_NK += np.einsum("nd,nd->n", points_ND, points_ND)[:, None]
    squared_NK += np.einsum("kd,kd->k", centres_KD, centres_KD)
    return np.maximum(squared_NK, 0, out=squared_NK)


def typical(
    clusters: VisualClusters, embeddings_ND: NDArray[np.float32], count: int
) -> list[tuple[int, int, int]]:
    """Pictures nearest to each centroid, of those that are nearer to no other.

    Args:
        clusters: K of them.
        embeddings_ND: of the pictures.
        count: of each cluster, at most.

    Returns:
        (cluster, place, row of the picture); place 0 is the nearest.
    """
    squared_NK = squared_distances(embeddings_ND, clusters.centroids_KD)
    own_N = squared_NK.argmin(axis=1)
    found = []
    for cluster in range(clusters.count):
        rows = np.flatnonzero(own_N == cluster)
        nearest = rows[np.argsort(squared_NK[rows, cluster], kind="stable")[:count]]
        found += [(cluster, place, row) for place, row in enumerate(nearest.tolist())]
    return found


def profile_of(assign_NK: NDArray[np.floating]) -> VisualSums:
    """Sums what `soft_assign` made of somebody's pictures."""
    return VisualSums(assign_NK.sum(axis=0, dtype=np.float64), len(assign_NK))


def everybody(clusters: VisualClusters) -> VisualSums:
    """The background as if it were a person: what one person is compared with to stand out."""
    sums_K = clusters.general_K.astype(np.float64) * clusters.background_count
    return VisualSums(sums_K, clusters.background_count)


def general_distribution(assign_NK: NDArray[np.floating]) -> NDArray[np.float32]:
    """Mean soft assignment, float32 [K], above 0; it sums to 1.

    A share that float32 cannot tell from 0 is raised to the smallest that it can: with large beta a
    cluster that lost all of its pictures would else be impossible, and its log-odds not finite.
    """
    means_K = np.maximum(assign_NK.mean(axis=0, dtype=np.float64), np.finfo(np.float32).tiny)
    general_K: NDArray[np.float32] = (means_K / means_K.sum()).astype(np.float32)
    return general_K


def margins(
    embeddings_ND: NDArray[np.floating], centroids_KD: NDArray[np.floating]
) -> NDArray[np.float64]:
    """How much nearer, in squared distance, the nearest centroid is than the next, [N], >= 0.

    Raises:
        ValueError: there is no next centroid.
    """
    if len(centroids_KD) < 2:
        raise ValueError("margins need at least 2 centroids")
    found = []
    for start in range(0, len(embeddings_ND), _ROWS):
        squared_RK = squared_distances(embeddings_ND[start : start + _ROWS], centroids_KD)
        nearest_R2 = np.partition(squared_RK, 1, axis=1)[:, :2]
        found.append(nearest_R2[:, 1] - nearest_R2[:, 0])
    return np.concatenate(found) if found else np.empty(0)


def beta_from_margin(margin: float, sigma2: float, odds: float) -> float:
    """beta with which a picture of this margin has these odds: sigma^2 ln(odds) / margin.

    Args:
        margin: of squared distances, > 0.
        sigma2: mean squared distance in the background, > 0.
        odds: of the nearest centroid against the next, > 1.
    """
    if not (margin > 0 and sigma2 > 0 and odds > 1):
        raise ValueError("margin and sigma2 must be above 0, odds above 1")
    return sigma2 * math.log(odds) / margin


def perplexities(assign_NK: NDArray[np.floating]) -> NDArray[np.float64]:
    """In how many clusters each picture effectively is: exp of the entropy of its shares, [N].

    From 1 (in one alone) to K (in all alike).
    """
    shares_NK = assign_NK.astype(np.float64)
    logs_NK = np.log(shares_NK, out=np.zeros_like(shares_NK), where=shares_NK > 0)
    entropy_N: NDArray[np.float64] = -np.einsum("nk,nk->n", shares_NK, logs_NK)
    return np.exp(entropy_N)


@dataclass(frozen=True, slots=True)
class BetaEffect:
    """What one beta does to some pictures.

    Attributes:
        beta: the sharpness.
        median_odds: of the nearest centroid against the next.
        mean_perplexity: clusters that a picture is effectively in.
        median_perplexity: the same, of the median picture.
        mean_top_share: of a picture, in its nearest cluster.
        general_perplexity: clusters that the pictures together are effectively in.
    """

    beta: float
    median_odds: float
    mean_perplexity: float
    median_perplexity: float
    mean_top_share: float
    general_perplexity: float


def beta_effect(
    embeddings_ND: NDArray[np.floating], clusters: VisualClusters, betas: Sequence[float]
) -> list[BetaEffect]:
    """How soft the assignment would be with other values of beta; one row each, to be plotted.

    Args:
        embeddings_ND: at least one picture, [N, D].
        clusters: at least 2; their own beta does not matter.
        betas: each above 0.
    """
    margin = float(np.median(margins(embeddings_ND, clusters.centroids_KD)))
    rows = []
    for beta in betas:
        assign_NK = assign(embeddings_ND, clusters.centroids_KD, beta=beta, sigma2=clusters.sigma2)
        perplexity_N = perplexities(assign_NK)
        general_1K = assign_NK.mean(axis=0, keepdims=True)
        rows.append(
            BetaEffect(
                beta,
                # A beta near infinity is allowed: odds beyond floats are infinite, not an error.
                math.exp(min(beta * margin / clusters.sigma2, 700.0)),
                float(perplexity_N.mean()),
                float(np.median(perplexity_N)),
                float(assign_NK.max(axis=1).mean()),
                float(perplexities(general_1K)[0]),
            )
        )
    return rows
