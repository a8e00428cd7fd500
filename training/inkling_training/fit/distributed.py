"""Several processes that train as one: `torchrun --nproc-per-node N -m inkling_training.fit ...`.

    each rank: its share of the batch -> embeddings -> gather (all ranks', with gradients)
               -> the whole batch's loss -> backward -> gradients averaged over ranks

Why the mean is right: every rank computes the same loss of the gathered batch, and the gather's
backward sums over ranks what each of them knows of a row's gradient, which is W times the true
one; the mean over W ranks takes that back. So W ranks of batch B learn what one process of batch
W * B would (up to rounding and dropout's draws).

Gradients are averaged once, after the last piece of an accumulated batch, and not while backward
still runs as in torch's DistributedDataParallel: a step function may then call any method of any
module as often as it likes. The price is communication that hides behind no computation.

Without torchrun every function here does nothing, or gives back what it got.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, distributed, nn

_BUCKET_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True)
class World:
    """Which of how many processes this is; `leads` is whoever writes files."""

    rank: int = 0
    size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def leads(self) -> bool:
        return self.rank == 0


def join_world(device: str = "auto") -> World:
    """Joins torchrun's process group, where there is one: nccl with CUDA, gloo on CPUs.

    Args:
        device: "cpu", "cuda" or "auto" (CUDA where there is one).
    """
    cuda = torch.cuda.is_available() if device == "auto" else device == "cuda"
    local = int(os.environ.get("LOCAL_RANK", "0"))
    place = torch.device("cuda", local) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(place)
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return World(device=place)
    if not distributed.is_initialized():
        distributed.init_process_group("nccl" if cuda else "gloo")
    return World(distributed.get_rank(), distributed.get_world_size(), place)


def leave_world() -> None:
    """Ends the process group, where there is one."""
    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()


def _many() -> bool:
    return (
        distributed.is_available()
        and distributed.is_initialized()
        and distributed.get_world_size() > 1
    )


class _Gather(torch.autograd.Function):
    """Forward: all ranks' rows, in rank order. Backward: the sum over ranks of this rank's rows."""

    @staticmethod
    def forward(_ctx: Any, rows: Tensor) -> Tensor:
        parts = [torch.empty_like(rows) for _ in range(distributed.get_world_size())]
        distributed.all_gather(parts, rows.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(_ctx: Any, gradient: Tensor) -> Tensor:
        summed = gradient.contiguous().clone()
        distributed.all_reduce(summed)
        return summed.chunk(distributed.get_world_size())[distributed.get_rank()]


def gather_rows(rows: Tensor) -> Tensor:
    """All ranks' rows [W * B, ...] in rank order, with gradients; every rank must bring B rows."""
    if not _many():
        return rows
    gathered: Tensor = _Gather.apply(rows)  # type: ignore[no-untyped-call]
    return gathered


def gather_objects(value: Any) -> list[Any]:
    """Every rank's value, in rank order, on every rank."""
    if not _many():
        return [value]
    values: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(values, value)
    return values


def any_rank(flag: bool, device: torch.device) -> bool:
    """Whether any rank says yes; all ranks must ask in the same step."""
    if not _many():
        return flag
    answer = torch.tensor([float(flag)], device=device)
    distributed.all_reduce(answer, distributed.ReduceOp.MAX)
    return bool(answer.item())


@torch.no_grad()
def average_gradients(parameters: Sequence[nn.Parameter]) -> None:
    """Replaces each gradient by its mean over ranks; one that a rank lacks counts as zero there.

    Parameters that no rank has used keep no gradient, so that nothing decays them. Small gradients
    travel together: a message costs more than its bytes.
    """
    if not _many() or not parameters:
        return
    used = torch.tensor(
        [float(parameter.grad is not None) for parameter in parameters],
        device=parameters[0].device,
    )
    distributed.all_reduce(used, distributed.ReduceOp.MAX)
    bucket: list[Tensor] = []
    size = 0
    for parameter, is_used in zip(parameters, used.tolist(), strict=True):
        if not is_used:
            continue
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        if bucket and bucket[0].dtype != parameter.grad.dtype:
            _average(bucket)
            bucket, size = [], 0
        bucket.append(parameter.grad)
        size += parameter.grad.numel() * parameter.grad.element_size()
        if size >= _BUCKET_BYTES:
            _average(bucket)
            bucket, size = [], 0
    if bucket:
        _average(bucket)


def _average(gradients: Sequence[Tensor]) -> None:
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    distributed.all_reduce(flat)
    flat /= distributed.get_world_size()
    start = 0
    for gradient in gradients:
        gradient.copy_(flat[start : start + gradient.numel()].view_as(gradient))
        start += gradient.numel()


@torch.no_grad()
def share_weights(module: nn.Module) -> None:
    """Gives every rank the first rank's parameters and buffers."""
    if not _many():
        return
    for tensor in [*module.parameters(), *module.buffers()]:
        distributed.broadcast(tensor.data, src=0)


def wait_for_all() -> None:
    """Returns once every rank has come here."""
    if _many():
        distributed.barrier()
