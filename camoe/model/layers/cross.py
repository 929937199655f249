"""The cross network of DCN-v2."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import linear, pad

from camoe.model.layers.linear import AlignedLinear, columns_beyond


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
        """Map `[B, D]` to `[B, D]`; columns of zeros beyond D, as `aligned` adds them, stay zero.

        Raises:
            ValueError: x0 has fewer columns than D.
        """
        x = x0
        for layer in self.layers:
            x = x0 * layer(x) + x
        return x


class _Widening(nn.Linear):
    """`W x + b` with as many columns of zeros added as `width` asks for, by default as x has itself."""

    def forward(self, x: Tensor, width: int | None = None) -> Tensor:
        more = (x.shape[1] if width is None else width) - self.out_features
        weight = pad(self.weight, (0, columns_beyond(x, self.in_features), 0, more))
        return linear(x, weight, pad(self.bias, (0, more)))


class _LowRank(nn.Sequential):
    """`U (V^T x) + b`, as wide as x."""

    def forward(self, x: Tensor) -> Tensor:
        first, last = self
        widened: Tensor = last(first(x), x.shape[1])
        return widened


def _cross(width: int, rank: int | None) -> nn.Module:
    """Make the layer `x -> W x + b`, with `b` at zero."""
    last = _Widening(width if rank is None else rank, width)
    nn.init.xavier_normal_(last.weight)
    nn.init.zeros_(last.bias)
    if rank is None:
        return last
    first = AlignedLinear(width, rank, bias=False)
    nn.init.xavier_normal_(first.weight)
    return _LowRank(first, last)
