"""Linear layers over rows that begin where the processor likes them to."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import linear, pad

# Floats in a cache line. On a CPU the product of a matrix with as many rows as columns, which crosses have, takes up to
# 1.4 times as long when rows begin elsewhere; the narrower products lose up to a tenth by the zeros.
LINE = 16


def aligned(x: Tensor) -> Tensor:
    """Return `[B, D]` with columns of zeros up to a whole number of cache lines a row."""
    return pad(x, (0, -x.shape[1] % LINE))


def columns_beyond(x: Tensor, width: int) -> int:
    """Return how many columns `x` `[B, D]` has beyond `width`.

    Raises:
        ValueError: it has fewer; a negative number would make `pad` cut weights off silently.
    """
    beyond = x.shape[1] - width
    if beyond < 0:
        raise ValueError(f"the input has {x.shape[1]} columns and the layer's weights want {width}: a part is missing")
    return beyond


class AlignedLinear(nn.Linear):
    """`W x + b` of the first `in_features` columns of x; any beyond them must be zero, as `aligned` adds them.

    The result is that of `nn.Linear`; the weights have its shapes.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, in_features or more]` to `[B, out_features]`. Raises `ValueError` for fewer columns."""
        return linear(x, pad(self.weight, (0, columns_beyond(x, self.in_features))), self.bias)

    def some(self, rows: list[int], x: Tensor) -> Tensor:
        """Return the outputs of these numbers alone: `[B, in_features or more]` to `[B, len(rows)]`."""
        weight = pad(self.weight[rows], (0, columns_beyond(x, self.in_features)))
        return linear(x, weight, self.bias[rows])
