"""The training loop: what stays the same whatever is trained.

    for each step:  for each piece of the batch: losses = step_fn(step, piece); backward
                    -> gradients over ranks -> clip -> AdamW at the schedule's pace
                    -> averaged weights -> log, validate, save

A run that is killed at any moment and resumed ends with the same weights, bit for bit, as one that
never was, provided that what `step_fn(step, piece)` computes depends on nothing but the weights,
its two numbers and the global random generators. Hold the number of threads still, too: torch sums
in another order with another.

This module knows no model, no data and no loss.
"""

import math
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from types import FrameType
from typing import Any, Literal

import torch
from torch import Tensor, nn

from inkling_training.fit.averaging import AveragedWeights
from inkling_training.fit.checkpoints import Checkpoint, Checkpoints
from inkling_training.fit.distributed import (
    World,
    any_rank,
    average_gradients,
    gather_objects,
    share_weights,
)
from inkling_training.fit.randomness import (
    generator_states,
    restore_generators,
    seed_everything,
)

Precision = Literal["fp32", "bf16", "fp16"]
StepFunction = Callable[[int, int], Mapping[str, Tensor]]
_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


class TrainingDiverged(RuntimeError):
    """A loss is not a finite number."""


@dataclass(frozen=True, slots=True)
class Group:
    """Parameters that learn at one pace.

    Attributes:
        parameters: those that need no gradient are left out.
        learning_rate: the schedule's pace 1.
        weight_decay: AdamW's, decoupled.
    """

    parameters: Sequence[nn.Parameter]
    learning_rate: float
    weight_decay: float = 0.0


@dataclass(frozen=True, slots=True)
class LoopSettings:
    """How to train; nothing of it depends on the machine.

    Attributes:
        steps: optimiser steps of the whole run.
        accumulate: pieces of a batch; their losses' mean is what a step goes down.
        precision: "bf16" runs matrix products in bfloat16 (CPU or CUDA), "fp16" in float16 with
            scaled losses (CUDA only); weights stay float32.
        clip_norm: greatest norm of all gradients together; None clips nothing.
        average_decay: of the averaged weights, in (0, 1); None keeps no average.
        betas: AdamW's.
        log_every, validate_every, save_every: in steps; 0 means at the end only.
    """

    steps: int
    accumulate: int = 1
    precision: Precision = "fp32"
    clip_norm: float | None = 1.0
    average_decay: float | None = None
    betas: tuple[float, float] = (0.9, 0.98)
    log_every: int = 10
    validate_every: int = 0
    save_every: int = 200


def warm_up_cosine(steps: int, warm_up: int, floor: float = 0.0) -> Callable[[int], float]:
    """The pace of step 0, 1, ...: a line up to 1 over `warm_up` steps, then half a cosine to floor.

    Source: Loshchilov and Hutter, "SGDR" (2017); the warm-up as in Goyal et al. (2017).
    """

    def pace(step: int) -> float:
        if step < warm_up:
            return (step + 1) / warm_up
        share = (step - warm_up) / max(1, steps - warm_up)
        return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, share)))

    return pace


