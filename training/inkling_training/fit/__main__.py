"""Trains a pairwise model on mined pairs.

    inkling-train --pairs PAIRS --model openai/clip-vit-base-patch32 --tune lora:8 \\
        --out RUN --steps 2000
    inkling-train --pairs PAIRS --vision google/vit-base-patch16-224 --text bert-base-uncased \\
        --dimensions 256,128,64 --tune partial:2 --out RUN --steps 5000
    torchrun --nproc-per-node 8 -m inkling_training.fit ...      several GPUs: batch is each one's

    RUN/model/        the trained model, at the end: `pairwise.json`, weights, tokenizer
    RUN/checkpoints/  the run's state; the same command goes on from the newest
    RUN/log.jsonl     losses and validation, a JSON object a line
    RUN/run.json      the settings

A run that is killed and started again ends with the same weights, bit for bit, as one that never
was, on the same machine with the same number of threads. SIGTERM makes a checkpoint and ends it.
Negatives of a contrastive loss come from one piece of the batch (all ranks'), unless --grad-cache.
"""

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from inkling_server.interests.graph import GraphSnapshot
from inkling_server.interests.snapshot import load_snapshot, newest_snapshot
from inkling_training.data import DEFAULT_GRAPH
from inkling_training.fit.batches import Batches, Makers, Pairs, Plan, gather_facts
from inkling_training.fit.checkpoints import Checkpoints
from inkling_training.fit.distributed import World, join_world, leave_world, wait_for_all
from inkling_training.fit.groups import Rates, parameter_groups
from inkling_training.fit.loop import Loop, LoopSettings, warm_up_cosine
from inkling_training.fit.options import check, parser, settings_of
from inkling_training.fit.randomness import demand_determinism, seed_everything
from inkling_training.fit.relations import Neighbours
from inkling_training.fit.runlog import RunLog
from inkling_training.fit.steps import Objective, PairwiseStep
from inkling_training.fit.validation import Validation
from inkling_training.models.checkpoint import save_checkpoint
from inkling_training.models.lora import Tuning, merged, prepare
from inkling_training.models.pairwise import Pairwise
from inkling_training.models.start import Layers, from_source, from_towers, tokens_of, with_decoder
from inkling_training.pixels import pixels_of

# Zhai et al. (2023): with many wrong pairs and few right ones, start by saying "wrong".
_SIGMOID_SCALE, _SIGMOID_BIAS = 10.0, -10.0


def main(arguments: list[str] | None = None) -> None:
    """Reads the command line and trains; ends with a message where options or data do not fit."""
    options = parser(__doc__).parse_args(arguments)
    try:
        check(options)
        objective = Objective.parsed(options.loss, options.margin)
        tuning = Tuning.parsed(options.tune)
    except ValueError as error:
        raise SystemExit(str(error)) from error
    world = join_world(options.device)
    if world.device.type == "cuda":
        demand_determinism()
    try:
        snapshot = newest_snapshot(options.graph or DEFAULT_GRAPH)
        complete = _train(options, objective, tuning, world, load_snapshot(snapshot), snapshot.name)
    except ValueError as error:
        raise SystemExit(str(error)) from error
    finally:
        leave_world()
    if not complete and world.leads:
        print("stopped with a checkpoint; the same command goes on", flush=True)


