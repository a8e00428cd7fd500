"""Measures the exported model: every figure of the model card comes from this command.

    python -m inkling_training.evaluate --model-repository model_repository --json evaluation.json

It looks at the files that ship (ONNX, tokenizer, calibration, default graph) and at validation
pictures only, on the half that did not calibrate. Each tagging figure stands beside the same
without the prior and beside "most frequent tags for every picture", so that nobody takes frequency
for sight.

Legend: B pictures, V interests.
"""

import argparse
import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inkling_server.interests.graph import Interest
from inkling_server.interests.snapshot import load_snapshot, newest_snapshot
from inkling_server.model_manifest import Calibration, load_calibration
from inkling_training import bundled
from inkling_training.data import Record, load_records, sample_data_dir
from inkling_training.exported import ExportedModel, scores
from inkling_training.gold import EVERYDAY, build_gold
from inkling_training.held_out import HeldOut, load_held_out
from inkling_training.metrics import (
    Flags,
    Scores,
    expected_calibration_error,
    given,
    mean_average_precision,
    recall_at,
    tagging_figures,
)
from inkling_training.phrases import fold
from inkling_training.train import GRAPH

LEAST_FOR_TAG_AP = 5  # right pictures that a tag needs for its own average precision
CLASSED = (
    "caltech-101",
    "clothing-photos",
    "food-dishes",
    "grocery-store",
    "scenes-8",
    "tiny-imagenet-200",
)


def tagging(part: HeldOut, calibration: Calibration, frequency_V: Scores) -> dict[str, Any]:
    """Figures of one group of pictures with prior, without it, and for the frequency baseline."""
    point = calibration.recommended
    variants = {
        "with prior": scores(part.cosines_BV, part.interests, calibration),
        "without prior": scores(part.cosines_BV, part.interests, calibration, prior=False),
        "most frequent tags": np.tile(frequency_V, (len(part.records), 1)),
    }
    gold = part.gold
    result: dict[str, Any] = {"pictures": len(part.records)}
    for name, scores_BV in variants.items():
        threshold = -1.0 if name == "most frequent tags" else point.min_score
        counted_BV = np.where(gold.counted_BV, scores_BV, -1.0)
        given_BV = given(scores_BV, point.top_n, threshold)
        result[name] = {
            "broad": asdict(tagging_figures(given_BV, gold.broad_BV, gold.counted_BV)),
            "strict": asdict(tagging_figures(given_BV, gold.strict_BV)),
            "mean AP a picture": mean_average_precision(counted_BV, gold.broad_BV),
            "mean AP a tag": mean_average_precision(
                counted_BV.T, gold.broad_BV.T, LEAST_FOR_TAG_AP
            ),
            "right in first 5 (strict)": recall_at(scores_BV, gold.strict_BV, 5),
        }
        if name != "most frequent tags":
            pairs = gold.counted_BV
            likely = pairs & (scores_BV > 0.05)
            result[name]["ECE all pairs"] = expected_calibration_error(
                scores_BV[pairs], gold.broad_BV[pairs]
            )
            result[name]["ECE pairs above .05"] = expected_calibration_error(
                scores_BV[likely], gold.broad_BV[likely]
            )
    return result


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


def class_accuracy(model: ExportedModel, part: HeldOut) -> dict[str, float]:
    """Top-1 among the part's own classes, named by their first tag."""
    names = [record.tags[0] for record in part.records]
    classes = sorted(set(names))
    nearest = (part.pictures_BD @ model.encode_texts(classes).T).argmax(axis=1)
    right = [classes[guess] == name for guess, name in zip(nearest, names, strict=True)]
    return {"classes": len(classes), "pictures": len(names), "top1": float(np.mean(right))}


