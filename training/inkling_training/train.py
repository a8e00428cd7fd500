"""Trains the similarity layers of a pairwise model on cached features.

    python -m inkling_training.train --vision NAME_OR_DIR --text NAME_OR_DIR --cache CACHE --out
    RUN

Both backbones stay frozen: `features` has cached what the vision backbone sees, and texts are
pooled once here. What learns: the picture head (see `heads`) and, slowly, the text projection,
which starts as the principal components of the phrases and is held near them. Half of what is
learnt needs no picture: mixed labels of the classifier ("virtual pictures") teach what each of its
labels implies. A stopped run goes on from its last checkpoint; everything random follows from
--seed and the step.

Legend: N records, B batch, V interests, K classifier labels, X head input, D dimensions.
"""

import argparse
import json
import math
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from inkling_server.interests.snapshot import load_snapshot, newest_snapshot
from inkling_training import losses
from inkling_training.data import REPOSITORY, Record, load_records, sample_data_dir
from inkling_training.features import open_view
from inkling_training.heads import ConseHead
from inkling_training.targets import BACKGROUND, build_targets
from inkling_training.text_tower import (
    label_texts,
    load_text_tower,
    pool_texts,
    start_at_principal_components,
)
from inkling_training.vision_tower import load_vision_tower

GRAPH = REPOSITORY / "server" / "inkling_server" / "interests" / "default_graph"
# Sources are sampled by size ** 0.6, times this: 64-pixel pictures and eight scene classes teach
# bad habits.
SOURCE_WEIGHTS = {"tiny-imagenet-200": 0.5, "scenes-8": 0.35, "coco-mini": 3.0}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--data", type=Path, default=None, help="sample data (default: found by itself)"
    )
    parser.add_argument(
        "--graph", type=Path, default=GRAPH, help="folder of graph snapshots; the newest counts"
    )
    parser.add_argument("--vision", required=True, help="classifier's hub name or directory")
    parser.add_argument("--text", required=True, help="text model's hub name or directory")
    parser.add_argument("--cache", type=Path, required=True, help="what `features` wrote")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--views", type=int, default=3)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--dimension", type=int, default=256)
    parser.add_argument("--contrast", choices=["infonce", "sigmoid"], default="infonce")
    parser.add_argument(
        "--hold-out", type=Path, default=None, help="JSON list of tags never to be trained on"
    )
    parser.add_argument("--exclude", nargs="*", default=[], help="sources never to be trained on")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    # ---- data, towers, vocabulary
    torch.manual_seed(args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    held_out = set(json.loads(args.hold_out.read_text())) if args.hold_out else set()
    records = load_records(args.data or sample_data_dir())
    interests = load_snapshot(newest_snapshot(args.graph)).interests
    vision = load_vision_tower(args.vision)
    assert vision.classifier is not None, f"{args.vision} has no classifier: ConSE needs one"
    text, tokenizer = load_text_tower(args.text, args.dimension)
    pooled_VH = pool_texts(text, tokenizer, [interest.phrase for interest in interests])
    pooled_KH = pool_texts(text, tokenizer, label_texts(vision.classes))
    kept = start_at_principal_components(text.projection, torch.cat([pooled_VH, pooled_KH]))
    print(f"{len(records)} records, {len(interests)} interests; projection keeps {kept:.3f}")
    start_DH = text.projection.weight.detach().clone()
    with torch.no_grad():
        labels_KD = text.project(pooled_KH)
        labels_KD[[name == BACKGROUND for name in vision.classes]] = 0
        targets = build_targets(records, interests, vision.classes, text.project(pooled_VH))
    head = ConseHead(vision.classifier, labels_KD)
    views = [_evidence(args.cache, view, head) for view in range(args.views)]
    train_rows = np.array(
        [
            row
            for row, record in enumerate(records)
            if record.split == "train"
            and record.source not in args.exclude
            and not held_out & set(record.tags)
        ]
    )
    chances = _sampling(records, train_rows)

    # ---- what learns
    starts = {"tag": math.log(12.0), "bias": -8.0, "contrast": math.log(20.0), "offset": -5.0}
    scales = nn.ParameterDict(
        {name: nn.Parameter(torch.tensor(value)) for name, value in starts.items()}
    )
    optimiser = torch.optim.AdamW(
        [
            {"params": head.mlp.parameters(), "lr": 1.5e-3, "weight_decay": 0.05},
            {"params": [head.labels_KD, head.contexts_KD], "lr": 2e-3, "weight_decay": 0.0},
            {"params": text.projection.parameters(), "lr": 1e-4, "weight_decay": 0.0},
            {"params": scales.parameters(), "lr": 5e-3, "weight_decay": 0.0},
        ]
    )
    peaks = [group["lr"] for group in optimiser.param_groups]
    modules = nn.ModuleDict({"head": head, "projection": text.projection, "scales": scales})
    checkpoint, first = args.out / "checkpoint.pt", 0
    if checkpoint.exists():
        saved = torch.load(checkpoint)
        modules.load_state_dict(saved["modules"])
        optimiser.load_state_dict(saved["optimiser"])
        first = saved["step"]

    # ---- the loop
    started = time.monotonic()
    head.train()
    for step in range(first, args.steps):
        rng = np.random.default_rng([args.seed, step])
        torch.manual_seed(int(rng.integers(2**31)))
        pace = min(1.0, (step + 1) / 30) * (0.5 + 0.5 * math.cos(math.pi * step / args.steps))
        for group, peak in zip(optimiser.param_groups, peaks, strict=True):
            group["lr"] = peak * pace

        rows = rng.choice(train_rows, args.batch, p=chances)
        logits_NK, summary_NX = views[rng.integers(len(views))]
        logits_BK, summary_BX = logits_NK[rows].float(), summary_NX[rows].float()
        teacher_BK = logits_BK.softmax(dim=-1)
        heard_B1 = torch.from_numpy((rng.random((args.batch, 1)) > 0.4).astype(np.float32))
        embeddings_BD = head.embed(logits_BK, summary_BX, heard_B1)
        phrases_VD, names_KD = text.project(pooled_VH), text.project(pooled_KH)

        # every interest, softly
        soft_BV, weights_BV = targets.batch(rows, teacher_BK, unlabelled=0.3)
        tag_scale, tag_bias = scales["tag"].exp(), scales["bias"]
        tags = losses.soft_tag_loss(
            tag_scale * embeddings_BD @ phrases_VD.T + tag_bias, soft_BV, weights_BV
        )
        # virtual pictures: what the classifier's labels imply
        mixed_BK = _mixed_labels(rng, args.batch // 2, len(vision.classes))
        blurred_BK = 0.5 * mixed_BK + 0.5 / len(vision.classes)
        virtual_BD = functional.normalize(head.opinion(mixed_BK, blurred_BK), dim=-1)
        implied_BV = targets.implied_by(mixed_BK)
        virtual = losses.soft_tag_loss(
            tag_scale * virtual_BD @ phrases_VD.T + tag_bias,
            implied_BV,
            torch.ones_like(implied_BV),
        )
        # each picture finds its gold tags among the batch's
        gold_BV = torch.from_numpy(targets.gold_NV[rows].toarray()) > 0
        asked = gold_BV.any(dim=0)
        cosines_BT = embeddings_BD @ phrases_VD[asked].T
        if args.contrast == "infonce":
            contrast = losses.multi_positive_infonce(
                scales["contrast"].exp() * cosines_BT, gold_BV[:, asked]
            )
        else:
            logits_BT = scales["contrast"].exp() * cosines_BT + scales["offset"]
            contrast = losses.sigmoid_loss(logits_BT, gold_BV[:, asked])
        # the classifier's opinion survives
        trust_B = torch.from_numpy(targets.trusted_N[rows])
        told_BK = (20.0 * embeddings_BD @ names_KD.T).masked_fill(
            labels_KD.abs().sum(dim=1) == 0, -1e4
        )
        teacher = losses.teacher_loss(told_BK, teacher_BK, trust_B)
        drift = (text.projection.weight - start_DH).square().sum()

        loss = 0.1 * tags + 0.1 * virtual + 0.5 * contrast + 0.5 * teacher + 5.0 * drift
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        if step % 25 == 24 or step + 1 == args.steps:
            print(
                f"step {step + 1}/{args.steps}  tags {tags:.2f}  virtual {virtual:.2f}  "
                f"contrast {contrast:.2f}  teacher {teacher:.2f}  drift {drift:.3f}  "
                f"{time.monotonic() - started:.0f} s",
                flush=True,
            )
        if step % 100 == 99 or step + 1 == args.steps:
            state = {
                "modules": modules.state_dict(),
                "optimiser": optimiser.state_dict(),
                "step": step + 1,
            }
            torch.save(state, checkpoint.with_suffix(".draft"))
            checkpoint.with_suffix(".draft").rename(checkpoint)


def _evidence(cache: Path, view: int, head: ConseHead) -> tuple[Tensor, Tensor]:
    """One view's logits [N, K] and head inputs [N, X], float16."""
    features = open_view(cache, view)
    logits, summaries = [], []
    with torch.no_grad():
        for start in range(0, len(features), 2048):
            chunk_BPC = torch.from_numpy(
                np.asarray(features[start : start + 2048], dtype=np.float32)
            )
            logits_BK, summary_BX = head.evidence(chunk_BPC)
            logits.append(logits_BK.half())
            summaries.append(summary_BX.half())
    return torch.cat(logits), torch.cat(summaries)


def _sampling(records: list[Record], rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Chance of each row: large sources count less than their size."""
    sources = [records[row].source for row in rows]
    sizes = {source: sources.count(source) for source in set(sources)}
    weights = np.array(
        [sizes[source] ** (0.6 - 1) * SOURCE_WEIGHTS.get(source, 1.0) for source in sources]
    )
    scaled: NDArray[np.float64] = weights / weights.sum()
    return scaled


def _mixed_labels(rng: np.random.Generator, count: int, classes: int) -> Tensor:
    """Probabilities [B, K] over up to three random labels; label 0 is background."""
    labels = torch.from_numpy(rng.integers(1, classes, (count, 3)))
    shares = torch.from_numpy(rng.dirichlet([0.4] * 3, count)).float()
    return torch.zeros(count, classes).scatter_add_(1, labels, shares)


if __name__ == "__main__":
    main()
