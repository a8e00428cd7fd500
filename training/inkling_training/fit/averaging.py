"""An exponential moving average of the weights that learn, kept beside them in float32.

Source: Polyak and Juditsky, "Acceleration of Stochastic Approximation by Averaging" (1992); the
exponential form as in Tarvainen and Valpola, "Mean teachers are better role models" (2017).
Knows no optimiser and no files.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class AveragedWeights:
    """average <- decay * average + (1 - decay) * weight, after every step.

    Early on `decay` is held to (1 + step) / (10 + step): the random start shall not linger.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        """Raises ValueError unless 0 < decay < 1."""
        if not 0 < decay < 1:
            raise ValueError(f"the decay of averaged weights must lie in (0, 1), not {decay}")
        self._decay = decay
        self._live = {
            name: parameter
            for name, parameter in module.named_parameters()
            if parameter.requires_grad
        }
        self._averages = {
            name: parameter.detach().float().clone() for name, parameter in self._live.items()
        }

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Takes in the weights after optimiser step `step`, counted from 1."""
        decay = min(self._decay, (1 + step) / (10 + step))
        for name, average in self._averages.items():
            average.lerp_(self._live[name].detach().float(), 1 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The module has the averaged weights inside the block, its own again after it."""
        own = {name: parameter.detach().clone() for name, parameter in self._live.items()}
        self._set(self._averages)
        try:
            yield
        finally:
            self._set(own)

    def state_dict(self) -> dict[str, Tensor]:
        """The averages by parameter name."""
        return dict(self._averages)

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Sets what `state_dict` gave."""
        for name, average in self._averages.items():
            average.copy_(state[name])

    @torch.no_grad()
    def _set(self, values: dict[str, Tensor]) -> None:
        for name, parameter in self._live.items():
            parameter.copy_(values[name])
