"""All categorical features in one table."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from camoe.contracts.encoder import UNKNOWN


class JointEmbedding(nn.Module):
    """One embedding table for features, feature c at rows `offset_c ... offset_c + size_c`; the categorical ones first.

    An index at or beyond `size_c` reads as unknown, so rows encoded by a grown vocabulary can be scored, and so does
    one whose row is hidden. Gradients are sparse: their cost follows the batch, not the vocabulary.

    Args:
        sizes: rows per feature, the categorical ones first.
        dim: width of an embedding.
        hidden: rows of the table that are never looked up.
        std: standard deviation of the weights to begin with.
    """

    sizes: Tensor
    offsets: Tensor
    hidden: Tensor | None

    def __init__(self, sizes: Sequence[int], dim: int, hidden: Sequence[int] = (), std: float = 0.01) -> None:
        super().__init__()
        starts = [sum(sizes[:index]) for index in range(len(sizes))]
        self.register_buffer("sizes", torch.tensor(sizes, dtype=torch.int64), persistent=False)
        self.register_buffer("offsets", torch.tensor(starts, dtype=torch.int64), persistent=False)
        marks = torch.zeros(sum(sizes), dtype=torch.bool)
        marks[list(hidden)] = True
        self.register_buffer("hidden", marks if hidden else None, persistent=False)
        # Drawn once: nn.Embedding of its own draws a table that would be thrown away.
        first = torch.empty(sum(sizes), dim).normal_(std=std)
        self.table = nn.Embedding(sum(sizes), dim, sparse=True, _weight=first)

    def forward(self, categorical: Tensor) -> Tensor:
        """Map `[B, C]` indices to `[B, C * dim]`."""
        embedded: Tensor = self.table(self.rows(categorical, slice(categorical.shape[1])))
        return embedded.flatten(1)

    def rows(self, indices: Tensor, features: slice | int) -> Tensor:
        """Return the row of the table of each index of the features, whose positions stand along the last dimension."""
        unknown = self.offsets[features] + UNKNOWN
        rows = torch.where(indices < self.sizes[features], indices + self.offsets[features], unknown)
        return rows if self.hidden is None else torch.where(self.hidden[rows], unknown, rows)
