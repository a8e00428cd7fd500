"""Averages the weights of several runs: mostly a little better than the best of them.

    python -m inkling_training.small.average RUN/model RUN/model ... --out MODEL

Runs that start from the same weights (`train --first-seed`) and see other batches (`--seed`) end in
one valley, and the middle of it generalises better than its slopes; it costs nothing in serving.
Runs of different starts must not be averaged: their hidden units have nothing to do with each
other.

Source: Wortsman et al., "Model soups" (2022), uniform soups.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch

from inkling_training.models.checkpoint import load_pairwise, save_checkpoint
from inkling_training.models.pairwise import Pairwise


class UnlikeModels(ValueError):
    """The models have other parts or other sizes."""


@torch.no_grad()
def averaged(models: Sequence[Pairwise]) -> Pairwise:
    """The first model with the mean of all weights; it is changed in place.

    Raises:
        UnlikeModels: there is none, or they differ in more than their weights.
    """
    if not models:
        raise UnlikeModels("no model to average; allowed: one or more")
    first, *others = (model.model.state_dict() for model in models)
    for state in others:
        if {name: value.shape for name, value in state.items()} != {
            name: value.shape for name, value in first.items()
        }:
            raise UnlikeModels("models of other parts or sizes; allowed: runs of the same recipe")
    for name, value in first.items():
        if value.is_floating_point():
            total = value.double() + sum(state[name].double() for state in others)
            value.copy_(total / len(models))
    return models[0]


def main(arguments: list[str] | None = None) -> None:
    """Reads, averages, writes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("models", nargs="+", type=Path, help="folders that `train` wrote")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args(arguments)
    save_checkpoint(args.out, averaged([load_pairwise(folder) for folder in args.models]))


if __name__ == "__main__":
    main()
