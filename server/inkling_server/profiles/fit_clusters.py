"""Fits visual clusters to the embeddings of a background of pictures: k-means, then beta.

    embeddings ─► k-means (k-means++) ─► centroids ─► margins ─► beta ─► general distribution
        └─► sigma^2

Batch work: it imports scikit-learn, which a server may lack, and never runs on the path of a
request. It does not know where the pictures come from.

Sources: Lloyd, "Least squares quantization in PCM" (1982); Arthur and Vassilvitskii, "k-means++:
the advantages of careful seeding" (2007).

Shapes: N pictures, K clusters, D dimensions.
"""

import logging
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from inkling_server.profiles.clusters import VisualClusters
from inkling_server.profiles.visual import (
    assign,
    beta_from_margin,
    general_distribution,
    margins,
)

_log = logging.getLogger(__name__)


class BackgroundTooSmall(ValueError):
    """Too few pictures, or too alike, to tell clusters apart."""


@dataclass(frozen=True, slots=True)
class FitSettings:
    """How clusters are fitted.

    Attributes:
        cluster_count: K, at least 2. Fewer are made where the background is too small for them.
        pictures_per_cluster: of the background, at least: K is at most N / this, so that a centroid
            is a mean of several pictures, and a general share no accident.
        beta: sharpness; None: by `odds`.
        odds: of the nearest centroid against the next, of the picture with the median margin; > 1.
            9: nine tenths to one tenth between these two. With 200 clusters, lower odds leave a
            picture in dozens of them, since all the far ones add up. See visual.py.
        seed: of k-means++; the same pictures in the same order give the same clusters.
        max_iterations: of Lloyd's algorithm.
    """

    cluster_count: int = 200
    pictures_per_cluster: int = 10
    beta: float | None = None
    odds: float = 9.0
    seed: int = 0
    max_iterations: int = 100

    def __post_init__(self) -> None:
        if self.cluster_count < 2 or self.pictures_per_cluster < 1 or self.max_iterations < 1:
            raise ValueError(
                "cluster_count: at least 2; pictures_per_cluster, max_iterations: at least 1"
            )
        if not self.odds > 1:
            raise ValueError("odds: above 1")
        if self.beta is not None and not self.beta > 0:
            raise ValueError("beta: above 0, or None")


def fit_clusters(
    embeddings_ND: NDArray[np.float32],
    *,
    fingerprint: str,
    created_time: datetime,
    settings: FitSettings | None = None,
) -> VisualClusters:
    """Fits clusters; the largest general share comes first.

    Args:
        embeddings_ND: the background, of one model.
        fingerprint: of that model.
        created_time: what the clusters say of when they were made.
        settings: how.

    Raises:
        BackgroundTooSmall: there are not enough different pictures for two clusters.
        ValueError: the arrays do not fit together, or are not finite.
    """
    settings = settings or FitSettings()
    if embeddings_ND.ndim != 2 or not np.isfinite(embeddings_ND).all():
        raise ValueError("embeddings_ND must be finite [N, D]")
    different = len(np.unique(embeddings_ND, axis=0))
    count = min(
        settings.cluster_count, len(embeddings_ND) // settings.pictures_per_cluster, different
    )
    if count < 2:
        raise BackgroundTooSmall(
            f"{len(embeddings_ND)} pictures, {different} of them different; allowed: at least"
            f" {2 * settings.pictures_per_cluster}, of which 2 differ"
        )
    if count < settings.cluster_count:
        _log.info("visual clusters: %d, for a background of %d", count, len(embeddings_ND))
    centroids_KD = _k_means(embeddings_ND, count, settings)
    sigma2 = mean_squared_distance(embeddings_ND)
    beta = settings.beta
    if beta is None:
        margins_N = margins(embeddings_ND, centroids_KD)
        # Many copies of few pictures: most margins may be 0, and the median says nothing.
        margins_N = margins_N[margins_N > 0]
        beta = beta_from_margin(float(np.median(margins_N)), sigma2, settings.odds)
    general_K = general_distribution(assign(embeddings_ND, centroids_KD, beta=beta, sigma2=sigma2))
    order_K = np.argsort(-general_K, kind="stable")
    centroids_KD, general_K = centroids_KD[order_K], general_K[order_K]
    return VisualClusters(
        centroids_KD,
        general_K,
        sigma2=sigma2,
        beta=beta,
        fingerprint=fingerprint,
        background_count=len(embeddings_ND),
        created_time=created_time,
    )


def mean_squared_distance(embeddings_ND: NDArray[np.floating]) -> float:
    """Mean of ||d_i - d_j||^2 over the pairs i != j, exactly, without making the pairs.

    The sum over all ordered pairs is 2 N sum ||d||^2 - 2 ||sum d||^2; of these N (N - 1) are of
    different pictures. So: 2 N / (N - 1) * (mean ||d||^2 - ||mean d||^2).

    Raises:
        ValueError: there are fewer than 2.
    """
    count = len(embeddings_ND)
    if count < 2:
        raise ValueError("a distance needs 2 pictures")
    centred_ND = embeddings_ND.astype(np.float64)
    # Of centred points ||mean||^2 is 0: nothing large is subtracted from something large.
    centred_ND -= centred_ND.mean(axis=0)
    return float(2 * np.einsum("nd,nd->", centred_ND, centred_ND) / (count - 1))


def _k_means(
    embeddings_ND: NDArray[np.float32], count: int, settings: FitSettings
) -> NDArray[np.float32]:
    # Here, so that importing this module costs a server without the extra nothing.
    from sklearn.cluster import KMeans

    model = KMeans(
        count,
        init="k-means++",
        n_init=1,
        max_iter=settings.max_iterations,
        random_state=settings.seed,
        algorithm="lloyd",
    )
    centroids_KD: NDArray[np.float32] = model.fit(embeddings_ND).cluster_centers_
    return np.ascontiguousarray(centroids_KD, np.float32)
