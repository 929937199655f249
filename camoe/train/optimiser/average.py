"""A running mean of the weights, kept as the state of an optimiser, so that checkpoints have it."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

AVERAGE = "average"


class WeightAverage(torch.optim.Optimizer):
    """The mean of the weights, `mean += (1 - d) (weights - mean)` with `d = min(decay, (1 + t) / (10 + t))` at step t.

    So early steps, which say little of the end, soon count for nothing.
    """

    def __init__(self, weights: Iterable[nn.Parameter], decay: float) -> None:
        super().__init__(weights, {"decay": decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Take in the weights as they are."""
        for group in self.param_groups:
            for weight in group["params"]:
                state = self.state[weight]
                steps = state.get("steps", 0)
                if not steps:
                    state[AVERAGE] = weight.detach().clone()
                state[AVERAGE].lerp_(weight, 1 - min(group["decay"], (1 + steps) / (10 + steps)))
                state["steps"] = steps + 1

    def swap(self) -> None:
        """Exchange weights and mean; before the first step they are the same."""
        for group in self.param_groups:
            for weight in group["params"]:
                state = self.state[weight]
                if AVERAGE in state:
                    weight.data, state[AVERAGE] = state[AVERAGE], weight.data
