"""What is measured on a draw of the simulation: z of pairs of people, MRR of collections.

The maths of profiles is the server's own (inkling_server.profiles). It knows no report and no plot.

Legend: U people, P pairs, K clusters, T pictures of a person, R pictures with a vector, E of its
dimensions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.taste_draw import Draw
from benchmarks.taste_texts import unit
from benchmarks.taste_users import Users
from inkling_server.profiles.compare import CompareSettings, compare
from inkling_server.profiles.rank import RankSettings, rank
from inkling_server.profiles.visual import VisualSums, general_distribution

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_CHANCE = 3_000  # keeps what one seed draws apart
_OTHERS = 4  # tastes that each taste is compared with


def pair_maxima(
    first_PK: Floats, second_PK: Floats, general_K: NDArray[np.float32], settings: CompareSettings
) -> Floats:
    """max |z| over clusters of each pair."""

    def whole(sums_K: Floats) -> VisualSums:
        return VisualSums(sums_K, round(float(sums_K.sum())))

    return np.array(
        [
            compare(whole(first_K), whole(second_K), general_K, settings).max_abs_z
            for first_K, second_K in zip(first_PK, second_PK, strict=True)
        ]
    )


@dataclass(frozen=True, slots=True)
class Maxima:
    """max |z| of pairs of different people, and of null pairs."""

    different_P: Floats
    null_P: Floats

    def shares_above(self, z: float) -> tuple[float, float]:
        """Of different pairs, of null pairs."""
        return float((self.different_P > z).mean()), float((self.null_P > z).mean())

    def null_quantile(self, confidence: float = 0.95) -> float:
        """What max |z| of null pairs exceeds with probability 1 - confidence."""
        return float(np.quantile(self.null_P, confidence))


def maxima(drawn: Draw, settings: CompareSettings, *, train_count: int) -> Maxima:
    """max |z| when every collection has `train_count` pictures.

    Null pairs: the two collections of one taste. Different pairs: the first of one taste and the
    second of another, `_OTHERS` for each.
    """
    general_K = drawn.clusters.general_K
    first_PK = drawn.sums(drawn.first_PT[:, :train_count])
    second_PK = drawn.sums(drawn.second_PT[:, :train_count])
    return Maxima(
        np.concatenate(
            [
                pair_maxima(first_PK, np.roll(second_PK, shift, axis=0), general_K, settings)
                for shift in range(1, 1 + _OTHERS)
            ]
        ),
        pair_maxima(first_PK, second_PK, general_K, settings),
    )


def mean_reciprocal_rank(scores_UU: Floats) -> float:
    """MRR where row u holds everybody's score for the collection of person u.

    Ties share their mean rank, so that scores without information get no luck.
    """
    own_U1 = np.diag(scores_UU)[:, None]
    above_U = (scores_UU > own_U1).sum(axis=1)
    tied_U = (scores_UU == own_U1).sum(axis=1) - 1
    return float((1 / (1 + above_U + tied_U / 2)).mean())


def expected_random_mrr(user_count: int) -> float:
    """Of an order by chance: H_U / U."""
    return float((1 / np.arange(1, user_count + 1)).mean())


def ratio_mrr(
    users: Users,
    shares_RK: NDArray[np.floating],
    general_K: NDArray[np.floating],
    rows_R: Ints | None = None,
    *,
    train_count: int,
    settings: RankSettings | None = None,
) -> float:
    """Whose are the held-out collections, by the mean log-likelihood ratio?

    Args:
        users: people.
        shares_RK: soft assignments of pictures, or of their texts.
        general_K: the general distribution.
        rows_R: which pictures, ascending; None: all.
        train_count: pictures that a profile is made of.
        settings: the prior.
    """
    kept_UT, held_UH = users.train_UT[:, :train_count], users.held_out_UH
    if rows_R is not None:
        kept_UT, held_UH = np.searchsorted(rows_R, kept_UT), np.searchsorted(rows_R, held_UH)
    sums_UK = np.stack([shares_RK[kept].sum(axis=0, dtype=np.float64) for kept in kept_UT])
    return mean_reciprocal_rank(
        np.stack([rank(shares_RK[held], sums_UK, general_K, settings) for held in held_UH])
    )


def visual_mrr(drawn: Draw, *, train_count: int, settings: RankSettings | None = None) -> float:
    """The same by visual profiles."""
    general_K = drawn.clusters.general_K
    return ratio_mrr(
        drawn.users, drawn.assign_NK, general_K, train_count=train_count, settings=settings
    )


def cosine_mrr(
    users: Users, vectors_RE: NDArray[np.floating], rows_R: Ints, *, train_count: int
) -> float:
    """The same by the cosine of the sums of the pictures' vectors (of their texts, say).

    Args:
        users: people.
        vectors_RE: of pictures.
        rows_R: which pictures, ascending; all that anybody keeps are among them.
        train_count: pictures that a profile is made of.
    """

    def profiles(kept_UT: Ints) -> Floats:
        places_UT = np.searchsorted(rows_R, kept_UT)
        return unit(
            np.stack([vectors_RE[kept].sum(axis=0, dtype=np.float64) for kept in places_UT])
        )

    return mean_reciprocal_rank(
        profiles(users.held_out_UH) @ profiles(users.train_UT[:, :train_count]).T
    )


def chance_mrr(users: Users, *, seed: int, repeats: int = 20) -> float:
    """The same by chance, simulated as the other curves are."""
    rng = np.random.default_rng(seed + _CHANCE)
    count = len(users.train_UT)
    return float(
        np.mean([mean_reciprocal_rank(rng.random((count, count))) for _ in range(repeats)])
    )


def one_hot(drawn: Draw) -> NDArray[np.float32]:
    """The true class of each picture, as if an oracle had made clusters of classes, [N, C]."""
    labels_N = drawn.pictures.labels_N
    return np.eye(len(drawn.pictures.classes), dtype=np.float32)[labels_N]


def oracle_mrr(drawn: Draw, *, train_count: int, settings: RankSettings) -> float:
    """The same by true classes instead of clusters: what the collections allow."""
    classes_NC = one_hot(drawn)
    general_C = general_distribution(classes_NC[drawn.background])
    return ratio_mrr(drawn.users, classes_NC, general_C, train_count=train_count, settings=settings)


def centred_embeddings(drawn: Draw) -> Floats:
    """Embeddings less the background's mean, of length 1: profiles without clusters."""
    embeddings_ND = drawn.pictures.embeddings_ND.astype(np.float64)
    return unit(embeddings_ND - embeddings_ND[drawn.background].mean(axis=0))


def mean_and_band(values: Sequence[float]) -> tuple[float, float]:
    """Mean over seeds, and half of its 95 % interval by Student's t; 0 with one seed."""
    if len(values) < 2:
        return float(values[0]), 0.0
    from scipy.stats import t

    error = float(np.std(values, ddof=1)) / len(values) ** 0.5
    return float(np.mean(values)), float(t.ppf(0.975, len(values) - 1)) * error


def summary(values: Sequence[float]) -> dict[str, Any]:
    """Mean, band and each draw's value, rounded for a report."""
    mean, band = mean_and_band(values)
    return {
        "mean": round(mean, 4),
        "band": round(band, 4),
        "by_seed": [round(value, 4) for value in values],
    }


def summaries(found: Sequence[dict[str, float]]) -> dict[str, Any]:
    """Mean and band over the draws of each figure."""
    rows = {name: summary([one[name] for one in found]) for name in found[0]}
    return {name: {"mean": row["mean"], "band": row["band"]} for name, row in rows.items()}
