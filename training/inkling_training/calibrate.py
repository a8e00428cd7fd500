"""Fits how a cosine becomes a probability, and recommends an operating point.

    python -m inkling_training.calibrate --model-repository model_repository

Platt scaling with a prior: scale, bias and the weight of the graph's prior minimise the
cross-entropy on one half of
the validation pictures (broad gold, see `gold`). Everyday photos count as much as all other parts
together: they are what the server will see. The prior's cap is not fitted: it bounds how far
frequency may ever move a score, so that the picture has the last word.

Legend: B pictures, V interests.
"""

import argparse
import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter
from scipy.optimize import minimize

from inkling_server.interests.snapshot import load_snapshot, newest_snapshot
from inkling_server.model_manifest import Calibration, OperatingPoint
from inkling_server.scoring import prior_logits
from inkling_training.data import sample_data_dir
from inkling_training.exported import ExportedModel, scores
from inkling_training.held_out import HeldOut, load_held_out
from inkling_training.metrics import expected_calibration_error, given
from inkling_training.train import GRAPH

PRIOR_CAP = 0.7  # logits: at most doubles or halves the odds
PRIOR_SMOOTHING = 5.0
GREATEST_PRIOR_WEIGHT = 0.5
TOP_N = 5
SPLIT = "validation pictures whose key has an even CRC-32; everyday photos weigh half"


def fit(held_out: HeldOut) -> Calibration:
    """The parameters with the least weighted cross-entropy; the operating point is still open."""
    cosines_BV, gold = held_out.cosines_BV, held_out.gold
    counts = [interest.count for interest in held_out.interests]
    weights_BV = held_out.picture_weights()[:, None] * gold.counted_BV
    right_BV = gold.broad_BV.astype(np.float64)

    def made(parameters: NDArray[np.float64]) -> Calibration:
        scale, bias, prior_weight = (float(x) for x in parameters)
        nowhere = OperatingPoint(TOP_N, 0.5, 0.0, 0.0)
        now = datetime.now(UTC).replace(microsecond=0)
        return Calibration(
            scale, bias, prior_weight, PRIOR_CAP, PRIOR_SMOOTHING, now, SPLIT, 0.0, nowhere
        )

    def loss(parameters: NDArray[np.float64]) -> float:
        candidate = made(parameters)
        prior_V = prior_logits(counts, candidate)
        logits_BV = candidate.scale * cosines_BV + candidate.bias + prior_V
        terms_BV = np.logaddexp(0, logits_BV) - right_BV * logits_BV
        return float((terms_BV * weights_BV).sum())

    bounds = [(1.0, 60.0), (-30.0, 0.0), (0.0, GREATEST_PRIOR_WEIGHT)]
    found = minimize(loss, np.array([16.0, -8.0, 0.1]), method="L-BFGS-B", bounds=bounds)
    return made(found.x)


def recommend(held_out: HeldOut, calibration: Calibration, top_n: int = TOP_N) -> OperatingPoint:
    """The threshold with the best weighted F0.5: a wrong tag annoys more than a missing one."""
    scores_BV = scores(held_out.cosines_BV, held_out.interests, calibration)
    weights_B = held_out.picture_weights()
    best, best_value = OperatingPoint(top_n, 0.5, 0.0, 0.0), -1.0
    right_BV = held_out.gold.broad_BV & held_out.gold.counted_BV
    for threshold in np.arange(0.05, 0.9, 0.01):
        given_BV = given(scores_BV, top_n, float(threshold)) & held_out.gold.counted_BV
        hits_B = (given_BV & right_BV).sum(axis=1)
        precision = (weights_B * hits_B).sum() / max(
            1e-12, (weights_B * given_BV.sum(axis=1)).sum()
        )
        possible_B = np.minimum(top_n, right_BV.sum(axis=1))
        recall = (weights_B * hits_B).sum() / (weights_B * possible_B).sum()
        value = 1.25 * precision * recall / max(1e-12, 0.25 * precision + recall)
        if value > best_value:
            coverage = float((weights_B * (hits_B > 0)).sum())
            best_value = value
            best = OperatingPoint(
                top_n, round(float(threshold), 2), round(float(precision), 4), round(coverage, 4)
            )
    return best


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
    args = parser.parse_args()

    model = ExportedModel(args.model_repository)
    graph = load_snapshot(newest_snapshot(args.graph))
    held_out = load_held_out(model, graph, args.data or sample_data_dir(), args.cache)
    fitted = fit(held_out.half(0))
    point = recommend(held_out.half(0), fitted)
    judged = held_out.half(1)
    scores_BV = scores(judged.cosines_BV, judged.interests, fitted)
    counted = judged.gold.counted_BV
    ece = expected_calibration_error(scores_BV[counted], judged.gold.broad_BV[counted])

    document = TypeAdapter(Calibration).dump_python(fitted, mode="json")
    document |= {
        "ece": round(ece, 5),
        "recommended": TypeAdapter(OperatingPoint).dump_python(point, mode="json"),
    }
    for name in ("scale", "bias", "prior_weight"):
        document[name] = round(document[name], 4)
    version = str(model.manifest.version)
    path = args.model_repository / "vision_encoder" / version / "calibration.json"
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(document, indent=2))


if __name__ == "__main__":
    main()
