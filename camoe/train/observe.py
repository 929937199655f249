"""A look at a step: each head's loss, and the experts that its gate uses."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from camoe.model.loss import targets
from camoe.stream.columns import Block
from camoe.train.step import Learner, to_tensors
from camoe.train.workers import sum_over_workers


@dataclass(frozen=True)
class Observation:
    """Of one global batch, before it is learned: per head the mean loss (NaN without rows) and mean gate weights.

    `behind_s` is how long this worker waited for the others to look, too.
    """

    losses: tuple[float, ...]
    gates: tuple[tuple[float, ...], ...]
    behind_s: float

    def said(self, heads: Sequence[str]) -> str:
        """One short piece a head: its loss, and the gate's weights in percent."""
        pieces = []
        for name, loss, gate in zip(heads, self.losses, self.gates, strict=True):
            weights = " ".join(f"{100 * weight:.0f}" for weight in gate)
            pieces.append(f"{name} {loss:.3f}" + (f" [{weights}]" if weights else ""))
        return "  ".join(pieces)


def observe(learner: Learner, block: Block) -> Observation:
    """Look at the global batch of which `block` is this worker's share; all workers look at the same time."""
    batch = to_tensors(block, learner.workers.device, learner.dtype)
    label, mask = targets(learner.masking, batch.labels, learner.masking.cells(batch.slot, batch.categorical))
    learner.model.eval()
    with torch.inference_mode():
        logits, weights = learner.model(batch.categorical, batch.numeric, batch.sequences)
        terms = binary_cross_entropy_with_logits(logits, label.to(logits.dtype), reduction="none")
        own = mask.to(logits.dtype)
        sums = torch.cat(
            [mask.sum(dim=0).unsqueeze(1), (terms * own).sum(dim=0).unsqueeze(1), _gates(own, weights)], dim=1
        )
    learner.model.train()
    asked = time.monotonic()
    total = sum_over_workers(sums.to(torch.float64).cpu(), "observation")
    behind_s = time.monotonic() - asked
    means = total[:, 1:] / total[:, :1]
    return Observation(tuple(means[:, 0].tolist()), tuple(map(tuple, means[:, 1:].tolist())), behind_s)


def _gates(own: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Sums over rows of the gate weights `[B, H, K]` of each head's own rows: `[H, K]`."""
    return torch.einsum("bh,bhk->hk", own, weights.to(own.dtype))
