"""AdamW for the dense weights, a choice for the embeddings, one warm-up and cosine schedule for both."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from camoe.config.training import TrainingConfig
from camoe.model.camoe import Camoe
from camoe.train.optimiser.adagrad import SparseAdagrad, each_entry, row_mean


class TableAdam(torch.optim.Adam):
    """Adam over whole tables: a row without gradient still moves by its momentum, so a step costs the vocabulary."""

    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Make sparse gradients dense, then apply them."""
        for group in self.param_groups:
            for table in group["params"]:
                if table.grad is not None:
                    table.grad = table.grad.to_dense()
        super().step()


EMBEDDING_OPTIMISERS: Mapping[str, Callable[[list[nn.Parameter], float], torch.optim.Optimizer]] = {
    "adagrad": partial(SparseAdagrad, squares=each_entry),
    "rowwise_adagrad": partial(SparseAdagrad, squares=row_mean),
    "adam": TableAdam,
}


@dataclass(frozen=True)
class Optimisers:
    """The two optimisers and their schedules, stepped together."""

    parts: tuple[torch.optim.Optimizer, ...]
    schedules: tuple[LambdaLR, ...]

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for part in self.parts:
            part.zero_grad(set_to_none=True)

    def release(self) -> None:
        """Forget what is kept of earlier gradients, which takes as much memory as the tables."""
        for part in self.parts:
            part.state.clear()

    def step(self) -> None:
        """Apply all gradients, then advance the learning rates."""
        for part in self.parts:
            part.step()
        for schedule in self.schedules:
            schedule.step()


def make_optimisers(model: Camoe, config: TrainingConfig, total_steps: int) -> Optimisers:
    """Make the optimisers of all weights of `model` for a run of `total_steps`."""
    embedding = list(model.embedding.parameters())
    dense = [weight for name, weight in model.named_parameters() if not name.startswith("embedding.")]
    parts: tuple[torch.optim.Optimizer, ...] = (
        torch.optim.AdamW(_decayed(dense, config.weight_decay), lr=config.learning_rate),
        EMBEDDING_OPTIMISERS[config.embedding_optimiser](embedding, config.embedding_learning_rate),
    )

    def factor(step: int) -> float:
        warm = min(1.0, (step + 1) / max(1, config.warmup_steps))
        return warm * 0.5 * (1.0 + math.cos(math.pi * min(1.0, step / total_steps)))

    return Optimisers(parts, tuple(LambdaLR(part, factor) for part in parts))


def _decayed(weights: list[nn.Parameter], decay: float) -> list[dict[str, object]]:
    """Group weights by decay: matrices only; biases go without."""
    return [
        {"params": [weight for weight in weights if weight.ndim > 1], "weight_decay": decay},
        {"params": [weight for weight in weights if weight.ndim <= 1], "weight_decay": 0.0},
    ]
