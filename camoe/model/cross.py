"""The cross network of DCN-v2."""

from __future__ import annotations

from torch import Tensor, nn


class CrossNetwork(nn.Module):
    """Explicit feature crosses of bounded degree.

    `x_{l+1} = x_0 * (W_l x_l + b_l) + x_l` with full-rank `W_l`
    (Wang et al., "DCN V2", WWW 2021, equation 1).

    Args:
        width: width `D` of the input.
        layers: number of crosses; the highest degree is `layers + 1`.
    """

    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        crosses = [nn.Linear(width, width) for _ in range(layers)]
        for cross in crosses:
            nn.init.xavier_normal_(cross.weight)
            nn.init.zeros_(cross.bias)
        self.layers = nn.ModuleList(crosses)

    def forward(self, x0: Tensor) -> Tensor:
        """`[B, D]` to `[B, D]`."""
        x = x0
        for layer in self.layers:
            x = x0 * layer(x) + x
        return x
