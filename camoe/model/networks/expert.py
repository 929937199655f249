"""Experts: DCN-v2 or plain feed-forward networks whose outputs can be mixed."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from camoe.config.model import ExpertConfig
from camoe.model.layers.mlp import mlp
from camoe.model.networks.dcn import DcnV2


class Experts(nn.ModuleList):
    """`K` experts over one input, each of the width `E`, the last hidden one of `config`.

    Args:
        number: `K`.
        config: kind and widths of an expert.
        width: width `D` of the input.
        dropout: of the experts' units.
    """

    def __init__(self, number: int, config: ExpertConfig, width: int, dropout: float) -> None:
        super().__init__(make_expert(config, width, dropout) for _ in range(number))

    def some(self, numbers: Sequence[int], x: Tensor) -> Tensor:
        """Return the outputs of the experts of those numbers: `[B, D]` to `[B, len(numbers), E]`."""
        return torch.stack([self[number](x) for number in numbers], dim=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, D]` to `[B, K, E]`."""
        return self.some(range(len(self)), x)


def make_expert(config: ExpertConfig, width: int, dropout: float) -> nn.Module:
    """Make the expert `[B, width]` to `[B, E]`.

    A DCN-v2 in parallel has a linear layer on top, so that experts of any structure agree in their width:
    `E(x) = W [cross(x); deep(x)] + b`.
    """
    if config.kind == "mlp":
        return mlp([width, *config.hidden], dropout)
    network = DcnV2(width, config, dropout)
    if config.structure == "stacked":
        return network
    return nn.Sequential(network, nn.Linear(network.width, config.hidden[-1]))
