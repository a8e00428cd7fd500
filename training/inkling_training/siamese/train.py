"""Trains a siamese network on pairs, or a classifier on the same pictures, with `fit.loop`.

    step ─► pairs or rows ─► inputs, varied at random ─► network ─► loss

Pairs, rows and variations follow from the seed and the step, the rest of the randomness (dropout)
from the generators that a checkpoint keeps: a run that was killed ends as one that never was.
Nothing here knows where pictures come from, or what they are evaluated on.

Legend: N pictures, U distinct pictures of a step, B batch, P pairs, K classes.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from inkling_training.fit.checkpoints import Checkpoints
from inkling_training.fit.loop import Group, Loop, LoopSettings, StepFunction
from inkling_training.siamese.inputs import Inputs
from inkling_training.siamese.losses import contrastive_pair_loss
from inkling_training.siamese.networks import ClassificationNet, SiameseNet
from inkling_training.siamese.pairs import PairSampler

_VARIED = 1  # keeps the variations' random numbers apart from those of the pairs

Log = Callable[[int, dict[str, float]], None]


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """What a run computes; the same settings, data and seed give the same weights.

    Attributes:
        epochs: how often each picture is seen, on average; a step sees `batch` of them.
        batch: pictures of a step, >= 4.
        pictures_per_class: of a step of pairs, >= 2; batch / pictures_per_class classes meet.
        margin: of the contrastive loss, in the embedding's units: two pictures of an untrained
            network lie about 1 apart.
        learning_rate: AdamW's, at its peak.
        weight_decay: AdamW's.
        bfloat16: matrix products in bfloat16; weights stay float32.
        seed: of everything random.
        save_every: steps between checkpoints.
    """

    epochs: float = 20
    batch: int = 64
    pictures_per_class: int = 4
    margin: float = 1.0
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    bfloat16: bool = False
    seed: int = 0
    save_every: int = 200


def train_siamese(
    network: SiameseNet,
    inputs: Inputs,
    labels_N: NDArray[np.int64],
    settings: TrainSettings,
    *,
    checkpoints: Path | None = None,
    about: Mapping[str, object] | None = None,
    confusable_KK: NDArray[np.float64] | None = None,
    log: Log | None = None,
) -> bool:
    """Trains `network` in place on balanced pairs of `inputs`; ends in eval mode.

    Args:
        network: what learns; its parameters that need no gradient stay.
        inputs: the training pictures.
        labels_N: their classes, 0 to K - 1.
        settings: see there.
        checkpoints: folder to save into and to go on from; None keeps nothing.
        about: flat, JSON-like: what else must be the same when a run goes on, such as sources.
        confusable_KK: see `PairSampler`: draws harder different pairs.
        log: called now and then with the step and its losses.

    Returns:
        Whether the run is complete; False after SIGTERM or SIGINT, with a checkpoint made.

    Raises:
        ValueError: the labels allow no pairs, or a setting is out of range.
        SettingsDiffer: the folder holds another run's checkpoints.
    """
    sampler = PairSampler(
        labels_N,
        max(2, settings.batch // settings.pictures_per_class),
        settings.pictures_per_class,
        settings.seed,
        confusable_KK,
    )

    def step_fn(step: int, _piece: int) -> Mapping[str, Tensor]:
        pairs = sampler.batch(step)
        embeddings_UD = network(inputs.batch(pairs.rows_U, _variation(settings.seed, step)))
        left_PD, right_PD = embeddings_UD[pairs.left_P], embeddings_UD[pairs.right_P]
        same_P = torch.from_numpy(pairs.same_P)
        return {"loss": contrastive_pair_loss(left_PD, right_PD, same_P, settings.margin)}

    pictures = len(sampler.batch(0).rows_U)
    return _run(network, step_fn, len(labels_N) / pictures, settings, checkpoints, about, log)


def train_classifier(
    network: ClassificationNet,
    inputs: Inputs,
    labels_N: NDArray[np.int64],
    settings: TrainSettings,
    *,
    checkpoints: Path | None = None,
    about: Mapping[str, object] | None = None,
    log: Log | None = None,
) -> bool:
    """The same with cross-entropy on single pictures; arguments and errors as `train_siamese`."""

    def step_fn(step: int, _piece: int) -> Mapping[str, Tensor]:
        rng = np.random.default_rng([settings.seed, step])
        rows_B = rng.choice(len(labels_N), min(settings.batch, len(labels_N)), replace=False)
        logits_BK = network(inputs.batch(rows_B, _variation(settings.seed, step)))
        target_B = torch.from_numpy(labels_N[rows_B])
        return {"loss": functional.cross_entropy(logits_BK, target_B, label_smoothing=0.1)}

    return _run(network, step_fn, len(labels_N) / settings.batch, settings, checkpoints, about, log)


def _run(
    network: nn.Module,
    step_fn: StepFunction,
    steps_per_epoch: float,
    settings: TrainSettings,
    checkpoints: Path | None,
    about: Mapping[str, object] | None,
    log: Log | None,
) -> bool:
    steps = max(1, round(settings.epochs * steps_per_epoch))
    decayed = [one for one in network.parameters() if one.ndim > 1]
    plain = [one for one in network.parameters() if one.ndim <= 1]
    # how often a run saves changes nothing that it computes
    described = {**asdict(replace(settings, save_every=0)), "steps": steps}
    described |= {"network": type(network).__name__, **(about or {})}
    loop = Loop(
        network,
        [
            Group(decayed, settings.learning_rate, settings.weight_decay),
            Group(plain, settings.learning_rate),
        ],
        LoopSettings(
            steps,
            precision="bf16" if settings.bfloat16 else "fp32",
            clip_norm=5.0,
            log_every=50,
            save_every=settings.save_every,
        ),
        seed=settings.seed,
        checkpoints=None if checkpoints is None else Checkpoints(checkpoints, described),
        log=log,
    )
    loop.resume()
    complete = loop.run(step_fn)
    network.eval()
    return complete


def _variation(seed: int, step: int) -> np.random.Generator:
    return np.random.default_rng([seed, step, _VARIED])
