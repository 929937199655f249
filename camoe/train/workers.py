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
    device = torch.device("cuda", hvd.local_rank()) if torch.cuda.is_available() else torch.device("cpu")
    return Workers(World(hvd.rank(), hvd.size()), device)


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
    vocabulary. Horovod is built without CUDA, so both go through host memory.
    """
    sparse: list[tuple[nn.Parameter, Tensor]] = []
    dense: list[tuple[nn.Parameter, Tensor]] = []
    for parameter in parameters:
        if parameter.grad is not None:
            (sparse if parameter.grad.is_sparse else dense).append((parameter, parameter.grad))
    flat = torch.cat([gradient.flatten() for _, gradient in dense]).cpu()
    hvd.allreduce_(flat, op=hvd.Sum, name="dense_gradients")
    parts = torch.split(flat, [gradient.numel() for _, gradient in dense])
    for (_, gradient), part in zip(dense, parts, strict=True):
        gradient.copy_(part.view_as(gradient))
    for index, (parameter, gradient) in enumerate(sparse):
        parameter.grad = _gather_sparse(gradient.coalesce(), f"sparse_gradient_{index}")


def _gather_sparse(gradient: Tensor, name: str) -> Tensor:
    rows = hvd.allgather(gradient.indices()[0].cpu(), name=f"{name}_rows")
    values = hvd.allgather(gradient.values().cpu(), name=f"{name}_values")
    whole = torch.sparse_coo_tensor(rows.unsqueeze(0), values, gradient.shape, check_invariants=False)
    return whole.coalesce().to(gradient.device)
