"""Do pictures of one label lie together? The figures of the paper's table I.

    features [N, D] ─► each picture asks ─► the others by distance ─► average precision ─► mean

k-means purity and NMI stand beside it. Nothing here knows where features come from, or learns.

Legend: N pictures, D dimensions, Q queries of one chunk.
"""

import warnings
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import normalized_mutual_info_score

Metric = Literal["euclidean", "cosine"]
_CHUNK = 512  # queries at a time: N = 20,000 then takes 80 MB a table


@dataclass(frozen=True, slots=True)
class ClusterScores:
    """How well k-means, told the number of labels, finds them.

    Attributes:
        purity: share of pictures whose label is the most frequent one of their cluster, in [0, 1].
        nmi: normalised mutual information (arithmetic mean), in [0, 1].
    """

    purity: float
    nmi: float


def retrieval_map(
    features_ND: NDArray[Any], labels_N: NDArray[Any], metric: Metric = "euclidean"
) -> float:
    """Mean average precision of finding the pictures of a query's label among all others.

    Each picture is a query once and is never among its own answers; a query whose label no other
    picture has is left out. Answers at equal distances share the precision at the last of them, so
    that their order cannot matter.

    Args:
        features_ND: one row a picture.
        labels_N: its label.
        metric: "cosine" is the Euclidean distance between rows of length 1; a row of zeros stays.

    Raises:
        ValueError: shapes differ, a feature is not finite, or no label has two pictures.
    """
    return float(average_precisions(features_ND, labels_N, metric).mean())


def average_precisions(
    features_ND: NDArray[Any], labels_N: NDArray[Any], metric: Metric = "euclidean"
) -> NDArray[np.float64]:
    """Average precision of each query that has an answer, in row order; see `retrieval_map`."""
    rows_ND, labels_N = _checked(features_ND, labels_N, metric)
    queries = np.flatnonzero((labels_N[:, None] == labels_N[None, :]).sum(axis=1) > 1)
    squares_N = np.square(rows_ND).sum(axis=1)
    parts = []
    for start in range(0, len(queries), _CHUNK):
        rows_Q = queries[start : start + _CHUNK]
        distances_QN = squares_N[rows_Q, None] + squares_N - 2 * rows_ND[rows_Q] @ rows_ND.T
        distances_QN[np.arange(len(rows_Q)), rows_Q] = -np.inf
        order_QN = np.argsort(distances_QN, axis=1, kind="stable")[:, 1:]  # the first is the query
        sorted_QN = np.take_along_axis(distances_QN, order_QN, axis=1)
        hits_QN = labels_N[order_QN] == labels_N[rows_Q, None]
        last_QN = _end_of_ties(sorted_QN)
        found_QN = np.take_along_axis(np.cumsum(hits_QN, axis=1), last_QN, axis=1)
        precision_QN = found_QN / (last_QN + 1)
        parts.append((precision_QN * hits_QN).sum(axis=1) / hits_QN.sum(axis=1))
    return np.concatenate(parts)


def random_map(labels_N: NDArray[Any]) -> float:
    """What `retrieval_map` is expected to be when the order of answers is random.

    A query with R right ones among n answers: (H_n + (R - 1) (n - H_n) / (n - 1)) / n, with the
    harmonic number H_n. The precision at rank k, given a hit there, is expected to be
    (1 + (k - 1) (R - 1) / (n - 1)) / k, and each rank is a hit with chance R / n.

    Raises:
        ValueError: no label has two pictures.
    """
    counts_N = np.unique(labels_N, return_counts=True)[1][
        np.unique(labels_N, return_inverse=True)[1]
    ]
    right_N = counts_N[counts_N > 1] - 1
    if len(right_N) == 0:
        raise ValueError("no label has two pictures: nothing to find")
    answers = len(labels_N) - 1
    harmonic = (1 / np.arange(1, answers + 1)).sum()
    rest = (answers - harmonic) / max(answers - 1, 1)
    return float(((harmonic + (right_N - 1) * rest) / answers).mean())


def cluster_scores(
    features_ND: NDArray[Any], labels_N: NDArray[Any], seed: int = 0, metric: Metric = "euclidean"
) -> ClusterScores:
    """k-means with as many clusters as labels, the best of five starts.

    Raises:
        ValueError: as `retrieval_map`.
    """
    rows_ND, labels_N = _checked(features_ND, labels_N, metric)
    names, label_N = np.unique(labels_N, return_inverse=True)
    means = KMeans(len(names), n_init=5, random_state=seed)
    with warnings.catch_warnings():
        # fewer distinct rows than labels, as a collapsed network gives: some clusters stay empty
        warnings.simplefilter("ignore", ConvergenceWarning)
        cluster_N = means.fit_predict(rows_ND)
    table = np.zeros((len(names), len(names)), dtype=np.int64)
    np.add.at(table, (cluster_N, label_N), 1)
    return ClusterScores(
        float(table.max(axis=1).sum() / len(labels_N)),
        float(normalized_mutual_info_score(label_N, cluster_N)),
    )


def _checked(
    features_ND: NDArray[Any], labels_N: NDArray[Any], metric: Metric
) -> tuple[NDArray[np.float64], NDArray[Any]]:
    rows_ND = np.asarray(features_ND, dtype=np.float64)
    labels_N = np.asarray(labels_N)
    if rows_ND.ndim != 2 or labels_N.shape != rows_ND.shape[:1]:
        raise ValueError(
            f"features must be [N, D] and labels [N], not {rows_ND.shape} and {labels_N.shape}"
        )
    if not np.isfinite(rows_ND).all():
        raise ValueError("features must be finite")
    if len(np.unique(labels_N)) == len(labels_N):
        raise ValueError("no label has two pictures: nothing to find")
    if metric == "cosine":
        lengths_N1 = np.linalg.norm(rows_ND, axis=1, keepdims=True)
        rows_ND = rows_ND / np.where(lengths_N1 > 0, lengths_N1, 1)
    return rows_ND, labels_N


def _end_of_ties(sorted_QN: NDArray[np.float64]) -> NDArray[np.int64]:
    """For each place of an ascending row, the last place with the same value (but for rounding)."""
    count = sorted_QN.shape[1]
    scale_Q1 = np.maximum(np.abs(sorted_QN[:, -1:]), 1e-300)
    ends_QN = np.ones(sorted_QN.shape, dtype=bool)
    ends_QN[:, :-1] = np.diff(sorted_QN, axis=1) > 1e-12 * scale_Q1
    places_QN = np.where(ends_QN, np.arange(count), count)
    # the nearest end at or after each place
    return np.minimum.accumulate(places_QN[:, ::-1], axis=1)[:, ::-1].astype(np.int64)
