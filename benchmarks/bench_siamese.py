"""Do a siamese network's pictures of one class lie together, and does the hybrid beat its halves?

    python -m benchmarks.bench_siamese --tower NAME_OR_DIR         a table, JSON as the last line
    python -m benchmarks.bench_siamese ... --out benchmarks/results   and both as files, with a plot
    python -m benchmarks.bench_siamese --quick                     drawn pictures, in seconds

Table I of the paper that describes the siamese network, on a set of places and one of objects from
the sample data (INKLING_SAMPLE_DATA, else ../shared/data beside the repository). mAP: each
validation picture is a query, the other validation pictures are ranked by distance, average
precision of those of its class, mean over queries. Rows:

1. random: the order is chance; the expected value, computed.
2. SIFT bag of words: k-means vocabulary of the training pictures, tf-idf, length 1.
3. AlexNet-style, from scratch on the training pictures: classification (cross-entropy; the last
   hidden layer's features), siamese (margin contrastive loss on pairs), and the same siamese
   network started from the classification network's weights.
4. Pretrained tower, frozen: its pooled features; siamese output layer + batch norm on top of them.
5. hybrid: a classification and a siamese network's features side by side; "plain" gives both halves
   the same weight, "weighted" one that was chosen on a fold.

Networks see training pictures only. A fifth of those, the fold, chooses what is chosen: the number
of words, the margins, the hybrids' weights. It chooses once, with seed 0; then each seed trains on
all training pictures. Features of classification networks are centred by the training pictures'
mean and brought to length 1, and so are a hybrid's halves; siamese embeddings are compared as they
were trained, by Euclidean distance, and once more at "length 1": a hybrid shall not win by that.
"""

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from benchmarks.report import hardware, versions, write_report
from benchmarks.siamese_sets import LabelledSet, drawn_set, read_set
from benchmarks.siamese_table import LENGTH_ONE, bars, shape, table
from inkling_training.data import sample_data_dir
from inkling_training.evaluation.clustering import cluster_scores, random_map, retrieval_map
from inkling_training.siamese.hybrid import PLAIN, choose_weight, fit_hybrid, normalised
from inkling_training.siamese.inputs import FeatureInputs, Inputs, PixelInputs, run_all
from inkling_training.siamese.networks import (
    AlexTrunk,
    ClassificationNet,
    SiameseNet,
    TowerTrunk,
)
from inkling_training.siamese.pairs import split_fold
from inkling_training.siamese.sift_words import VisualWords, sift_descriptors
from inkling_training.siamese.train import TrainSettings, train_classifier, train_siamese
from inkling_training.vision_tower import load_vision_tower

Array = NDArray[np.float32]
Labels = NDArray[np.int64]
Scores = dict[str, dict[str, float]]  # row -> figure -> value
FOLD_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class Budget:
    """What the rows may cost; set by hand for 20 minutes of one core, not tuned.

    Attributes:
        size, width: of the AlexNet-style network.
        epochs: of both its networks from scratch.
        warm_epochs: of the siamese network that starts from the other one's weights.
        layer_epochs: of the output layer on cached features.
        words, margins: what the fold chooses from.
        seeds: how many runs.
    """

    size: int = 80
    width: float = 0.25
    epochs: float = 12
    warm_epochs: float = 4
    layer_epochs: float = 20
    words: tuple[int, ...] = (500, 1000)
    margins: tuple[float, ...] = (1.0, 2.0)
    seeds: int = 3


# few pictures are cheap to see more often
BUDGETS = {"scenes-8": Budget(epochs=20, warm_epochs=8)}
QUICK = Budget(48, 0.125, 2, 1, 10, (20, 30), (1.0, 2.0), 2)


@dataclass(frozen=True, slots=True)
class Seen:
    """One network's features of the pictures that it learnt from and of those that judge it."""

    learnt: Array
    judged: Array


def progress(text: str) -> None:
    """One line with the time."""
    print(f"{time.strftime('%H:%M:%S', time.gmtime())}  {text}", flush=True)


