"""AdamW for the dense weights, a choice for the embeddings, one warm-up and cosine schedule for both."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from camoe.config.training import TrainingConfig
from camoe.model.camoe import Camoe
from camoe.train.optimiser.adagrad import SparseAdagrad, each_entry, row_mean
from camoe.train.optimiser.average import WeightAverage


class TableAdam(torch.optim.AdamW):
    """AdamW over whole tables: rows without gradient move, too, by momentum and decay, so a step costs them all."""

    def __init__(self, tables: list[nn.Parameter], rate: float, decay: float = 0.0) -> None:
        super().__init__(tables, rate, weight_decay=decay)

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
    """The two optimisers and their schedules, stepped together, and after them the average of the weights, if any."""

    parts: tuple[torch.optim.Optimizer, ...]
    schedules: tuple[LambdaLR, ...]
    average: WeightAverage | None = None

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for part in self.parts:
            part.zero_grad(set_to_none=True)

    def release(self) -> None:
        """Forget what is kept of earlier gradients, which takes as much memory as the tables."""
        for part in self.parts:
            part.state.clear()

    def swap(self) -> None:
        """Exchange the model's weights and their average; nothing without an average."""
        if self.average is not None:
            self.average.swap()

    @contextlib.contextmanager
    def averaged(self) -> Iterator[None]:
        """Let the model have the average of its weights while the block runs."""
        self.swap()
        try:
            yield
        finally:
            self.swap()

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
    rated: tuple[torch.optim.Optimizer, ...] = (
        torch.optim.AdamW(_decayed(dense, config.weight_decay), lr=config.learning_rate),
        _of_embeddings(embedding, config),
    )
    average = WeightAverage([*embedding, *dense], config.average) if config.average else None

    def factor(step: int) -> float:
        warm = min(1.0, (step + 1) / max(1, config.warmup_steps))
        return warm * 0.5 * (1.0 + math.cos(math.pi * min(1.0, step / total_steps)))

    schedules = tuple(LambdaLR(part, factor) for part in rated)
    return Optimisers((*rated, average) if average else rated, schedules, average)


def _of_embeddings(tables: list[nn.Parameter], config: TrainingConfig) -> torch.optim.Optimizer:
    rate = config.embedding_learning_rate
    if config.embedding_optimiser == "adam":
        return TableAdam(tables, rate, config.embedding_weight_decay)
    return EMBEDDING_OPTIMISERS[config.embedding_optimiser](tables, rate)


def _decayed(weights: list[nn.Parameter], decay: float) -> list[dict[str, object]]:
    """Group weights by decay: matrices only; biases go without."""
    return [
        {"params": [weight for weight in weights if weight.ndim > 1], "weight_decay": decay},
        {"params": [weight for weight in weights if weight.ndim <= 1], "weight_decay": 0.0},
    ]
