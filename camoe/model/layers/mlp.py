"""A plain feed-forward network."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import nn

from camoe.model.layers.linear import AlignedLinear


def mlp(widths: Sequence[int], dropout: float) -> nn.Sequential:
    """Stack linear layers, ReLU and dropout from `widths[0]` to `widths[-1]`: `[B, widths[0]]` to `[B, widths[-1]]`."""
    layers: list[nn.Module] = []
    for width, following in pairwise(widths):
        layers += [AlignedLinear(width, following), nn.ReLU(), nn.Dropout(dropout)]
    return nn.Sequential(*layers)
