"""The exchange of gradients between the workers of a step, and what needs them whole: clipping."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import horovod.torch as hvd
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import get_total_norm

# Sends a worker's sparse gradient `[V, D]` under a name; what it gives waits for the sum over all workers, coalesced.
Exchange = Callable[[Tensor, str], Callable[[], Tensor]]


def merge_rows(gradient: Tensor) -> Tensor:
    """Return a sparse `[V, D]` gradient with every row number once, in order; a repeated row's values are summed.

    The same as `gradient.coalesce()`, three times faster: 32-bit numbers are sorted by radix, and rows are summed
    where they lie.
    """
    if gradient.is_coalesced():
        return gradient
    return _merged(gradient._indices()[0], gradient._values(), gradient.shape)


def exchange_rows(gradient: Tensor, name: str) -> Callable[[], Tensor]:
    """Send every worker's rows to every worker: the cost follows the batches, not the vocabulary."""
    own = merge_rows(gradient)
    rows = hvd.allgather_async(_narrow(own.indices()[0], own.shape[0]).cpu(), name=f"{name}_rows")
    values = hvd.allgather_async(own.values().cpu(), name=f"{name}_values")

    def total() -> Tensor:
        gathered = hvd.synchronize(rows).to(gradient.device), hvd.synchronize(values).to(gradient.device)
        return _merged(*gathered, gradient.shape)

    return total


def sum_gradients(parameters: Iterable[nn.Parameter], exchange: Exchange = exchange_rows) -> float:
    """Replace each gradient by its sum over all workers; return the seconds until the others' dense ones came.

    Dense gradients travel in one buffer, sparse ones by `exchange` and come back coalesced. All are under way at once.
    Horovod is built without CUDA, so they go through host memory.
    """
    sparse, dense = _by_layout(parameters)
    if hvd.size() == 1:
        for parameter, gradient in sparse:
            parameter.grad = merge_rows(gradient)
        return 0.0
    flat = torch.cat([gradient.flatten() for _, gradient in dense]).cpu()
    whole = hvd.allreduce_async_(flat, op=hvd.Sum, name="dense_gradients")
    travelling = [
        (parameter, exchange(gradient, f"sparse_gradient_{index}"))
        for index, (parameter, gradient) in enumerate(sparse)
    ]
    asked = time.monotonic()
    hvd.synchronize(whole)
    waited_s = time.monotonic() - asked
    parts = torch.split(flat, [gradient.numel() for _, gradient in dense])
    for (_, gradient), part in zip(dense, parts, strict=True):
        gradient.copy_(part.view_as(gradient))
    for parameter, total in travelling:
        parameter.grad = total()
    return waited_s


def gradient_norm(parameters: Iterable[nn.Parameter]) -> float:
    """Return the joint L2 norm of all gradients, not finite when a value is not.

    To be called after `sum_gradients`, so that all workers find the same norm and every row of a sparse gradient is
    there once.
    """
    return get_total_norm(_values(parameters)).item()


def clip_gradients(parameters: Iterable[nn.Parameter], norm: float, max_norm: float) -> None:
    """Scale all gradients, whose joint L2 norm is `norm`, so that it is at most `max_norm`."""
    if norm > max_norm:
        for value in _values(parameters):
            value.mul_(max_norm / norm)


def _values(parameters: Iterable[nn.Parameter]) -> list[Tensor]:
    sparse, dense = _by_layout(parameters)
    return [gradient for _, gradient in dense] + [gradient.values() for _, gradient in sparse]


def _by_layout(
    parameters: Iterable[nn.Parameter],
) -> tuple[list[tuple[nn.Parameter, Tensor]], list[tuple[nn.Parameter, Tensor]]]:
    """Return parameters with their gradients: the sparse ones, the dense ones."""
    known = [(parameter, parameter.grad) for parameter in parameters if parameter.grad is not None]
    return [pair for pair in known if pair[1].is_sparse], [pair for pair in known if not pair[1].is_sparse]


def _merged(rows: Tensor, values: Tensor, shape: torch.Size) -> Tensor:
    ordered, order = torch.sort(_narrow(rows, shape[0]), stable=True)
    fresh = torch.ones_like(ordered, dtype=torch.bool)
    torch.ne(ordered[1:], ordered[:-1], out=fresh[1:])
    starts = fresh.nonzero().squeeze(1)
    sums = functional.embedding_bag(order, values, starts, mode="sum")
    return _coalesced(ordered[starts].to(torch.int64), sums, shape)


def _coalesced(rows: Tensor, values: Tensor, shape: torch.Size) -> Tensor:
    """Make a sparse gradient of rows in order, each once."""
    return torch.sparse_coo_tensor(rows.unsqueeze(0), values, shape, is_coalesced=True, check_invariants=False)


def _narrow(rows: Tensor, vocabulary: int) -> Tensor:
    """Return row numbers in as few bytes as they need: half the way to sort and to send."""
    return rows.to(torch.int32) if vocabulary <= torch.iinfo(torch.int32).max else rows
