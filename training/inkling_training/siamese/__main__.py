"""Trains a siamese network on labelled pictures and says how well it groups unseen ones.

    python -m inkling_training.siamese --sources scenes-8 --out RUN
    python -m inkling_training.siamese --sources scenes-8 --tower NAME_OR_DIR --out RUN

Without `--tower` an AlexNet-style network learns from scratch. With it, the tower (any Hugging Face
vision model) is frozen, its features are computed once, and the output layer learns; `--fine-tune`
trains the tower, too. `--hold-out-classes 0.2` keeps a fifth of the classes out of training and
says how well their pictures are grouped. A stopped run goes on from its last checkpoint.

RUN/model.safetensors and RUN/siamese.json hold the network: `saved.load_siamese(RUN)`.
"""

import argparse
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import nn

from inkling_training.data import load_records, sample_data_dir
from inkling_training.evaluation.clustering import cluster_scores, random_map, retrieval_map
from inkling_training.siamese.inputs import FeatureInputs, Inputs, PixelInputs, run_all
from inkling_training.siamese.networks import SiameseNet
from inkling_training.siamese.pairs import confusable_classes, split_classes
from inkling_training.siamese.saved import NetworkSpec, build_network, save_siamese
from inkling_training.siamese.train import TrainSettings, train_siamese


def main(arguments: list[str] | None = None) -> None:
    """Trains, saves, evaluates."""
    args = _parser().parse_args(arguments)
    if args.fine_tune and args.tower is None:
        raise SystemExit("--fine-tune needs --tower: there is nothing else to fine-tune")

    # ---- pictures with a label
    records = [
        record
        for record in load_records(args.data or sample_data_dir(), frozenset(args.sources))
        if record.label is not None
    ]
    names = sorted({str(record.label) for record in records})
    label_N = np.array([names.index(str(record.label)) for record in records])
    trains_N = np.array([record.split == "train" for record in records], dtype=bool)
    if not trains_N.any() or trains_N.all():
        raise SystemExit(
            f"{args.sources}: no labelled pictures to train on, or none to evaluate on"
        )
    rows = {"train": np.flatnonzero(trains_N), "val": np.flatnonzero(~trains_N)}
    if args.hold_out_classes:
        kept, held_out = split_classes(label_N, args.hold_out_classes, args.seed)
        rows = {
            "train": np.intersect1d(rows["train"], kept),
            "val": np.intersect1d(rows["val"], kept),
            "classes held out": np.intersect1d(rows["val"], held_out),
        }
    print({part: len(some) for part, some in rows.items()}, f"{len(names)} classes", flush=True)

    # ---- network and what it eats
    torch.manual_seed(args.seed)
    spec = NetworkSpec(args.tower, args.size, args.width, args.dimension)
    network = build_network(spec, fine_tune=args.fine_tune)
    pixels = {
        part: PixelInputs([records[r].picture for r in some], args.size)
        for part, some in rows.items()
    }
    inputs: dict[str, Inputs] = dict(pixels)
    learner = network
    if args.tower is not None and not args.fine_tune:
        inputs = {
            part: FeatureInputs(run_all(network.trunk, some)) for part, some in pixels.items()
        }
        learner = SiameseNet(nn.Identity(), network.output.in_features, args.dimension)
        learner.output, learner.norm = network.output, network.norm
    train_labels = np.unique(label_N[rows["train"]], return_inverse=True)[1]
    confusable = None
    if args.hard:
        confusable = confusable_classes(run_all(learner, inputs["train"]), train_labels)

    # ---- the run
    settings = TrainSettings(
        epochs=args.epochs,
        batch=args.batch,
        pictures_per_class=args.pictures_per_class,
        margin=args.margin,
        learning_rate=args.learning_rate,
        bfloat16=args.bfloat16,
        seed=args.seed,
    )
    complete = train_siamese(
        learner,
        inputs["train"],
        train_labels,
        settings,
        checkpoints=args.out / "checkpoints",
        about={**asdict(spec), "sources": " ".join(args.sources), "hard": args.hard}
        | {"fine_tune": args.fine_tune, "hold_out_classes": args.hold_out_classes},
        confusable_KK=confusable,
        log=lambda step, figures: print(
            f"step {step}  "
            + "  ".join(f"{name} {figure:.4f}" for name, figure in figures.items()),
            flush=True,
        ),
    )
    if not complete:
        print("stopped; the same command goes on from here")
        return
    save_siamese(network, spec, args.out)
    for part, some in inputs.items():
        embeddings_ND = run_all(learner, some)
        labels = label_N[rows[part]]
        scores = cluster_scores(embeddings_ND, labels)
        print(
            f"{part}: mAP {retrieval_map(embeddings_ND, labels):.3f} (random "
            f"{random_map(labels):.3f})  purity {scores.purity:.3f}  NMI {scores.nmi:.3f}"
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m inkling_training.siamese",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--data", type=Path, help="folder with images/*.tar (default: sample data)")
    parser.add_argument("--sources", nargs="+", default=["scenes-8"], help="parts of it")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--tower", help="hub name or directory; none: AlexNet-style, from scratch")
    parser.add_argument("--fine-tune", action="store_true", help="train the tower, too")
    parser.add_argument("--size", type=int, default=224, help="side of the pictures in pixels")
    parser.add_argument("--width", type=float, default=1.0, help="share of AlexNet's channels")
    parser.add_argument("--dimension", type=int, default=64, help="of the embedding")
    parser.add_argument("--epochs", type=float, default=20)
    parser.add_argument("--batch", type=int, default=64, help="pictures of a step")
    parser.add_argument("--pictures-per-class", type=int, default=4)
    parser.add_argument("--margin", type=float, default=2.0)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--bfloat16", action="store_true")
    parser.add_argument(
        "--hard", action="store_true", help="more pairs of classes that the start confuses"
    )
    parser.add_argument("--hold-out-classes", type=float, default=0.0, help="share of classes")
    parser.add_argument("--seed", type=int, default=0)
    return parser


if __name__ == "__main__":
    main()