def settings(epochs: float, seed: int, classes: int, margin: float = 1.0) -> TrainSettings:
    """Eight pictures of each class of a step where there are few classes, else four."""
    per_class = 8 if classes <= 8 else 4
    return TrainSettings(
        epochs=epochs, seed=seed, margin=margin, pictures_per_class=per_class, bfloat16=True
    )


class FromScratch:
    """The AlexNet-style rows of one set: learns from `learn`, looks at `judge`, too."""

    def __init__(
        self, budget: Budget, learn: Inputs, judge: Inputs, labels_N: Labels, seed: int
    ) -> None:
        self.budget, self.learn, self.judge = budget, learn, judge
        self.labels_N, self.seed = labels_N, seed
        self.classes = int(labels_N.max()) + 1
        torch.manual_seed(seed)
        self.trunk = AlexTrunk(budget.size, budget.width)
        self.network = ClassificationNet(self.trunk, self.trunk.features, self.classes)
        train_classifier(self.network, learn, labels_N, settings(budget.epochs, seed, self.classes))

    def classification(self) -> Seen:
        """The last hidden layer's features."""
        return self._seen(self.trunk)

    def siamese(self, margin: float, *, warm: bool) -> Seen:
        """Embeddings of a siamese network, from scratch or from the classification network."""
        torch.manual_seed(self.seed + 1_000)
        trunk = AlexTrunk(self.budget.size, self.budget.width, dropout=0.5 if warm else 0.2)
        if warm:
            trunk.load_state_dict(self.trunk.state_dict())
        network = SiameseNet(trunk, trunk.features)
        epochs = self.budget.warm_epochs if warm else self.budget.epochs
        chosen = settings(epochs, self.seed, self.classes, margin)
        train_siamese(network, self.learn, self.labels_N, chosen)
        return self._seen(network)

    def _seen(self, network: nn.Module) -> Seen:
        return Seen(
            run_all(network, self.learn, bfloat16=True), run_all(network, self.judge, bfloat16=True)
        )


def output_layer(budget: Budget, tower: Seen, labels_N: Labels, seed: int, margin: float) -> Seen:
    """A siamese output layer on a frozen tower's features."""
    torch.manual_seed(seed + 1_000)
    network = SiameseNet(nn.Identity(), tower.learnt.shape[1])
    inputs = FeatureInputs(tower.learnt)
    chosen = settings(budget.layer_epochs, seed, int(labels_N.max()) + 1, margin)
    train_siamese(network, inputs, labels_N, chosen)
    return Seen(run_all(network, inputs), run_all(network, FeatureInputs(tower.judged)))


def figures(features_ND: Array, labels_N: Labels) -> dict[str, float]:
    """mAP first."""
    clusters = cluster_scores(features_ND, labels_N)
    return {
        "mAP": retrieval_map(features_ND, labels_N),
        "purity": clusters.purity,
        "NMI": clusters.nmi,
    }


def best(candidates: dict[float, Seen], labels_N: Labels) -> tuple[float, dict[float, float]]:
    """The margin with the best mAP of the embeddings; and all of them."""
    found = {key: retrieval_map(seen.judged, labels_N) for key, seen in candidates.items()}
    return max(found, key=lambda key: found[key]), found


def alone(seen: Seen) -> Array:
    """Centred by what was learnt from, of length 1."""
    return normalised(seen.judged, seen.learnt.mean(axis=0))


def add_siamese(scores: Scores, row: str, seen: Seen, labels_N: Labels) -> None:
    """The embedding as it was trained, and as it stands in a hybrid."""
    scores[row] = figures(seen.judged, labels_N)
    scores[row + LENGTH_ONE] = figures(alone(seen), labels_N)


def add_hybrids(
    scores: Scores, name: str, first: Seen, second: Seen, labels_N: Labels, weight: float
) -> None:
    """Both hybrids of two networks."""
    for kind, share in (("plain", PLAIN), ("weighted", weight)):
        joined = fit_hybrid(first.learnt, second.learnt, share)
        scores[f"hybrid, {kind}: {name}"] = figures(
            joined.combine(first.judged, second.judged), labels_N
        )


