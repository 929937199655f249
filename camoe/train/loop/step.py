"""One training step: forward, masked loss over global counts, backward, exchange, update."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import torch
from torch import Tensor

from camoe.config.training import TrainingConfig
from camoe.model.camoe import Camoe
from camoe.model.loss import Masking, Normaliser, head_losses, masked_loss, targets
from camoe.stream.reading.columns import Block
from camoe.train.distributed.gradients import clip_gradients, gradient_norm, sum_gradients
from camoe.train.distributed.workers import Workers, sum_over_workers
from camoe.train.loop.negatives import NegativeSampling
from camoe.train.loop.precision import autocast
from camoe.train.loop.teacher import Teacher
from camoe.train.loop.tensors import to_tensors
from camoe.train.optimiser.optimisers import Optimisers


@dataclass(frozen=True)
class StepResult:
    """The result of one step of all workers together.

    `loss` is that of the whole batch. Of each head, `losses` are summed over the `rows` that it learned from: those of
    its own that were kept. `norm` is the L2 norm of the gradients before they are clipped, and `behind_s` how many
    seconds this worker waited for the others to come to its exchanges.
    """

    loss: float
    losses: tuple[float, ...]
    rows: tuple[int, ...]
    norm: float
    behind_s: float

    @property
    def means(self) -> tuple[float, ...]:
        """The mean loss of each head; NaN for one without rows."""
        return tuple(loss / rows if rows else math.nan for loss, rows in zip(self.losses, self.rows, strict=True))


@dataclass(frozen=True)
class TrainStep:
    """The training step: model, loss, optimisers and workers, and a teacher where there is one."""

    model: Camoe
    optimisers: Optimisers
    masking: Masking
    workers: Workers
    normaliser: Normaliser
    dtype: torch.dtype
    sampling: NegativeSampling
    config: TrainingConfig
    teacher: Teacher | None = None

    def step(self, block: Block, draw: Tensor | None = None) -> StepResult:
        """Learn from one global batch, of which `block` is this worker's share.

        `draw` `[B]` holds a number in [0, 1) for each row, which chooses the negatives that are kept; without it all
        are.
        """
        batch = to_tensors(block, self.workers.device, self.dtype)
        self.optimisers.zero_grad()
        label, member = targets(self.masking, batch.labels, self.masking.cells(batch.slot, batch.categorical))
        if self.config.left_out is not None:
            of_fold = batch.of_fold(self.config.left_out.of)
            member = member & (of_fold != self.config.left_out.fold).unsqueeze(1)
        mask = member if draw is None else self.sampling.kept(label, member, draw)
        own = torch.cat([mask.sum(dim=0), torch.tensor([block.rows], device=mask.device)]).to(torch.float64).cpu()
        asked = time.monotonic()
        rows = sum_over_workers(own, "counts")
        behind_s = time.monotonic() - asked
        counts = rows.to(mask.device)
        with autocast(self.config, self.workers.device):
            scored = self.model.own_logits(mask, batch.categorical, batch.numeric, batch.sequences)
        logits = self.sampling.among_kept(scored.to(self.dtype))
        if self.teacher is not None:
            label = self.teacher.mixed(label, self.teacher.told(batch), self.sampling.rate)
        losses = head_losses(logits, label, mask)
        loss = masked_loss(losses, self.masking.weight, self.normaliser(counts[:-1], counts[-1]))
        torch.autograd.backward(loss)
        behind_s += sum_gradients(self.model.parameters())
        norm = gradient_norm(self.model.parameters())
        if self.config.clip_norm is not None:
            clip_gradients(self.model.parameters(), norm, self.config.clip_norm)
        self.optimisers.step()
        parts = torch.cat([loss.detach().reshape(1), losses.detach()]).to(torch.float64)
        total, *by_head = sum_over_workers(parts, "loss").tolist()
        return StepResult(total, tuple(by_head), tuple(map(int, rows[:-1].tolist())), norm, behind_s)