def unseen(
    model: ExportedModel, records: Sequence[Record], chosen: set[str]
) -> dict[str, dict[str, float]]:
    """Classes that a run held out: top-1 among all classes of their part, and among the unseen."""
    figures: dict[str, dict[str, float]] = {}
    for source in CLASSED:
        classes = sorted({r.tags[0] for r in records if r.source == source and r.tags})
        shown = [r for r in records if r.source == source and r.tags and r.tags[0] in chosen]
        if not shown:
            continue
        pictures_BD = model.encode_pictures([record.picture for record in shown])
        figures[source] = {"pictures": len(shown)}
        for title, names in (("all", classes), ("unseen", [n for n in classes if n in chosen])):
            nearest = (pictures_BD @ model.encode_texts(names).T).argmax(axis=1)
            right = [names[guess] == r.tags[0] for guess, r in zip(nearest, shown, strict=True)]
            figures[source] |= {
                f"{title} classes": len(names),
                f"top1 of {title}": float(np.mean(right)),
            }
    return figures


def retrieval(model: ExportedModel, part: HeldOut) -> dict[str, float]:
    """Captions and pictures of the everyday photos find each other."""
    captions = [(row, text) for row, record in enumerate(part.records) for text in record.captions]
    texts_TD = model.encode_texts([text for _, text in captions])
    similarities_BT = (part.pictures_BD @ texts_TD.T).astype(np.float64)
    right_BT = np.array(
        [[row == owner for owner, _ in captions] for row in range(len(part.records))]
    )
    figures: dict[str, float] = {"pictures": len(part.records), "captions": len(captions)}
    for k in (1, 5, 10):
        figures[f"image->text R@{k}"] = recall_at(similarities_BT, right_BT, k)
        figures[f"text->image R@{k}"] = recall_at(similarities_BT.T, right_BT.T, k)
    return figures


def train_frequency(
    records: Sequence[Record], interests: Sequence[Interest]
) -> NDArray[np.float64]:
    """How often each interest is right (broad gold) on training pictures: the baseline that sees
    nothing.
    """
    train = [record for record in records if record.split == "train"]
    nothing_near = np.zeros((len(interests), 1), np.float32)
    counts_V = np.zeros(len(interests))
    for start in range(0, len(train), 1000):
        counts_V += build_gold(train[start : start + 1000], interests, nothing_near).broad_BV.sum(
            axis=0
        )
    return counts_V / len(train)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--data", type=Path, default=None, help="sample data (default: found by itself)"
    )
    parser.add_argument("--graph", type=Path, default=GRAPH, help="folder of graph snapshots")
    parser.add_argument("--model-repository", type=Path, required=True)
    parser.add_argument(
        "--cache", type=Path, default=None, help="folder for the pictures' embeddings"
    )
    parser.add_argument(
        "--unseen", type=Path, default=None, help="JSON list of classes: measure only these"
    )
    parser.add_argument("--json", type=Path, default=None, help="where to write all figures")
    args = parser.parse_args()

    model = ExportedModel(args.model_repository)
    data = args.data or sample_data_dir()
    records = load_records(data)
    if args.unseen:
        chosen = set(json.loads(args.unseen.read_text()))
        print(json.dumps(unseen(model, records, chosen), indent=1))
        return
    calibration = load_calibration(args.model_repository)
    graph = load_snapshot(newest_snapshot(args.graph))
    whole = load_held_out(model, graph, data, args.cache)
    judged = whole.half(1)
    frequency_V = train_frequency(records, graph.interests)
    everyday = whole.of_source(EVERYDAY)
    present = {record.source for record in whole.records}

    point = calibration.recommended
    given_BV = given(
        scores(everyday.cosines_BV, everyday.interests, calibration), point.top_n, point.min_score
    )
    figures: dict[str, Any] = {
        "model": model.manifest.model_version,
        "graph": graph.version,
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "hardware": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores",
        "operating point": asdict(point),
        "tagging, all parts": tagging(judged, calibration, frequency_V),
        "tagging, by part": {
            source: tagging(judged.of_source(source), calibration, frequency_V)
            for source in sorted({record.source for record in judged.records})
        },
        "everyday photos, words of captions": caption_words(everyday, given_BV),
        "everyday photos, retrieval": retrieval(model, everyday),
        "class accuracy": {
            source: class_accuracy(model, whole.of_source(source))
            for source in CLASSED
            if source in present
        },
        "bundled photos": bundled.table(model, graph.interests, calibration),
    }
    text = json.dumps(figures, indent=1, ensure_ascii=False, default=float)
    if args.json:
        args.json.write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
