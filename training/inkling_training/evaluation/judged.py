"""One pass over all pairs of pictures and interests: everything that the figures need, and little
memory.

    embeddings ─► cosines of 256 pictures ─► scores ─┬─► PictureRows   numbers of each picture
                  (then forgotten)                   └─► PairSums      sums over all pairs

A matrix of 4,000 pictures and 7,351 interests would take a quarter of a gigabyte for each array
that it passes through, so no more than a chunk of it exists at a time. Slices by source, size or
number of tags are sums over some of the rows. Nothing here knows models, files or reports.

Legend: B pictures, V interests, T interests with enough right pictures for an average precision of
their own, K best interests kept a picture, Q bins of scores, H fine bins of logits.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from inkling_training.gold import Gold
from inkling_training.metrics import BINS, Flags, Scores, average_precision, given

CHUNK = 256  # pictures
KEPT = 10  # best interests kept of each picture
LIKELY = 0.05  # from this score on a pair can matter to anybody
TAG_BINS = 10  # of scores, for the calibration of a single interest
HIGHEST_LOGIT = 12.0
FINE = 1200  # bins of logits from -HIGHEST_LOGIT to HIGHEST_LOGIT
Whole = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class PictureRows:
    """What was counted for each picture; every array has B rows.

    Attributes:
        given_B, hits_B, gold_B: tags given at the operating point, those of them that are right,
            and right ones in all; broad gold, pairs that nobody can judge left out.
        strict_given_B, strict_hits_B, strict_gold_B: the same for strict gold and all pairs.
        first_five_B: a strictly right one is among the five best.
        precision_B: average precision (broad), nan without a right interest.
        squared_B, pairs_B: sum of squared errors of scores, and the number of judged pairs.
        bins_BQ3, likely_BQ3: pairs, sum of scores, right pairs by bin of score; of all pairs, and
            of those with a score above `LIKELY`.
        best_BK: rows of the best interests, best first.
        best_scores_BK, best_right_BK, best_counted_BK: their scores; right (broad); judged at all.
        tag_scores_BT: score of the interests that have an average precision; -1: not judged.
        tag_right_BT: whether they are right (broad).
    """

    given_B: Whole
    hits_B: Whole
    gold_B: Whole
    strict_given_B: Whole
    strict_hits_B: Whole
    strict_gold_B: Whole
    first_five_B: Flags
    precision_B: Scores
    squared_B: Scores
    pairs_B: Whole
    bins_BQ3: Scores
    likely_BQ3: Scores
    best_BK: Whole
    best_scores_BK: Scores
    best_right_BK: Flags
    best_counted_BK: Flags
    tag_scores_BT: Scores
    tag_right_BT: Flags

    def __len__(self) -> int:
        return len(self.given_B)

    def take(self, chosen_B: Flags) -> "PictureRows":
        """The rows where the flag is set."""
        return PictureRows(*(getattr(self, field.name)[chosen_B] for field in fields(self)))


@dataclass(frozen=True, slots=True)
class PairSums:
    """Sums over all judged pairs (broad gold).

    Attributes:
        logits_H3: pairs, sum of scores, right pairs by fine bin of the score's logit.
        tags_V4: of each interest: pairs, sum of scores, right pairs, sum of score (1 - score).
        tag_bins_VQ3: of each interest, by `TAG_BINS` bins: pairs, sum of scores, right pairs.
    """

    logits_H3: Scores
    tags_V4: Scores
    tag_bins_VQ3: Scores

    def plus(self, other: "PairSums") -> "PairSums":
        """The sums over both."""
        return PairSums(
            *(getattr(self, field.name) + getattr(other, field.name) for field in fields(self))
        )


@dataclass(frozen=True, slots=True)
class Judged:
    """The answers of one model (or of one baseline) beside the gold.

    Attributes:
        tags_T: rows of the interests in `rows.tag_scores_BT`.
    """

    rows: PictureRows
    sums: PairSums
    tags_T: Whole


def judge(
    scores_of: Callable[[slice], Scores],
    gold: Gold,
    top_n: int,
    min_score: float,
    tags_T: Whole,
) -> Judged:
    """Counts everything.

    Args:
        scores_of: gives the scores [b, V] of a slice of the pictures.
        gold: of all pictures.
        top_n: most tags given to a picture.
        min_score: they have scores strictly above it.
        tags_T: rows of interests whose scores are kept for an average precision of their own.
    """
    parts, sums = [], None
    for start in range(0, len(gold.broad_BV), CHUNK):
        rows = slice(start, start + CHUNK)
        part = Gold(gold.strict_BV[rows], gold.broad_BV[rows], gold.counted_BV[rows])
        scores_BV = scores_of(rows)
        parts.append(_count(scores_BV, part, top_n, min_score, tags_T))
        more = _sum(scores_BV, part)
        sums = more if sums is None else sums.plus(more)
    assert sums is not None, "no pictures"
    joined = PictureRows(
        *(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(PictureRows))
    )
    return Judged(joined, sums, tags_T)


def _count(
    scores_BV: Scores, gold: Gold, top_n: int, min_score: float, tags_T: Whole
) -> PictureRows:
    right_BV = gold.broad_BV & gold.counted_BV
    counted_BV = np.where(gold.counted_BV, scores_BV, -1.0)
    given_BV = given(scores_BV, top_n, min_score)
    five_BV = given(scores_BV, 5, -np.inf)
    best_BK = _best(scores_BV, min(KEPT, scores_BV.shape[1]))
    squared_BV = np.where(gold.counted_BV, (scores_BV - gold.broad_BV) ** 2, 0.0)
    precisions = [average_precision(s, r) for s, r in zip(counted_BV, gold.broad_BV, strict=True)]
    return PictureRows(
        given_B=(given_BV & gold.counted_BV).sum(axis=1),
        hits_B=(given_BV & right_BV).sum(axis=1),
        gold_B=right_BV.sum(axis=1),
        strict_given_B=given_BV.sum(axis=1),
        strict_hits_B=(given_BV & gold.strict_BV).sum(axis=1),
        strict_gold_B=gold.strict_BV.sum(axis=1),
        first_five_B=np.asarray((five_BV & gold.strict_BV).any(axis=1)),
        precision_B=np.array(precisions),
        squared_B=squared_BV.sum(axis=1),
        pairs_B=gold.counted_BV.sum(axis=1),
        bins_BQ3=_bins_by_picture(scores_BV, right_BV, gold.counted_BV),
        likely_BQ3=_bins_by_picture(scores_BV, right_BV, gold.counted_BV & (scores_BV > LIKELY)),
        best_BK=best_BK,
        best_scores_BK=np.take_along_axis(scores_BV, best_BK, axis=1),
        best_right_BK=np.take_along_axis(right_BV, best_BK, axis=1),
        best_counted_BK=np.take_along_axis(gold.counted_BV, best_BK, axis=1),
        tag_scores_BT=counted_BV[:, tags_T],
        tag_right_BT=gold.broad_BV[:, tags_T],
    )


def _best(scores_BV: Scores, count: int) -> Whole:
    some_BK = np.argpartition(-scores_BV, count - 1, axis=1)[:, :count]
    order_BK = np.argsort(-np.take_along_axis(scores_BV, some_BK, axis=1), axis=1, kind="stable")
    best_BK: Whole = np.take_along_axis(some_BK, order_BK, axis=1)
    return best_BK


def _bins_by_picture(scores_BV: Scores, right_BV: Flags, chosen_BV: Flags) -> Scores:
    row_P = np.nonzero(chosen_BV)[0]
    bin_P = np.minimum((scores_BV[chosen_BV] * BINS).astype(int), BINS - 1)
    sums_X3 = _sums(
        row_P * BINS + bin_P, scores_BV[chosen_BV], right_BV[chosen_BV], len(scores_BV) * BINS
    )
    return sums_X3.reshape(len(scores_BV), BINS, 3)


def _sum(scores_BV: Scores, gold: Gold) -> PairSums:
    chosen_BV, count = gold.counted_BV, scores_BV.shape[1]
    column_P = np.nonzero(chosen_BV)[1]
    scores_P, right_P = scores_BV[chosen_BV], gold.broad_BV[chosen_BV]
    bin_P = np.minimum((scores_P * TAG_BINS).astype(int), TAG_BINS - 1)
    tag_bins_VQ3 = _sums(column_P * TAG_BINS + bin_P, scores_P, right_P, count * TAG_BINS)
    tag_bins_VQ3 = tag_bins_VQ3.reshape(count, TAG_BINS, 3)
    spread_V = np.bincount(column_P, weights=scores_P * (1 - scores_P), minlength=count)
    logits_H3 = _sums(fine_bin(scores_P), scores_P, right_P, FINE)
    return PairSums(logits_H3, np.column_stack([tag_bins_VQ3.sum(axis=1), spread_V]), tag_bins_VQ3)


def fine_bin(scores: Scores) -> Whole:
    """Which fine bin of logits a score belongs to; the outermost ones take what lies beyond."""
    lowest = 1 / (1 + np.exp(HIGHEST_LOGIT))
    clipped = np.clip(scores, lowest, 1 - lowest)
    place = (np.log(clipped / (1 - clipped)) + HIGHEST_LOGIT) / (2 * HIGHEST_LOGIT) * FINE
    bins: Whole = np.clip(place.astype(np.int64), 0, FINE - 1)
    return bins


def fine_edges() -> Scores:
    """Scores at the lower edges of the fine bins, [H]."""
    logits_H = -HIGHEST_LOGIT + 2 * HIGHEST_LOGIT / FINE * np.arange(FINE)
    edges_H: Scores = 1 / (1 + np.exp(-logits_H))
    return edges_H


def _sums(which: Whole, scores: Scores, right: Flags, count: int) -> Scores:
    """[count, 3]: number, sum of scores and right ones of each group."""
    return np.column_stack(
        [
            np.bincount(which, minlength=count),
            np.bincount(which, weights=scores, minlength=count),
            np.bincount(which, weights=right.astype(np.float64), minlength=count),
        ]
    )
