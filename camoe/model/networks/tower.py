"""A head's tower."""

from __future__ import annotations

from torch import Tensor, nn

from camoe.config.model import Widths
from camoe.model.layers.linear import AlignedLinear
from camoe.model.layers.mlp import mlp


class Tower(nn.Module):
    """A head's logit `w . mlp(f) + b` from its mixed experts or from a shared network.

    Args:
        width: width `E` of the input.
        hidden: widths of the feed-forward network; none for a linear tower.
        dropout: of its units.
    """

    def __init__(self, width: int, hidden: Widths, dropout: float) -> None:
        super().__init__()
        self.hidden = mlp([width, *hidden], dropout)
        self.logit = AlignedLinear([width, *hidden][-1], 1)

    def forward(self, f: Tensor) -> Tensor:
        """Map `[B, E]` to `[B]`."""
        logit: Tensor = self.logit(self.hidden(f))
        return logit.squeeze(1)