class Loop:
    """One training run of some modules.

    Attributes:
        step: optimiser steps done.
        averages: averaged weights, or None.
    """

    def __init__(
        self,
        modules: nn.Module,
        groups: Sequence[Group],
        settings: LoopSettings,
        *,
        seed: int,
        schedule: Callable[[int], float] | None = None,
        checkpoints: Checkpoints | None = None,
        world: World | None = None,
        log: Callable[[int, dict[str, float]], None] | None = None,
        validate: Callable[[], Mapping[str, float]] | None = None,
    ) -> None:
        """Args:
        modules: everything that is saved and put into training mode; already on its device.
        seed: seeds the global generators at step 0; each rank's differ.
        schedule: step -> factor of every learning rate; default `warm_up_cosine` with 5 %.
        checkpoints: None saves nothing.
        log: called on the leading rank with a step's losses, pace and seconds.
        validate: called on every rank in eval mode, under the averaged weights where there are
            some; draws from the generators do not change the run.

        Raises:
            ValueError: nothing to train, or a precision that the device does not have.
        """
        self.world = world or World()
        if settings.precision == "fp16" and self.world.device.type != "cuda":
            raise ValueError("precision fp16 needs CUDA; on a CPU choose bf16 or fp32")
        if settings.accumulate < 1:
            raise ValueError(f"accumulate must be at least 1, not {settings.accumulate}")
        self.modules, self.settings, self.step = modules, settings, 0
        share_weights(modules)
        self._schedule = schedule or warm_up_cosine(settings.steps, settings.steps // 20)
        self._checkpoints, self._log, self._validate = checkpoints, log, validate
        described = [
            {
                "params": [one for one in group.parameters if one.requires_grad],
                "lr": group.learning_rate,
                "weight_decay": group.weight_decay,
            }
            for group in groups
        ]
        described = [group for group in described if group["params"]]
        if not described:
            raise ValueError("no parameter wants a gradient: there is nothing to train")
        self._optimiser = torch.optim.AdamW(described, betas=settings.betas)
        self._peaks = [float(group["lr"]) for group in self._optimiser.param_groups]
        self._trained = [one for group in self._optimiser.param_groups for one in group["params"]]
        self._scaler = torch.amp.GradScaler("cuda", enabled=settings.precision == "fp16")
        self.averages = (
            None
            if settings.average_decay is None
            else AveragedWeights(modules, settings.average_decay)
        )
        self._stop = False
        seed_everything(seed, self.world.rank)

    def resume(self) -> int:
        """Goes on from the newest checkpoint, where there is one; returns the steps done.

        Raises:
            SettingsDiffer, CheckpointUnreadable: see `Checkpoints`.
        """
        found = None if self._checkpoints is None else self._checkpoints.newest()
        if found is not None:
            self._restore(found)
        return self.step

    def run(self, step_fn: StepFunction) -> bool:
        """Trains up to the settings' last step, or until SIGTERM or SIGINT asks for an end.

        Args:
            step_fn: (step, piece) -> losses; "loss" goes down, the others are only logged. Runs
                under autocast; piece counts from 0 to accumulate - 1.

        Returns:
            Whether the run is complete; False after a signal, with a checkpoint made.

        Raises:
            TrainingDiverged: a loss was not finite where it was logged or saved.
        """
        self.modules.train()
        with self._listening():
            while self.step < self.settings.steps:
                started = time.perf_counter()
                losses = self._one_step(step_fn)
                self.step += 1
                last = self.step == self.settings.steps
                stopping = any_rank(self._stop, self.world.device) and not last
                saving = last or stopping or _due(self.step, self.settings.save_every)
                if last or saving or _due(self.step, self.settings.log_every):
                    self._report(losses, time.perf_counter() - started)
                if self._validate and (last or _due(self.step, self.settings.validate_every)):
                    self._judge(self._validate)
                if saving:
                    self.save()
                if stopping:
                    return False
        return True

    def save(self) -> None:
        """Writes a checkpoint now; every rank must call it."""
        if self._checkpoints is None:
            return
        generators = gather_objects(generator_states())
        if self.world.leads:
            self._checkpoints.save(
                self.step,
                {
                    "modules": self.modules.state_dict(),
                    "optimiser": self._optimiser.state_dict(),
                    "scaler": self._scaler.state_dict(),
                    "averages": {} if self.averages is None else self.averages.state_dict(),
                    "generators": generators,
                },
            )

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """The modules have their averaged weights inside the block, where an average is kept."""
        with nullcontext() if self.averages is None else self.averages.applied():
            yield

    def request_stop(self) -> None:
        """Ends the run after the present step, as SIGTERM does."""
        self._stop = True

    def _restore(self, found: Checkpoint) -> None:
        state = found.state
        self.modules.load_state_dict(state["modules"])
        self._optimiser.load_state_dict(state["optimiser"])
        self._scaler.load_state_dict(state["scaler"])
        if self.averages is not None:
            self.averages.load_state_dict(state["averages"])
        restore_generators(state["generators"][self.world.rank])
        self.step = found.step

    def _one_step(self, step_fn: StepFunction) -> dict[str, Tensor]:
        pace = self._schedule(self.step)
        for group, peak in zip(self._optimiser.param_groups, self._peaks, strict=True):
            group["lr"] = peak * pace
        self._optimiser.zero_grad(set_to_none=True)
        pieces = self.settings.accumulate
        total: dict[str, Tensor] = {}
        for piece in range(pieces):
            with self._autocast():
                losses = step_fn(self.step, piece)
            scaled = self._scaler.scale(losses["loss"] / pieces)
            scaled.backward()  # type: ignore[no-untyped-call]
            for name, value in losses.items():
                share = value.detach() / pieces
                total[name] = total[name] + share if name in total else share
        average_gradients(self._trained)  # still scaled: an overflow on one rank must stop all
        self._scaler.unscale_(self._optimiser)
        if self.settings.clip_norm is not None:
            nn.utils.clip_grad_norm_(self._trained, self.settings.clip_norm)
        self._scaler.step(self._optimiser)
        self._scaler.update()
        if self.averages is not None:
            self.averages.update(self.step + 1)
        return total

    def _autocast(self) -> torch.autocast:
        dtype = _DTYPES.get(self.settings.precision)
        return torch.autocast(
            self.world.device.type, dtype=dtype or torch.bfloat16, enabled=dtype is not None
        )

    def _report(self, losses: dict[str, Tensor], seconds: float) -> None:
        figures = {name: float(value) for name, value in losses.items()}
        wrong = [name for name, value in figures.items() if not math.isfinite(value)]
        if wrong:
            raise TrainingDiverged(
                f"step {self.step}: {', '.join(wrong)} not finite; the last checkpoint is whole: "
                "lower the learning rate, or precision bf16 instead of fp16"
            )
        if self._log is not None and self.world.leads:
            pace = self._schedule(self.step - 1)
            self._log(self.step, figures | {"pace": pace, "step_s": seconds})

    def _judge(self, validate: Callable[[], Mapping[str, float]]) -> None:
        before = generator_states()
        self.modules.eval()
        with torch.no_grad(), self.averaged(), self._autocast():
            figures = dict(validate())
        self.modules.train()
        restore_generators(before)
        if self._log is not None and self.world.leads:
            self._log(self.step, figures)

    @contextmanager
    def _listening(self) -> Iterator[None]:
        """SIGTERM and SIGINT end the run after the present step; only a main thread can listen."""
        self._stop = False

        def ask(_number: int, _frame: FrameType | None) -> None:
            self._stop = True

        before: dict[signal.Signals, Any] = {}
        try:
            for number in (signal.SIGTERM, signal.SIGINT):
                before[number] = signal.signal(number, ask)
        except ValueError:  # not the main thread
            pass
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _due(step: int, every: int) -> bool:
    return every > 0 and step % every == 0
