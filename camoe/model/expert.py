"""One expert of CAMoE: DCN-v2 with its cross network and its deep network in parallel."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from camoe.model.config import ModelConfig
from camoe.model.cross import CrossNetwork
from camoe.model.mlp import mlp


class Expert(nn.Module):
    """`E(x) = W [cross(x); deep(x)] + b` (the parallel structure of DCN-v2, WWW 2021, section 3.3).

    Args:
        width: width `D` of the input.
        config: depth of the cross network, widths of the deep one; the last of those is the output width `E`.
    """

    def __init__(self, width: int, config: ModelConfig) -> None:
        super().__init__()
        out = config.expert_hidden[-1]
        self.cross = CrossNetwork(width, config.cross_layers)
        self.deep = mlp([width, *config.expert_hidden], config.dropout)
        self.join = nn.Linear(width + out, out)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, D]` to `[B, E]`."""
        joined: Tensor = self.join(torch.cat([self.cross(x), self.deep(x)], dim=1))
        return joined