def sift(
    budget: Budget, data: LabelledSet, learn: Labels, fold: Labels
) -> tuple[list[Scores], dict[str, Any]]:
    """The bag of words' rows, one a seed, and what the fold chose."""
    train = [sift_descriptors(picture) for picture in data.train]
    val = [sift_descriptors(picture) for picture in data.val]
    learnt, judged = [train[row] for row in learn], [train[row] for row in fold]
    tried = {
        words: retrieval_map(VisualWords(learnt, words, 0).histograms(judged), data.train_N[fold])
        for words in budget.words
    }
    words = max(tried, key=lambda key: tried[key])
    rows: list[Scores] = []
    for seed in range(budget.seeds):
        histograms_NV = VisualWords(train, words, seed).histograms(val)
        rows.append({"SIFT bag of words": figures(histograms_NV, data.val_N)})
    return rows, {"words": words, "fold mAP by words": tried}


def scratch(
    budget: Budget, data: LabelledSet, learn: Labels, fold: Labels
) -> tuple[list[Scores], dict[str, Any]]:
    """The AlexNet-style rows, one a seed, and what the fold chose."""
    train = PixelInputs(data.train, budget.size)
    val = PixelInputs(data.val, budget.size)
    fold_N = data.train_N[fold]
    trial = FromScratch(budget, train.part(learn), train.part(fold), data.train_N[learn], 0)
    first = trial.classification()
    chosen: dict[str, Any] = {}
    for name, warm in (("siamese", False), ("siamese, warm", True)):
        tried = {margin: trial.siamese(margin, warm=warm) for margin in budget.margins}
        margin, by_margin = best(tried, fold_N)
        joined = fit_hybrid(first.learnt, tried[margin].learnt)
        weight, by_weight = choose_weight(joined, first.judged, tried[margin].judged, fold_N)
        chosen[name] = {
            "margin": margin,
            "fold mAP by margin": by_margin,
            "weight": weight,
            "fold mAP by weight": by_weight,
        }
        progress(f"{data.name}: {name}: margin {margin}, weight {weight}")
    rows: list[Scores] = []
    for seed in range(budget.seeds):
        run = FromScratch(budget, train, val, data.train_N, seed)
        first = run.classification()
        scores: Scores = {"AlexNet, classification": figures(alone(first), data.val_N)}
        for name, warm in (("siamese", False), ("siamese, warm", True)):
            second = run.siamese(chosen[name]["margin"], warm=warm)
            add_siamese(scores, f"AlexNet, {name}", second, data.val_N)
            pair = f"AlexNet, classification + {name}"
            add_hybrids(scores, pair, first, second, data.val_N, chosen[name]["weight"])
        rows.append(scores)
        progress(f"{data.name}: AlexNet-style networks of seed {seed} done")
    return rows, chosen


def pretrained(
    budget: Budget, data: LabelledSet, learn: Labels, fold: Labels, tower: str, size: int
) -> tuple[list[Scores], dict[str, Any]]:
    """The frozen tower's rows, one a seed, and what the fold chose."""
    trunk = TowerTrunk.probed(load_vision_tower(tower), size)
    seen = Seen(
        run_all(trunk, PixelInputs(data.train, size)), run_all(trunk, PixelInputs(data.val, size))
    )
    progress(f"{data.name}: tower features cached")
    trial, fold_N = Seen(seen.learnt[learn], seen.learnt[fold]), data.train_N[fold]
    tried = {
        margin: output_layer(budget, trial, data.train_N[learn], 0, margin)
        for margin in budget.margins
    }
    margin, by_margin = best(tried, fold_N)
    joined = fit_hybrid(trial.learnt, tried[margin].learnt)
    weight, by_weight = choose_weight(joined, trial.judged, tried[margin].judged, fold_N)
    rows: list[Scores] = []
    for seed in range(budget.seeds):
        second = output_layer(budget, seen, data.train_N, seed, margin)
        scores: Scores = {"tower, classification": figures(alone(seen), data.val_N)}
        add_siamese(scores, "tower, siamese", second, data.val_N)
        pair = "tower, classification + siamese"
        add_hybrids(scores, pair, seen, second, data.val_N, weight)
        rows.append(scores)
    return rows, {
        "margin": margin,
        "fold mAP by margin": by_margin,
        "weight": weight,
        "fold mAP by weight": by_weight,
    }


