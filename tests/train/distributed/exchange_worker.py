"""One of the workers of test_gradients.py: exchanges made gradients in both ways and writes down what came back."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import horovod.torch as hvd
import numpy as np
import torch
from torch import Tensor, nn

from bench.exchange import exchange_dense
from camoe.train.distributed.gradients import Exchange, clip_gradients, exchange_rows, gradient_norm, sum_gradients

VOCABULARY, DIM = 50, 4
MAX_NORM = 0.5
# The last worker to come has no row.
LOOKUPS = ((7, 3, 7, 49, 0, 7), ())
EXCHANGES: dict[str, Exchange] = {"rows": exchange_rows, "dense": exchange_dense}


def gradients(rank: int) -> Iterator[tuple[Tensor, Tensor]]:
    """A worker's sparse and dense gradients: one row often, one never, rows of one worker only."""
    for lookups in (LOOKUPS[rank], (3, 12 + rank, 12 + rank), ()):
        generator = torch.Generator().manual_seed(10 * rank + len(lookups))
        values = torch.randn(len(lookups), DIM, generator=generator)
        rows = torch.tensor([lookups], dtype=torch.int64)
        table = torch.sparse_coo_tensor(rows, values, (VOCABULARY, DIM), check_invariants=False)
        yield table, torch.randn(3, generator=generator)


def _gradients_of(parameters: Iterable[nn.Parameter]) -> list[Tensor]:
    return [parameter.grad for parameter in parameters if parameter.grad is not None]


def main(folder: str) -> None:
    hvd.init()
    for step, (table, bias) in enumerate(gradients(hvd.rank())):
        for name, exchange in EXCHANGES.items():
            parameters = [nn.Parameter(torch.zeros(VOCABULARY, DIM)), nn.Parameter(torch.zeros(3))]
            parameters[0].grad, parameters[1].grad = table.clone(), bias.clone()
            sum_gradients(parameters, exchange)
            summed = [gradient.to_dense().numpy().copy() for gradient in _gradients_of(parameters)]
            coalesced = _gradients_of(parameters)[0].is_coalesced()
            norm = gradient_norm(parameters)
            clip_gradients(parameters, norm, MAX_NORM)
            clipped = [gradient.to_dense().numpy() for gradient in _gradients_of(parameters)]
            np.savez(
                Path(folder) / f"{step}-{name}-{hvd.rank()}.npz",
                table=summed[0], bias=summed[1], coalesced=coalesced,
                norm=norm, clipped_table=clipped[0], clipped_bias=clipped[1],
            )  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1])
