"""The workers of one training run: Horovod, and the few exchanges that training needs."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

import horovod.torch as hvd
import torch
from torch import Tensor, nn

from camoe.stream.world import World

ValueT = TypeVar("ValueT")


@dataclass(frozen=True)
class Workers:
    """This worker's place among all, and the device it computes on."""

    world: World
    device: torch.device

    @property
    def leads(self) -> bool:
        """Whether this is the worker that writes and reports."""
        return self.world.rank == 0


def join_workers() -> Workers:
    """Start Horovod, take this worker's GPU if the machine has one, and its share of the processor cores."""
    hvd.init()
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // hvd.local_size()))
    device = _own_device(hvd.local_rank())
    return Workers(World(hvd.rank(), hvd.size()), device)


def _own_device(local_rank: int) -> torch.device:
    gpus = torch.cuda.device_count()
    return torch.device("cuda", local_rank % gpus) if gpus else torch.device("cpu")


def sum_over_workers(values: Tensor, name: str) -> Tensor:
    """The sum of every worker's `values`, on the device of `values`."""
    total: Tensor = hvd.allreduce(values.cpu(), op=hvd.Sum, name=name)
    return total.to(values.device)


def gather(value: ValueT, name: str) -> list[ValueT]:
    """Every worker's `value`, in rank order."""
    values: list[ValueT] = hvd.allgather_object(value, name=name)
    return values


def first_workers(value: ValueT, name: str) -> ValueT:
    """The first worker's `value`, on every worker."""
    shared: ValueT = hvd.broadcast_object(value, root_rank=0, name=name)
    return shared


def share_weights(model: nn.Module) -> None:
    """Give every worker the first worker's weights."""
    hvd.broadcast_parameters(model.state_dict(), root_rank=0)


def sum_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace each gradient by its sum over all workers.

    Dense gradients travel in one buffer. A sparse one travels as its rows, so its cost follows the batch and not the
    vocabulary. All are under way at once. Horovod is built without CUDA, so they go through host memory.
    """
    sparse: list[tuple[nn.Parameter, Tensor]] = []
    dense: list[tuple[nn.Parameter, Tensor]] = []
    for parameter in parameters:
        if parameter.grad is not None:
            (sparse if parameter.grad.is_sparse else dense).append((parameter, parameter.grad))
    flat = torch.cat([gradient.flatten() for _, gradient in dense]).cpu()
    whole = hvd.allreduce_async_(flat, op=hvd.Sum, name="dense_gradients")
    travelling = [
        (parameter, gradient, _send_rows(gradient.coalesce(), f"sparse_gradient_{index}"))
        for index, (parameter, gradient) in enumerate(sparse)
    ]
    hvd.synchronize(whole)
    parts = torch.split(flat, [gradient.numel() for _, gradient in dense])
    for (_, gradient), part in zip(dense, parts, strict=True):
        gradient.copy_(part.view_as(gradient))
    for parameter, gradient, (rows, values) in travelling:
        indices = hvd.synchronize(rows).unsqueeze(0)
        total = torch.sparse_coo_tensor(indices, hvd.synchronize(values), gradient.shape, check_invariants=False)
        parameter.grad = total.coalesce().to(gradient.device)


def _send_rows(gradient: Tensor, name: str) -> tuple[int, int]:
    """Handles of the gathering of a coalesced sparse gradient's row numbers and of its rows."""
    rows = hvd.allgather_async(gradient.indices()[0].cpu(), name=f"{name}_rows")
    values = hvd.allgather_async(gradient.values().cpu(), name=f"{name}_values")
    return rows, values
