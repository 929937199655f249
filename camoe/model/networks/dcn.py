"""DCN-v2: explicit crosses and a deep network over the same features."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from camoe.config.model import DcnConfig
from camoe.model.layers.cross import CrossNetwork
from camoe.model.layers.mlp import mlp


class DcnV2(nn.Module):
    """`[cross(x); deep(x)]` in the parallel structure, `deep(cross(x))` in the stacked one (DCN V2, WWW 2021).

    Args:
        width: width `D` of the input.
        config: structure, crosses, widths of the deep network.
        dropout: of the deep network's units.
    """

    def __init__(self, width: int, config: DcnConfig, dropout: float) -> None:
        super().__init__()
        self.parallel = config.structure == "parallel"
        self.input_width = width
        self.cross = CrossNetwork(width, config.cross_layers, config.rank)
        self.deep = mlp([width, *config.hidden], dropout)
        self.width = config.hidden[-1] + (width if self.parallel else 0)

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, D]` or `aligned` of it to `[B, width]`: `D + E` in parallel, `E`, the last hidden width, stacked."""
        crossed = self.cross(x)
        output: Tensor = (
            torch.cat([crossed[:, : self.input_width], self.deep(x)], dim=1) if self.parallel else self.deep(crossed)
        )
        return output
