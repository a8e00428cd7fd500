"""Trains `inkling-small`: similarity layers and the last blocks of its picture tower.

    python -m inkling_training.small.train --vision NAME --text NAME --cache CACHE --out RUN

    cached maps -> tail -> head ---> every interest, softly; the batch's gold tags; the classifier
    virtual pictures -----> head --> what the classifier's labels imply

The first blocks of the picture tower stay frozen (`features` has cached what they see), and so does
the text backbone: phrases are pooled once. What learns: the tail, slowly; the picture head (see
`heads`); and, slowly, the text projection, which starts as the principal components of the phrases
and is held near them. Half of what is learnt needs no picture: mixed labels of the classifier
("virtual pictures") teach what each of its labels implies. The losses are averaged over nested
embedding sizes (Matryoshka). A stopped or killed run goes on from its last checkpoint and ends with
the same weights; everything random follows from --seed and the step. For towers and data of any
other kind, `inkling-train` is the trainer.

Legend: N records, B batch, V interests, R renderings, K classifier labels, H width of the text
backbone, D dimensions.
"""

import argparse
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import AutoTokenizer

from inkling_server.interests.snapshot import load_snapshot, newest_snapshot
from inkling_server.model_manifest import PixelSpec
from inkling_training.data import DEFAULT_GRAPH, Record, load_records, sample_data_dir
from inkling_training.fit.checkpoints import Checkpoints
from inkling_training.fit.loop import Group, Loop, LoopSettings, warm_up_cosine
from inkling_training.fit.runlog import RunLog
from inkling_training.models.checkpoint import save_checkpoint
from inkling_training.models.towers import load_phrase_tower
from inkling_training.small import model as small_model
from inkling_training.small.features import FROZEN_BLOCKS, open_view, require_same
from inkling_training.small.losses import SmallLosses, Weights
from inkling_training.small.phrases import pooled_renderings
from inkling_training.small.teacher import teacher_logits
from inkling_training.targets import build_targets
from inkling_training.vision_tower import load_vision_tower

# Sources are sampled by size ** 0.6, times this: 64-pixel pictures and eight scene classes teach
# bad habits.
SOURCE_WEIGHTS = {"tiny-imagenet-200": 0.5, "scenes-8": 0.35, "coco-mini": 2.0}


def main(arguments: list[str] | None = None) -> None:
    args = _arguments(arguments)

    # ---- data, towers, vocabulary
    torch.manual_seed(args.first_seed)
    if args.threads:
        torch.set_num_threads(args.threads)
    held_out = set(json.loads(args.hold_out.read_text())) if args.hold_out else set()
    records = load_records(args.data or sample_data_dir())
    require_same(args.cache, records, args.vision, args.frozen_blocks)
    interests = load_snapshot(newest_snapshot(args.graph)).interests
    vision = load_vision_tower(args.vision)
    text = load_phrase_tower(args.text, "mean").eval().requires_grad_(requires_grad=False)
    tokenizer: Any = AutoTokenizer.from_pretrained(args.text)
    pooled_VRH = pooled_renderings(text, tokenizer, interests, args.cache, args.renderings)
    names_KH = small_model.pooled_texts(text, tokenizer, small_model.named_labels(vision))
    model = small_model.build(
        vision,
        frozen_blocks=args.frozen_blocks,
        phrases_VH=pooled_VRH[:, 0],
        label_names_KH=names_KH,
        dimension=args.dimensions[0],
    )
    with torch.no_grad():
        start_VD = model.project(pooled_VRH[:, 0])
        targets = build_targets(records, interests, vision.classes, start_VD)
    views = [open_view(args.cache, view) for view in range(args.views)]
    teachers = [
        teacher_logits(args.cache, view, maps, model.first_tail, vision)
        for view, maps in enumerate(views)
    ]
    rows = np.array(
        [
            row
            for row, record in enumerate(records)
            if record.split == "train"
            and record.source not in args.exclude
            and not held_out & set(record.tags)
        ]
    )
    chances = _sampling(records, rows)
    print(f"{len(rows)} of {len(records)} pictures, {len(interests)} interests", flush=True)

    # ---- the loop
    losses = SmallLosses(
        model,
        pooled_VRH,
        targets,
        dimensions=args.dimensions,
        weights=Weights(first=args.first_weight, keep=args.keep_weight),
        kind=args.contrast,
    )
    half = torch.autocast("cpu", torch.bfloat16, enabled=args.precision == "bf16")

    def step(number: int, _piece: int) -> dict[str, Tensor]:
        rng = np.random.default_rng([args.seed, number])
        torch.manual_seed(int(rng.integers(2**31)))  # dropout
        chosen = np.sort(rng.choice(rows, args.batch, p=chances))
        view = int(rng.integers(len(views)))
        maps = torch.from_numpy(np.array(views[view][chosen], dtype=np.float32))
        with half:
            regions = model.tail(maps)
        return losses(regions.float(), teachers[view][chosen].float(), chosen, rng)

    settings = {
        name: str(value)
        for name, value in sorted(vars(args).items())
        if name
        not in (
            "data",
            "cache",
            "out",
            "vision",
            "text",
            "graph",
            "name",
            "name_share",
            "save_every",
        )
    }
    log = RunLog(args.out / "log.jsonl", args.steps)
    loop = Loop(
        model.modules,
        [
            Group(list(model.head.mlp.parameters()), 1.5e-3, 0.05),
            Group([model.head.labels_KD, model.head.contexts_KD], 2e-3),
            Group(list(model.projection.parameters()), 1e-4),
            Group(list(model.scales.parameters()), 5e-3),
            Group(list(model.tail.parameters()), args.tail_rate),
        ],
        LoopSettings(
            args.steps,
            clip_norm=None,
            betas=(0.9, 0.999),
            average_decay=args.average_decay or None,
            log_every=25,
            save_every=args.save_every,
        ),
        seed=args.seed,
        schedule=warm_up_cosine(args.steps, min(30, args.steps)),
        checkpoints=Checkpoints(args.out / "checkpoints", settings),
        log=log,
    )
    log.cut(loop.resume())
    if not loop.run(step):
        raise SystemExit("stopped; the same command goes on")

    # ---- the result
    with loop.averaged():
        small_model.recall_names(model, args.name_share)
        pairwise = small_model.assemble(
            model,
            text.backbone,
            tokenizer,
            image=PixelSpec(args.size, "squash"),
            dimensions=args.dimensions,
            name=args.name,
            source=f"{Path(args.vision).name} + {Path(args.text).name}",
        )
        save_checkpoint(args.out / "model", pairwise)