def _train(
    options: Any,
    objective: Objective,
    tuning: Tuning,
    world: World,
    graph: GraphSnapshot,
    version: str,
) -> bool:
    from inkling_training.pairs import open_pairs

    pairs = open_pairs(options.pairs)
    settings = settings_of(options, pairs.manifest, version, world.size)
    checkpoints = Checkpoints(options.out / "checkpoints", settings, options.keep)
    log = RunLog(options.out / "log.jsonl", options.steps)
    if options.resume == "never" and world.leads:
        shutil.rmtree(checkpoints.folder, ignore_errors=True)
        log.cut(0)
    wait_for_all()

    seed_everything(options.seed)
    pairwise = start(options, objective, [interest.phrase for interest in graph.interests])
    prepare(pairwise.model, tuning)
    pairwise.model.to(world.device)

    row_of = {interest.id: row for row, interest in enumerate(graph.interests)}
    neighbours = Neighbours(graph, options.ignore_from)
    facts = gather_facts(pairs, "train", row_of)
    batches = Batches(pairs, facts, _makers(pairwise, graph), _plan(options, objective), world)
    step_fn = PairwiseStep(
        pairwise.model,
        batches,
        neighbours,
        objective,
        world=world,
        accumulate=options.accumulate,
        cached=options.grad_cache,
    )
    loop = Loop(
        pairwise.model,
        parameter_groups(pairwise.model, _rates(options)),
        LoopSettings(
            steps=options.steps,
            accumulate=options.accumulate,
            precision=options.precision,
            clip_norm=options.clip_norm or None,
            average_decay=options.average_decay,
            log_every=options.log_every,
            validate_every=options.validate_every,
            save_every=options.save_every,
        ),
        seed=options.seed,
        schedule=_schedule(options),
        checkpoints=checkpoints,
        world=world,
        log=log,
        validate=_validation(options, pairwise, pairs, row_of, neighbours, graph, world),
    )
    first = loop.resume()
    if world.leads:
        log.cut(first)
        _write_settings(options.out / "run.json", settings)
        print(f"{len(facts.rows)} pictures, {len(graph.interests)} interests; from step {first}")
    try:
        complete = loop.run(step_fn)
    finally:
        batches.close()
    if complete and world.leads:
        with loop.averaged():
            finished = replace(pairwise, model=merged(pairwise.model).cpu())
            save_checkpoint(options.out / "model", finished)
    wait_for_all()
    return complete


def start(options: Any, objective: Objective, phrases: Sequence[str]) -> Pairwise:
    """The model that the options name, before any training."""
    sigmoid = "sigmoid" in objective.weights and options.model is None
    layers = Layers(
        options.dimensions,
        options.picture_head,
        options.phrase_head,
        options.batch_norm,
        options.scale or (_SIGMOID_SCALE if sigmoid else None),
        _SIGMOID_BIAS if options.bias is None and sigmoid else options.bias,
    )
    if options.model is not None:
        pairwise = from_source(options.model, layers, phrases)
    else:
        pairwise = from_towers(
            options.vision,
            options.text,
            layers,
            phrases,
            picture_pooling=options.picture_pooling,
            phrase_pooling=options.phrase_pooling,
            max_tokens=options.max_tokens,
        )
    if "caption" in objective.weights:
        pairwise = with_decoder(pairwise)
    return pairwise if options.name is None else replace(pairwise, name=options.name)


def _makers(pairwise: Pairwise, graph: GraphSnapshot) -> Makers:
    from inkling_training.augment.pictures import augmented
    from inkling_training.augment.texts import TextAugmenter

    augmenter = TextAugmenter(graph.interests, edges=graph.edges)
    size = pairwise.image.size

    def pixels(picture: bytes, rng: np.random.Generator) -> NDArray[np.uint8]:
        return augmented(picture, size, rng)

    return Makers(
        pixels,
        augmenter.render,
        augmenter.caption,
        lambda texts: tokens_of(pairwise, texts),
        len(graph.interests),
    )


def _plan(options: Any, objective: Objective) -> Plan:
    return Plan(
        options.batch,
        options.accumulate,
        options.steps,
        options.seed,
        options.hard_negatives,
        "caption" in objective.weights,
        options.workers,
    )


def _rates(options: Any) -> Rates:
    return Rates(options.head_rate, options.tower_rate, options.layer_decay, options.weight_decay)


def _schedule(options: Any) -> Any:
    warm_up = options.steps // 20 if options.warm_up is None else options.warm_up
    return warm_up_cosine(options.steps, warm_up)


def _validation(
    options: Any,
    pairwise: Pairwise,
    pairs: Pairs,
    row_of: dict[str, int],
    neighbours: Neighbours,
    graph: GraphSnapshot,
    world: World,
) -> Validation | None:
    if not len(pairs.rows("val")) or options.validate_pictures < 1:
        return None

    def tokens(rows: Sequence[int]) -> tuple[Tensor, Tensor]:
        template = pairwise.text.template
        return tokens_of(pairwise, [template.format(graph.interests[row].phrase) for row in rows])

    return Validation(
        pairwise.model,
        pairs,
        gather_facts(pairs, "val", row_of),
        neighbours,
        pixels=lambda picture: pixels_of(picture, pairwise.image),
        tokens=tokens,
        device=world.device,
        most=options.validate_pictures,
    )


def _write_settings(path: Path, settings: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(settings, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
