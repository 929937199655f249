"""One network that all heads share, and a tower a head: the shared-bottom baseline and DCN-v2."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from camoe.model.layers.linear import aligned


class SharedBottom(nn.Module):
    """`logit_h = tower_h(network(x))` (Caruana, "Multitask Learning", 1997). There are no experts: `K = 0`.

    Args:
        network: `[B, D]` to `[B, E]`.
        towers: `H` modules `[B, E]` to `[B]`.
    """

    gate_width = 0

    def __init__(self, network: nn.Module, towers: Iterable[nn.Module]) -> None:
        super().__init__()
        self.network = network
        self.towers = nn.ModuleList(towers)

    def head_logit(self, head: int, x: Tensor) -> Tensor:
        """Return the logit of one head alone: `[B, D]` to `[B]`."""
        logit: Tensor = self.towers[head](self.network(x))
        return logit

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map `[B, D]` to logits `[B, H]` and no gate weights, `[B, H, 0]`."""
        shared = self.network(aligned(x))
        logits = torch.stack([tower(shared) for tower in self.towers], dim=1)
        return logits, logits.new_empty(*logits.shape, 0)
