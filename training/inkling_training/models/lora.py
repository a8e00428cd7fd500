"""What of a pairwise model learns: everything, the last blocks, small adapters, or the heads alone.

    full        every weight
    partial:N   the last N blocks of each tower and all that follows them, and the similarity layers
    lora:R      adapters of rank R beside the frozen linear layers of the towers' blocks
    heads       the similarity layers alone

The own projections of a dual encoder, such as CLIP's, count as similarity layers, with whatever
else follows its blocks.

A tower's blocks are its longest list of modules, whatever the family calls it. Adapters are merged
into plain weights before a model is saved, so that export and serving never see them.

Source: Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models" (2021), by way of `peft`.
This module knows no optimiser and no data.
"""

import copy
import re
from dataclasses import dataclass
from typing import Any, Literal

from torch import nn

from inkling_training.heads import ConseHead
from inkling_training.models.captions import OpenClipDecoder
from inkling_training.models.pairwise import PairwiseModel
from inkling_training.models.towers import PhraseTower, PictureTower

_FORMS = "full, partial:N, lora:R or heads"


@dataclass(frozen=True, slots=True)
class Tuning:
    """What learns; `amount` is N of "partial" and R of "lora", else 0."""

    kind: Literal["full", "partial", "lora", "heads"]
    amount: int = 0

    @classmethod
    def parsed(cls, text: str) -> "Tuning":
        """Reads "full", "partial:2", "lora:8" or "heads". Raises ValueError for anything else."""
        found = re.fullmatch(r"(full|heads)|(partial|lora):([1-9][0-9]*)", text)
        if found is None:
            raise ValueError(f"tuning {text!r}: must be {_FORMS}, with N and R at least 1")
        if found[1]:
            return cls("full" if found[1] == "full" else "heads")
        return cls("partial" if found[2] == "partial" else "lora", int(found[3]))


def prepare(model: PairwiseModel, tuning: Tuning) -> None:
    """Sets, in place, which parameters want gradients; for "lora" adds the adapters.

    Raises:
        ValueError: a tower has fewer blocks than asked for, or no list of blocks.
        ModuleNotFoundError: lora without `peft`.
    """
    towers: list[Any] = [model.pictures, model.phrases]
    model.requires_grad_(requires_grad=True)
    for tower in towers:
        tower.requires_grad_(requires_grad=tuning.kind == "full")
        count = tuning.amount if tuning.kind == "partial" else 0
        if count or (tuning.kind != "full" and not isinstance(tower, PictureTower | PhraseTower)):
            for parameter in _tail(tower.trunk(), count):
                parameter.requires_grad_(True)
        if tuning.kind == "lora":
            _inject(tower.trunk(), tuning.amount)
    if isinstance(model.decoder, OpenClipDecoder):  # lies within the towers' model
        model.decoder.model.text_decoder.requires_grad_(requires_grad=True)
    for module in model.modules():
        if isinstance(module, ConseHead):  # its classifier is what the labels' votes stand on
            module.classifier.requires_grad_(requires_grad=False)


def merged(model: PairwiseModel) -> PairwiseModel:
    """A copy with adapters merged into plain weights; the model itself where there are none."""
    if not any(_is_adapter(module) for module in model.modules()):
        return model
    plain = copy.deepcopy(model)
    for parent in list(plain.modules()):
        for name, child in list(parent.named_children()):
            if _is_adapter(child):
                adapter: Any = child
                adapter.merge()
                setattr(parent, name, adapter.get_base_layer())
    return plain


def blocks_of(backbone: nn.Module) -> tuple[str, nn.ModuleList]:
    """The name and the list of a backbone's blocks. Raises ValueError where it has no list."""
    lists = [
        (name, module)
        for name, module in backbone.named_modules()
        if isinstance(module, nn.ModuleList) and any(True for _ in module.parameters())
    ]
    if not lists:
        raise ValueError(
            f"{type(backbone).__name__} has no list of blocks: choose the tuning full or heads"
        )
    return max(lists, key=lambda one: len(one[1]))


def _tail(backbone: nn.Module, count: int) -> list[nn.Parameter]:
    """Parameters of the last `count` blocks, and of whatever was registered after the blocks."""
    name, blocks = blocks_of(backbone)
    if count > len(blocks):
        raise ValueError(
            f"partial:{count}: {type(backbone).__name__} has only {len(blocks)} blocks"
        )
    chosen = tuple(f"{name}.{index}." for index in range(len(blocks) - count, len(blocks)))
    parameters, passed = [], False
    for path, parameter in backbone.named_parameters():
        inside = path.startswith(f"{name}.")
        passed = passed or inside
        if path.startswith(chosen) or (passed and not inside):
            parameters.append(parameter)
    return parameters


def _inject(backbone: nn.Module, rank: int) -> None:
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise ModuleNotFoundError("lora needs peft: pip install peft") from error
    prefix, blocks = blocks_of(backbone)
    targets = [
        f"{prefix}.{path}"
        for path, module in blocks.named_modules()
        if type(module) is nn.Linear or _is_pointwise(module)
    ]
    if not targets:
        raise ValueError(f"{type(backbone).__name__} has no layer that lora could adapt")
    config = LoraConfig(r=rank, lora_alpha=2 * rank, lora_dropout=0.0, target_modules=targets)
    inject_adapter_in_model(config, backbone)
    for module in backbone.modules():
        if _is_adapter(module):
            _keep_geometry(module)


def _keep_geometry(adapter: Any) -> None:
    """Some families read a convolution's stride in their forward; peft's wrapper has none."""
    layer = adapter.get_base_layer()
    if isinstance(layer, nn.Conv2d):
        for name in ("stride", "kernel_size", "dilation", "padding", "groups"):
            setattr(adapter, name, getattr(layer, name))


def _is_pointwise(module: nn.Module) -> bool:
    """A 1 x 1 convolution: a linear layer at every place of a feature map."""
    return isinstance(module, nn.Conv2d) and module.kernel_size == (1, 1) and module.groups == 1


def _is_adapter(module: nn.Module) -> bool:
    return hasattr(module, "get_base_layer") and hasattr(module, "merge")
