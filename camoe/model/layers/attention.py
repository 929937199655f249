"""The activation unit of DIN: how much an element of a sequence says about what is offered now."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from camoe.model.layers.mlp import mlp


class ActivationUnit(nn.Module):
    """`a(q, k) = w . mlp([q; k; q - k; q * k]) + b` (Deep Interest Network, Zhou et al., KDD 2018, section 4.3).

    The weights of a sequence are not normalised, as there: their sum tells how strong the interest is. The paper's
    input is q, k and their outer product; this is that of its authors' program, which says as much in 4 D numbers.

    Args:
        dim: width `D` of query and key.
        hidden: widths of the feed-forward network.
    """

    def __init__(self, dim: int, hidden: Sequence[int]) -> None:
        super().__init__()
        self.hidden = mlp([4 * dim, *hidden], 0.0)
        self.weight = nn.Linear(hidden[-1], 1)

    def forward(self, query: Tensor, key: Tensor) -> Tensor:
        """Map two `[N, D]` to `[N, 1]`."""
        weight: Tensor = self.weight(self.hidden(torch.cat([query, key, query - key, query * key], dim=1)))
        return weight
