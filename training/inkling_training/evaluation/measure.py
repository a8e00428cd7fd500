"""Inputs to figures: what the report holds, in the order in which it is read.

    Inputs ─► tagging (all, by part, slices) ─► curves ─► calibration
           ─► captions, classes, look-alikes ─► fewer dimensions ─► headline with intervals

The keys of the first reports ("tagging, all parts", "class accuracy", ...) keep their meaning, so
that figures can be compared over the years. It knows neither files nor pages.

Legend: B pictures, V interests, D dimensions, R draws.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from inkling_training import bundled
from inkling_training.data import Record
from inkling_training.evaluation import curves, inputs, matching, reliability, tagging
from inkling_training.evaluation.bootstrap import (
    DRAWS,
    SEED,
    Ratio,
    drawn_calibration_error,
    drawn_tag_precision,
    draws,
)
from inkling_training.evaluation.headline import HEADLINE, stored
from inkling_training.evaluation.inputs import HALVES, Inputs, Texts, shorten
from inkling_training.evaluation.judged import Judged, PictureRows
from inkling_training.evaluation.report_file import SCHEMA
from inkling_training.evaluation.slices import groupings, slices
from inkling_training.exported import Embeddings, scores
from inkling_training.gold import EVERYDAY
from inkling_training.held_out import HeldOut
from inkling_training.metrics import average_precision, calibration_error, given

# The average precision of tags sorts each tag's pictures in each draw: fewer draws.
_TAG_DRAWS = 200
# Captions of more pictures than this would take minutes to embed.
MOST_CAPTIONED = 1000


@dataclass(frozen=True, slots=True)
class Measured:
    """The figures, and what a page with pictures needs besides.

    Attributes:
        report: as `report_file` writes it.
        rows: the answers to the judged pictures.
    """

    report: dict[str, Any]
    rows: PictureRows


def measure(
    given_inputs: Inputs,
    *,
    unseen: Collection[str] = (),
    per_picture: bool = True,
) -> Measured:
    """Everything.

    Args:
        given_inputs: model, graph and pictures.
        unseen: names of classes that the model's training left out.
        per_picture: keep numbers for each picture, for paired comparisons.
    """
    model, calibration = given_inputs.model, given_inputs.calibration
    whole, judged, graph = given_inputs.whole, given_inputs.judged, given_inputs.graph
    point, texts = calibration.recommended, Texts(model)
    frequency_V = tagging.train_frequency(given_inputs.records, graph.interests)
    variants = tagging.judge_all(judged, calibration, frequency_V)
    rows = {name: variant.rows for name, variant in variants.items()}
    ours = variants[tagging.WITH]
    sources = np.array([record.source for record in judged.records])
    draws_RB = draws(len(judged.records))
    matched = _match(whole.pictures_BD, whole.records, texts)

    report: dict[str, Any] = {
        "schema": SCHEMA,
        "model": model.manifest.model_version,
        "graph": graph.version,
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "hardware": inputs.hardware(),
        "data": inputs.described(given_inputs),
        "settings": {
            "pictures": HALVES[given_inputs.halves],
            "draws": DRAWS,
            "seed": SEED,
            "dimension": model.manifest.dimension,
            "calibration": f"version {calibration.version}, {calibration.method}, "
            f"{calibration.calibrated_time:%Y-%m-%d}",
        },
        "operating point": asdict(point),
        "headline": _headline(ours, matched, draws_RB),
        "tagging, all parts": tagging.tagging(rows),
        "tagging, by part": {
            source: tagging.tagging({n: r.take(sources == source) for n, r in rows.items()})
            for source in sorted(set(sources.tolist()))
        },
        "slices": slices(ours.rows, groupings(judged.records, ours.rows.gold_B), draws_RB),
        "curves": {
            "by N and threshold": curves.by_n_and_threshold(ours.rows, point.min_score),
            "precision and recall": {
                name: curves.precision_recall(variant.sums) for name, variant in variants.items()
            },
            "scores": curves.score_histogram(ours.sums),
        },
        "calibration": reliability.calibration(ours, graph.interests),
        "AP by tag": _by_tag(ours, judged),
        **_everyday(given_inputs),
        **matched.figures,
        "bundled photos": bundled.table(model, graph.interests, calibration),
    }
    if unseen:
        report["unseen classes"] = matching.unseen_classes(
            given_inputs.records, set(unseen), model.encode_pictures, texts
        )
    if given_inputs.dimensions:
        report["nested dimensions"] = {
            str(size): _nested(given_inputs, texts, size)
            for size in sorted({*given_inputs.dimensions, model.manifest.dimension}, reverse=True)
        }
    if per_picture:
        report["per picture"] = {
            "judged": stored(judged.records, tagging.ratios(ours.rows)),
            **matched.stored,
        }
    return Measured(report, ours.rows)


@dataclass(frozen=True, slots=True)
class _Matched:
    """Figures of `matching`; `ratios` by headline name."""

    figures: dict[str, Any]
    ratios: dict[str, Ratio]
    stored: dict[str, Any]


def _match(pictures_BD: Embeddings, records: Sequence[Record], texts: Any) -> _Matched:
    figures: dict[str, Any] = {}
    ratios: dict[str, Ratio] = {}
    kept: dict[str, Any] = {}
    captioned_B = captioned(records)
    if captioned_B.sum() > 1:
        some = [record for record, keep in zip(records, captioned_B, strict=True) if keep]
        ranks = matching.retrieval(pictures_BD[captioned_B], [r.captions for r in some], texts)
        found = ranks.ratios()
        of = sorted({record.source for record in some})
        figures["retrieval"] = {"of": of} | ranks.figures()
        if of == [EVERYDAY]:
            figures["everyday photos, retrieval"] = ranks.figures()
        ratios |= found
        kept["captioned"] = stored(some, found)
    accuracy, mean_accuracy = matching.class_accuracy(pictures_BD, records, texts)
    clusters, mean_clusters = matching.clustering(pictures_BD, records)
    figures |= {"class accuracy": accuracy, "clustering": clusters}
    means = {
        "class top-1, mean of parts": mean_accuracy,
        "clustering mAP, mean of parts": mean_clusters,
    }
    classed = {name: ratio for name, ratio in means.items() if ratio is not None}
    if classed:
        ratios |= classed
        kept["classed"] = stored(records, classed)
    return _Matched(figures, ratios, kept)


def captioned(records: Sequence[Record]) -> Any:
    """Flags of the pictures that retrieval is measured on, [B].

    Everyday photos where the data have them (captions of the other sample parts advertise, or name
    the class); else all pictures with captions, the first `MOST_CAPTIONED` of them.
    """
    everyday = any(record.source == EVERYDAY for record in records)
    flags = np.array(
        [bool(r.captions) and (not everyday or r.source == EVERYDAY) for r in records], dtype=bool
    )
    return flags & (np.cumsum(flags) <= MOST_CAPTIONED)


def _headline(ours: Judged, matched: _Matched, draws_RB: Any) -> dict[str, Any]:
    rows = ours.rows
    figures = {
        name: tagging.with_interval(ratio, draws_RB) for name, ratio in tagging.ratios(rows).items()
    }
    for name, ratio in matched.ratios.items():
        figures[name] = tagging.with_interval(ratio, draws(len(ratio.upper_B)))
    figures["mAP a tag"] = tagging.described(
        tagging.tag_precision(rows),
        drawn_tag_precision(rows.tag_scores_BT, rows.tag_right_BT, draws_RB[:_TAG_DRAWS]),
    )
    likely = rows.likely_BQ3
    figures["ECE pairs above .05"] = tagging.described(
        calibration_error(likely.sum(axis=0)), drawn_calibration_error(likely, draws_RB)
    )
    return {
        figure.name: {"better": figure.better} | figures[figure.name]
        for figure in HEADLINE
        if figure.name in figures
    }


def _by_tag(ours: Judged, judged: HeldOut) -> dict[str, list[Any]]:
    """Average precision of each interest that has one, best first."""
    rows = ours.rows
    precisions = np.array(
        [
            average_precision(s, r)
            for s, r in zip(rows.tag_scores_BT.T, rows.tag_right_BT.T, strict=True)
        ]
    )
    order = np.argsort(-precisions, kind="stable")
    return {
        "phrase": [judged.interests[ours.tags_T[row]].phrase for row in order],
        "right": rows.tag_right_BT.sum(axis=0)[order].tolist(),
        "AP": precisions[order].tolist(),
    }


def _everyday(given_inputs: Inputs) -> dict[str, Any]:
    part = given_inputs.whole.of_source(EVERYDAY)
    if not part.records:
        return {}
    point = given_inputs.calibration.recommended
    scores_BV = scores(part.cosines_BV, part.interests, given_inputs.calibration)
    given_BV = given(scores_BV, point.top_n, point.min_score)
    return {"everyday photos, words of captions": tagging.caption_words(part, given_BV)}


def _nested(given_inputs: Inputs, texts: Texts, size: int) -> dict[str, Any]:
    """The figures that an index of fewer dimensions keeps; calibration of the full size."""

    def short_texts(wanted: Sequence[str]) -> Embeddings:
        return shorten(texts(wanted), size)

    part = given_inputs.judged
    cut = replace(
        part,
        pictures_BD=shorten(part.pictures_BD, size),
        phrases_VD=shorten(part.phrases_VD, size),
    )
    rows = tagging.judge_model(cut, given_inputs.calibration).rows
    whole = given_inputs.whole
    matched = _match(shorten(whole.pictures_BD, size), whole.records, short_texts)
    figures: Mapping[str, Ratio] = tagging.ratios(rows) | matched.ratios
    return {name: ratio.value for name, ratio in figures.items()} | {
        "mAP a tag": tagging.tag_precision(rows)
    }
