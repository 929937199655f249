"""A look at a step: the experts that each head's gate uses."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from camoe.model.loss import targets
from camoe.stream.reading.columns import Block
from camoe.train.distributed.workers import sum_over_workers
from camoe.train.loop.step import TrainStep
from camoe.train.loop.tensors import to_tensors


@dataclass(frozen=True)
class GateUsage:
    """Of one global batch, before it is learned: per head the mean gate weights of its rows (NaN without rows).

    `behind_s` is how long this worker waited for the others to look, too.
    """

    gates: tuple[tuple[float, ...], ...]
    behind_s: float

    def describe(self, heads: Sequence[str], losses: Sequence[float]) -> str:
        """Describe each head in a short piece: its loss, one of `losses`, and the gate's weights in percent."""
        pieces = []
        for name, loss, gate in zip(heads, losses, self.gates, strict=True):
            weights = " ".join(f"{100 * weight:.0f}" for weight in gate)
            pieces.append(f"{name} {loss:.3f}" + (f" [{weights}]" if weights else ""))
        return "  ".join(pieces)


def measure_gates(train_step: TrainStep, block: Block) -> GateUsage:
    """Look at the global batch of which `block` is this worker's share; all workers look at the same time."""
    batch = to_tensors(block, train_step.workers.device, train_step.dtype)
    _, mask = targets(train_step.masking, batch.labels, train_step.masking.cells(batch.slot, batch.categorical))
    train_step.model.eval()
    with torch.inference_mode():
        _, weights = train_step.model(batch.categorical, batch.numeric, batch.sequences)
        own = mask.to(weights.dtype)
        sums = torch.cat([mask.sum(dim=0).unsqueeze(1), torch.einsum("bh,bhk->hk", own, weights)], dim=1)
    train_step.model.train()
    asked = time.monotonic()
    total = sum_over_workers(sums.to(torch.float64).cpu(), "observation")
    behind_s = time.monotonic() - asked
    means = total[:, 1:] / total[:, :1]
    return GateUsage(tuple(map(tuple, means.tolist())), behind_s)