def measure(
    budget: Budget, data: LabelledSet, tower: str | None, tower_size: int, work: Path | None
) -> dict[str, Any]:
    """All rows of one set: row -> figure -> values of the seeds; and what was chosen."""
    learn, fold = split_fold(data.train_N, FOLD_SHARE, seed=0)
    progress(f"{data.name}: {len(data.train)} to train on, {len(data.val)} to evaluate on")
    parts: dict[str, Callable[[], tuple[list[Scores], dict[str, Any]]]] = {
        "SIFT": lambda: sift(budget, data, learn, fold),
        "AlexNet": lambda: scratch(budget, data, learn, fold),
    }
    if tower is not None:
        parts["tower"] = lambda: pretrained(budget, data, learn, fold, tower, tower_size)
    rows: dict[str, dict[str, list[float]]] = {"random": {"mAP": [random_map(data.val_N)]}}
    chosen, cpu_s = {}, {}
    for part, run in parts.items():
        same = {"budget": asdict(budget), "tower": tower if part == "tower" else None}
        path = None if work is None else work / f"{data.name}-{part}.json"
        found = done_part(path, same, run)
        chosen[part], cpu_s[part] = found["chosen"], found["cpu_s"]
        for scores in found["seeds"]:
            for row, named in scores.items():
                kept = rows.setdefault(row, defaultdict(list))
                for figure, value in named.items():
                    kept[figure].append(value)
        progress(f"{data.name}: {part} done")
    return {
        "classes": int(data.train_N.max()) + 1,
        "train": len(data.train),
        "val": len(data.val),
        "budget": asdict(budget),
        "rows": rows,
        "shape": shape(rows),
        "chosen": chosen,
        "cpu_s": cpu_s,
    }


def done_part(
    path: Path | None,
    same: dict[str, Any],
    run: Callable[[], tuple[list[Scores], dict[str, Any]]],
) -> Any:
    """Runs a part, or reads what a stopped benchmark of the same settings has measured of it."""
    same = json.loads(json.dumps(same))
    if path is not None and path.exists():
        kept = json.loads(path.read_text())
        if kept["same"] == same:
            return kept
    before = time.process_time()
    seeds, chosen = run()
    kept = {"same": same, "seeds": seeds, "chosen": chosen}
    kept["cpu_s"] = round(time.process_time() - before)
    text = json.dumps(kept)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return json.loads(text)


def main(arguments: list[str] | None = None) -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, help="folder for the JSON, a table and a plot")
    parser.add_argument("--tower", help="pretrained vision model; none: its rows are left out")
    parser.add_argument("--tower-size", type=int, default=224, help="side of its pictures")
    parser.add_argument("--sets", nargs="+", default=["scenes-8", "caltech-101"])
    parser.add_argument("--quick", action="store_true", help="drawn pictures, for a test")
    parser.add_argument("--work", type=Path, help="folder that a stopped benchmark goes on from")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args(arguments)

    torch.set_num_threads(args.threads)
    cv2.setNumThreads(args.threads)
    results = {}
    for name in ["drawn"] if args.quick else args.sets:
        data = drawn_set() if args.quick else read_set(sample_data_dir(), name)
        budget = QUICK if args.quick else BUDGETS.get(name, Budget())
        results[name] = measure(budget, data, args.tower, args.tower_size, args.work)
    report = {
        "benchmark": "siamese",
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "hardware": hardware(),
        "threads": args.threads,
        "cpu_s": sum(sum(found["cpu_s"].values()) for found in results.values()),
        "versions": versions(("torch", "opencv-python-headless", "scikit-learn")),
        "tower": None if args.tower is None else Path(args.tower).name,
        "sets": results,
    }
    explained = (__doc__ or "")[(__doc__ or "").index("Table I") :].splitlines()
    lines = [*table(report), "", *explained]
    print("\n".join(lines))
    if args.out is not None:
        write_report(args.out, "siamese", lines, report)
        bars(report, args.out / f"{report['date']}_{hardware()}_siamese.png")
    print(json.dumps(report))


if __name__ == "__main__":
    main()
