"""A head's weights over experts."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from camoe.model.layers.linear import AlignedLinear


class Gate(nn.Module):
    """`g(x) = softmax(G x + c)` (MMoE, Ma et al., KDD 2018, with a bias).

    In training each weight is left out with probability `dropout` and the others are scaled up to one, so that no head
    comes to rest on one expert (Zhao et al., "Recommending what video to watch next", RecSys 2019). A row
    that would lose all its experts keeps them.

    Args:
        width: width `D` of the input, the shared bottom.
        experts: number `K` of experts.
        dropout: share of weights left out.
        scale: factor of the first `G` and `c`; with 0 every expert begins with the weight `1 / K`.
    """

    def __init__(self, width: int, experts: int, dropout: float, scale: float) -> None:
        super().__init__()
        self.linear = AlignedLinear(width, experts)
        with torch.no_grad():
            for first in self.linear.parameters():
                first.mul_(scale)
        self.dropout = dropout

    def forward(self, x: Tensor, kept: Sequence[int] | None = None) -> Tensor:
        """Map `[B, D]` to weights `[B, K]`, or to those of the experts `kept` alone; each row sums to one."""
        logits = self.linear(x) if kept is None else self.linear.some(list(kept), x)
        weights = torch.softmax(logits, dim=1)
        if not self.training or self.dropout == 0:
            return weights
        left = weights * (torch.rand_like(weights) >= self.dropout)
        total = left.sum(dim=1, keepdim=True)
        return torch.where(total > 0, left / torch.where(total > 0, total, 1.0), weights)


def mix(weights: Tensor, experts: Tensor) -> Tensor:
    """Return `sum_k g_k E_k(x)`: weights `[B, K]` and experts' outputs `[B, K, E]` to `[B, E]`."""
    return torch.bmm(weights.unsqueeze(1), experts).squeeze(1)
