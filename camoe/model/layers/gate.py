"""A head's weights over experts."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from camoe.model.layers.linear import AlignedLinear


class Gate(nn.Module):
    """`g(x) = softmax(G x + c)` (MMoE, Ma et al., KDD 2018, with a bias).

    Args:
        width: width `D` of the input, the shared bottom.
        experts: number `K` of experts.
        scale: factor of the first `G` and `c`; with 0 every expert begins with the weight `1 / K`.
    """

    def __init__(self, width: int, experts: int, scale: float) -> None:
        super().__init__()
        self.linear = AlignedLinear(width, experts)
        with torch.no_grad():
            for first in self.linear.parameters():
                first.mul_(scale)

    def forward(self, x: Tensor, kept: Sequence[int] | None = None) -> Tensor:
        """Map `[B, D]` to weights `[B, K]`, or to those of the experts `kept` alone; each row sums to one."""
        logits = self.linear(x) if kept is None else self.linear.some(list(kept), x)
        return torch.softmax(logits, dim=1)


def mix(weights: Tensor, experts: Tensor) -> Tensor:
    """Return `sum_k g_k E_k(x)`: weights `[B, K]` and experts' outputs `[B, K, E]` to `[B, E]`."""
    return torch.bmm(weights.unsqueeze(1), experts).squeeze(1)
