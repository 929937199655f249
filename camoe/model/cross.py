"""The cross network of DCN-v2."""

from __future__ import annotations

from torch import Tensor, nn


class CrossNetwork(nn.Module):
    """Explicit feature crosses of bounded degree (Wang et al., "DCN V2", WWW 2021).

    Full-rank `W_l`: `x_{l+1} = x_0 * (W_l x_l + b_l) + x_l` (equation 1). Of rank r: `W_l = U_l V_l^T` with `U_l` and
    `V_l` of shape `[D, r]`, which costs `2 D r` weights instead of `D^2`.

    Args:
        width: width `D` of the input.
        layers: number of crosses; the highest degree is `layers + 1`.
        rank: `r`; None for full-rank.
    """

    def __init__(self, width: int, layers: int, rank: int | None = None) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_cross(width, rank) for _ in range(layers))

    def forward(self, x0: Tensor) -> Tensor:
        """`[B, D]` to `[B, D]`."""
        x = x0
        for layer in self.layers:
            x = x0 * layer(x) + x
        return x


def _cross(width: int, rank: int | None) -> nn.Module:
    """`x -> W x + b`, with `b` at zero."""
    last = nn.Linear(width if rank is None else rank, width)
    nn.init.xavier_normal_(last.weight)
    nn.init.zeros_(last.bias)
    if rank is None:
        return last
    first = nn.Linear(width, rank, bias=False)
    nn.init.xavier_normal_(first.weight)
    return nn.Sequential(first, last)
