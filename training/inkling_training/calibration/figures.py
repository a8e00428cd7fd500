"""How good scores are: log-loss, calibration error, ranking, and tags at an operating point.

All figures weigh pictures as the fit does. The scores are the server's (`exported.scores`), float32
as a client sees them. Nothing here knows how a calibration was fitted.

Legend: B pictures, R of them at a time, V interests, N ranks.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inkling_server.model_manifest import Calibration
from inkling_training.calibration.fit_data import FitData, Float64, Rows
from inkling_training.exported import scores

Float32 = NDArray[np.float32]

LIKELY = 0.05  # scores that anyone looks at; nearly all pairs are below
GREATEST_TOP_N = 10
_BINS = 15
_LEAST_SCORE = 1e-12


@dataclass(frozen=True, slots=True)
class Figures:
    """Weighted over pictures.

    Attributes:
        log_loss: nats a picture, summed over its counted interests.
        ece: expected calibration error over all counted pairs.
        ece_likely: over those that score above `LIKELY`.
        ece_chance: what `ece_likely` would be of perfectly calibrated scores, by chance alone.
        mean_ap: average precision a picture.
        losses_B: the log-loss of each picture.
    """

    log_loss: float
    ece: float
    ece_likely: float
    ece_chance: float
    mean_ap: float
    losses_B: Float64

    def as_dict(self) -> dict[str, float]:
        """The numbers, rounded for files and tables."""
        return {
            "log_loss": round(self.log_loss, 4),
            "ece": round(self.ece, 6),
            "ece_likely": round(self.ece_likely, 5),
            "ece_chance": round(self.ece_chance, 5),
            "mean_ap": round(self.mean_ap, 4),
        }


@dataclass(frozen=True, slots=True)
class Tops:
    """The best tags of each picture, all that an operating point can give.

    Attributes:
        scores_BN: descending, N = `GREATEST_TOP_N` (fewer in a small graph).
        right_BN, counted_BN: what they are.
        right_count_B: right tags of the picture in all.
        weights_B: sum 1.
    """

    scores_BN: Float32
    right_BN: NDArray[np.bool_]
    counted_BN: NDArray[np.bool_]
    right_count_B: NDArray[np.int64]
    weights_B: Float64


Scorer = Callable[[Rows], Float64]


def scorer(data: FitData, calibration: Calibration) -> Scorer:
    """Scores [R, V] of some rows."""
    return lambda rows: scores(
        data.cosines_BV[rows].astype(np.float64), data.interests, calibration
    )


def judge(data: FitData, scored: Scorer) -> tuple[Figures, Tops]:
    """Looks at every picture once.

    Args:
        data: the pictures that judge.
        scored: what the server would say, by rows of `data`.
    """
    count = len(data.keys)
    rank_count = min(GREATEST_TOP_N, len(data.interests))
    losses_B, precisions_B = np.zeros(count), np.full(count, np.nan)
    right_count_B = np.zeros(count, np.int64)
    best_BN = np.zeros((count, rank_count), np.float32)
    right_BN, counted_BN = np.zeros((2, count, rank_count), dtype=bool)
    bins_23L, noise_L = np.zeros((2, 3, _BINS)), np.zeros(_BINS)
    done = 0
    for block in data.blocks(data.all_rows):
        rows = np.arange(done, done + len(block.weights_R))
        done += len(rows)
        scores_RV = scored(rows)
        inside_RV = np.clip(scores_RV, _LEAST_SCORE, 1 - 2.0**-24)
        terms_RV = np.where(block.right_RV, -np.log(inside_RV), -np.log1p(-inside_RV))
        losses_B[rows] = (terms_RV * block.counted_RV).sum(axis=1)
        right_count_B[rows] = block.right_RV.sum(axis=1)
        order_RV = np.argsort(-scores_RV, axis=1, kind="stable")
        order_RN = order_RV[:, :rank_count]
        best_BN[rows] = np.take_along_axis(scores_RV, order_RN, axis=1)
        right_BN[rows] = np.take_along_axis(block.right_RV, order_RN, axis=1)
        counted_BN[rows] = np.take_along_axis(block.counted_RV, order_RN, axis=1)
        for place, row in enumerate(rows):
            ranked = order_RV[place][block.counted_RV[place][order_RV[place]]]
            precisions_B[row] = _average_precision(block.right_RV[place][ranked])
        weights_RV = block.weights_R[:, np.newaxis] * block.counted_RV
        where_RV = np.minimum((scores_RV * _BINS).astype(np.intp), _BINS - 1)
        noise_RV = weights_RV**2 * (scores_RV > LIKELY) * scores_RV * (1 - scores_RV)
        noise_L += np.bincount(where_RV.ravel(), noise_RV.ravel(), _BINS)
        for level, chosen_RV in enumerate((weights_RV, weights_RV * (scores_RV > LIKELY))):
            for place, factor in enumerate((None, scores_RV, block.right_RV)):
                values_RV = chosen_RV if factor is None else chosen_RV * factor
                bins_23L[level, place] += np.bincount(where_RV.ravel(), values_RV.ravel(), _BINS)
    weights_B = data.weights_B
    ranked_B = ~np.isnan(precisions_B)
    figures = Figures(
        log_loss=float(weights_B @ losses_B),
        ece=_ece(bins_23L[0]),
        ece_likely=_ece(bins_23L[1]),
        # Mean size of a normal error of this variance, bin by bin.
        ece_chance=float(np.sqrt(2 / np.pi * noise_L).sum() / max(bins_23L[1, 0].sum(), 1e-300)),
        mean_ap=float(weights_B[ranked_B] @ precisions_B[ranked_B] / weights_B[ranked_B].sum()),
        losses_B=losses_B,
    )
    return figures, Tops(best_BN, right_BN, counted_BN, right_count_B, weights_B)


def _average_precision(right: NDArray[np.bool_]) -> float:
    """Of flags in the order of their scores; nan without a right one."""
    (places,) = np.nonzero(right)
    return float((np.arange(1, len(places) + 1) / (places + 1)).mean()) if len(places) else np.nan


def _ece(bins_3L: Float64) -> float:
    """Expected calibration error (Guo et al. 2017) of sums of weight, promised and kept."""
    weight_L, promised_L, kept_L = bins_3L
    return float(np.abs(promised_L - kept_L).sum() / max(weight_L.sum(), 1e-300))