def _arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--data", type=Path, default=None, help="sample data (default: found by itself)"
    )
    parser.add_argument(
        "--graph",
        type=Path,
        default=DEFAULT_GRAPH,
        help="folder of graph snapshots; the newest counts",
    )
    parser.add_argument("--vision", required=True, help="classifier's hub name or directory")
    parser.add_argument("--text", required=True, help="text model's hub name or directory")
    parser.add_argument("--cache", type=Path, required=True, help="what `features` wrote")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--name", default="inkling-small")
    parser.add_argument("--views", type=int, default=6)
    parser.add_argument("--size", type=int, default=224, help="side of the cached pictures")
    parser.add_argument(
        "--frozen-blocks", type=int, default=FROZEN_BLOCKS, help="as `features` had them"
    )
    parser.add_argument("--tail-rate", type=float, default=2e-4, help="learning rate; 0 freezes it")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument(
        "--dimensions",
        type=lambda text: [int(part) for part in text.split(",")],
        default=[256, 128, 64],
        help="nested embedding sizes, the whole first: 256,128,64",
    )
    parser.add_argument("--renderings", type=int, default=4, help="wordings of each interest")
    parser.add_argument("--contrast", choices=["infonce", "sigmoid"], default="infonce")
    parser.add_argument(
        "--first-weight",
        type=float,
        default=Weights().first,
        help="of the loss that puts own tags before implied ones",
    )
    parser.add_argument(
        "--keep-weight",
        type=float,
        default=Weights().keep,
        help="of the loss that keeps the classifier's opinion in the tuned tail",
    )
    parser.add_argument("--name-share", type=float, default=small_model.NAME_SHARE)
    parser.add_argument("--average-decay", type=float, default=0.0, help="of averaged weights")
    parser.add_argument(
        "--precision",
        choices=["bf16", "fp32"],
        default="bf16",
        help="of the tail; bf16 is half the time where the CPU has it",
    )
    parser.add_argument("--save-every", type=int, default=100, help="steps")
    parser.add_argument(
        "--hold-out", type=Path, default=None, help="JSON list of tags never to be trained on"
    )
    parser.add_argument("--exclude", nargs="*", default=[], help="sources never to be trained on")
    parser.add_argument("--seed", type=int, default=0, help="of what is drawn in every step")
    parser.add_argument(
        "--first-seed",
        type=int,
        default=0,
        help="of the weights before the first step; runs whose weights are to be averaged share it",
    )
    parser.add_argument(
        "--threads",
        type=int,
        default=len(os.sched_getaffinity(0)),
        help="a resumed run needs the same number to end with the same weights",
    )
    return parser.parse_args(arguments)


def _sampling(records: list[Record], rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Chance of each row: large sources count less than their size."""
    sources = [records[row].source for row in rows]
    sizes = {source: sources.count(source) for source in set(sources)}
    weights = np.array(
        [sizes[source] ** (0.6 - 1) * SOURCE_WEIGHTS.get(source, 1.0) for source in sources]
    )
    scaled: NDArray[np.float64] = weights / weights.sum()
    return scaled


if __name__ == "__main__":
    main()
