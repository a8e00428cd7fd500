"""Learning rates by place: the nearer to the pixels and words, the slower.

    embeddings < block 1 < ... < block n < what follows the blocks < similarity layers, decoder

Each step down multiplies the rate by `layer_decay`. Biases, norms, temperatures and label tables
are not decayed. Source: Clark et al., "ELECTRA" (2020); for pictures Bao et al., "BEiT"
(2021). Knows no schedule and no optimiser.
"""

from collections import defaultdict
from dataclasses import dataclass

from torch import nn

from inkling_training.fit.loop import Group
from inkling_training.models.lora import blocks_of
from inkling_training.models.pairwise import PairwiseModel


@dataclass(frozen=True, slots=True)
class Rates:
    """How fast what learns.

    Attributes:
        heads: similarity layers and decoder.
        towers: the last block of a tower and what follows it.
        layer_decay: factor from each block to the one below, in (0, 1].
        weight_decay: of weight matrices.
    """

    heads: float = 1e-3
    towers: float = 2e-5
    layer_decay: float = 0.75
    weight_decay: float = 0.05


def parameter_groups(model: PairwiseModel, rates: Rates) -> list[Group]:
    """All parameters that want a gradient, each once, grouped by rate and decay."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = defaultdict(list)
    levels = {id(one): 0 for tower in (model.pictures, model.phrases) for one in tower.parameters()}
    levels |= _levels(model.pictures.trunk()) | _levels(model.phrases.trunk())
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        below = levels.get(id(parameter))
        rate = rates.heads if below is None else rates.towers * rates.layer_decay**below
        decays = parameter.ndim >= 2 and not name.endswith(("labels_KD", "contexts_KD"))
        groups[rate, rates.weight_decay if decays else 0.0].append(parameter)
    return [Group(members, rate, decay) for (rate, decay), members in groups.items()]


def _levels(backbone: nn.Module) -> dict[int, int]:
    """How many steps each parameter, by its identity, lies below the last block."""
    try:
        path, blocks = blocks_of(backbone)
    except ValueError:  # nothing to tell apart
        return {id(parameter): 0 for parameter in backbone.parameters()}
    levels, passed = {}, False
    for name, parameter in backbone.named_parameters():
        if name.startswith(f"{path}."):
            passed = True
            number = int(name.removeprefix(f"{path}.").split(".")[0])
            levels[id(parameter)] = len(blocks) - 1 - number
        else:
            levels[id(parameter)] = 0 if passed else len(blocks)
    return levels
