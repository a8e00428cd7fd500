"""Tagging figures: beside the same without the prior, and beside the most frequent tags.

    pictures, phrases, gold ─► three judged answers ─► figures of all, by part, by slice

Three variants, so that nobody takes frequency for sight: the scores that the server gives, the same
without the graph's prior, and the most frequent tags of the training pictures for every picture.
The last one always gives its `top_n` tags: it has no score that a threshold could judge.

Legend: B pictures, V interests, T interests with an average precision of their own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inkling_server.interests.graph import Interest
from inkling_server.interests.mentions.table import fold
from inkling_server.model_manifest import Calibration
from inkling_training.data import Record
from inkling_training.evaluation.bootstrap import Draws, Ratio, interval
from inkling_training.evaluation.judged import Judged, PictureRows, judge
from inkling_training.exported import scores
from inkling_training.gold import Flags, build_gold
from inkling_training.held_out import HeldOut
from inkling_training.metrics import (
    TaggingFigures,
    calibration_error,
    figures_of_counts,
    mean_average_precision,
    tagging_figures,
)

LEAST_FOR_TAG_AP = 5  # right pictures that a tag needs for its own average precision
WITH, WITHOUT, FREQUENT = "with prior", "without prior", "most frequent tags"
NO_THRESHOLD = -1.0
Scores = NDArray[np.float64]


def judge_model(part: HeldOut, calibration: Calibration, *, prior: bool = True) -> Judged:
    """The answers at the calibration's operating point."""

    def scores_of(rows: slice) -> Scores:
        cosines_BV = (part.pictures_BD[rows] @ part.phrases_VD.T).astype(np.float64)
        return scores(cosines_BV, part.interests, calibration, prior=prior)

    point = calibration.recommended
    return judge(scores_of, part.gold, point.top_n, point.min_score, tags_with_precision(part))


def judge_all(part: HeldOut, calibration: Calibration, frequency_V: Scores) -> dict[str, Judged]:
    """The three variants."""

    def frequent(rows: slice) -> Scores:
        return np.tile(frequency_V, (len(part.pictures_BD[rows]), 1))

    top_n, tags_T = calibration.recommended.top_n, tags_with_precision(part)
    return {
        WITH: judge_model(part, calibration),
        WITHOUT: judge_model(part, calibration, prior=False),
        FREQUENT: judge(frequent, part.gold, top_n, NO_THRESHOLD, tags_T),
    }


def tags_with_precision(part: HeldOut) -> NDArray[np.int64]:
    """Rows of the interests that are right on enough pictures."""
    return np.flatnonzero(part.gold.broad_BV.sum(axis=0) >= LEAST_FOR_TAG_AP)


def tagging(variants: Mapping[str, PictureRows]) -> dict[str, Any]:
    """Figures of one group of pictures."""
    result: dict[str, Any] = {"pictures": len(variants[WITH])}
    for name, rows in variants.items():
        broad = figures_of_counts(rows.given_B, rows.hits_B, rows.gold_B)
        result[name] = {
            "broad": asdict(broad),
            "strict": asdict(_strict(rows)),
            "mean AP a picture": _mean(rows.precision_B),
            "mean AP a tag": tag_precision(rows),
            "right in first 5 (strict)": float(rows.first_five_B.mean()),
        }
        if name != FREQUENT:
            result[name] |= {
                "ECE all pairs": calibration_error(rows.bins_BQ3.sum(axis=0)),
                "ECE pairs above .05": calibration_error(rows.likely_BQ3.sum(axis=0)),
            }
    return result


def tag_precision(rows: PictureRows) -> float:
    """Mean over the interests that are right on enough of these pictures."""
    return mean_average_precision(rows.tag_scores_BT.T, rows.tag_right_BT.T, LEAST_FOR_TAG_AP)


def _strict(rows: PictureRows) -> TaggingFigures:
    return figures_of_counts(rows.strict_given_B, rows.strict_hits_B, rows.strict_gold_B)


def _mean(values_B: Scores) -> float:
    known_B = values_B[~np.isnan(values_B)]
    return float(known_B.mean()) if len(known_B) else float("nan")


def ratios(rows: PictureRows) -> dict[str, Ratio]:
    """The figures that are ratios of sums over pictures, so that draws are cheap."""
    ones_B, known_B = np.ones(len(rows)), ~np.isnan(rows.precision_B)
    given_B, hits_B, gold_B = (
        counts.astype(np.float64) for counts in (rows.given_B, rows.hits_B, rows.gold_B)
    )
    return {
        "mAP a picture": Ratio(np.nan_to_num(rows.precision_B), known_B.astype(np.float64)),
        "precision": Ratio(hits_B, given_B),
        "recall": Ratio(hits_B, gold_B),
        "F1": Ratio(2 * hits_B, given_B + gold_B),
        "coverage": Ratio((rows.hits_B > 0).astype(np.float64), ones_B),
        "right in first 5 (strict)": Ratio(rows.first_five_B.astype(np.float64), ones_B),
        "Brier score": Ratio(rows.squared_B, rows.pairs_B.astype(np.float64)),
    }


def with_interval(ratio: Ratio, draws_RB: Draws) -> dict[str, float | None]:
    """A figure and its interval as the report writes them."""
    return described(ratio.value, ratio.of_draws(draws_RB))


def described(value: float, drawn_R: Scores) -> dict[str, float | None]:
    """The same for a figure whose values in draws are known."""
    around = interval(value, drawn_R)
    # Every figure is a share: a centred interval may reach beyond, a share cannot.
    low, high = (max(0.0, around.low), min(1.0, around.high)) if around else (None, None)
    return {"value": value, "low": low, "high": high}


def caption_words(part: HeldOut, given_BV: Flags) -> dict[str, float]:
    """A tag is right if a caption of the picture holds one of its words (singular or plural)."""
    words = [set(fold(interest.phrase).split()) for interest in part.interests]
    gold_BV = np.zeros(given_BV.shape, dtype=bool)
    for row, record in enumerate(part.records):
        said = set(fold(" ".join(record.captions)).split())
        gold_BV[row] = [bool(said & name) for name in words]
    figures = tagging_figures(given_BV, gold_BV)
    return {
        "tags_per_picture": figures.tags_per_picture,
        "precision": figures.precision,
        "coverage": figures.coverage,
    }


def train_frequency(records: Sequence[Record], interests: Sequence[Interest]) -> Scores:
    """How often each interest is right (broad gold) on training pictures: the baseline that sees
    nothing. Without training pictures, the graph's own counts, as shares of the greatest.
    """
    train = [record for record in records if record.split == "train"]
    counts_V = np.zeros(len(interests))
    if not train:
        counts_V += [interest.count for interest in interests]
        return np.asarray(counts_V / max(1.0, counts_V.max()), np.float64)
    nothing_near = np.zeros((len(interests), 1), np.float32)
    for start in range(0, len(train), 1000):
        counts_V += build_gold(train[start : start + 1000], interests, nothing_near).broad_BV.sum(
            axis=0
        )
    shares_V: Scores = counts_V / len(train)
    return shares_V
