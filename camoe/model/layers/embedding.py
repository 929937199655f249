"""All categorical features in one table."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from camoe.contracts.encoder import UNKNOWN

INITIAL_STD = 0.01


class JointEmbedding(nn.Module):
    """One embedding table for features, feature c at rows `offset_c ... offset_c + size_c`; the categorical ones first.

    An index at or beyond `size_c` reads as unknown, so rows encoded by a grown vocabulary can be scored. Gradients
    are sparse: their cost follows the batch, not the vocabulary.

    Args:
        sizes: rows per feature, the categorical ones first.
        dim: width of an embedding.
    """

    sizes: Tensor
    offsets: Tensor

    def __init__(self, sizes: Sequence[int], dim: int) -> None:
        super().__init__()
        starts = [sum(sizes[:index]) for index in range(len(sizes))]
        self.register_buffer("sizes", torch.tensor(sizes, dtype=torch.int64), persistent=False)
        self.register_buffer("offsets", torch.tensor(starts, dtype=torch.int64), persistent=False)
        # Drawn once: nn.Embedding of its own draws a table that would be thrown away.
        first = torch.empty(sum(sizes), dim).normal_(std=INITIAL_STD)
        self.table = nn.Embedding(sum(sizes), dim, sparse=True, _weight=first)

    def forward(self, categorical: Tensor) -> Tensor:
        """Map `[B, C]` indices to `[B, C * dim]`."""
        columns = categorical.shape[1]
        known = torch.where(categorical < self.sizes[:columns], categorical, UNKNOWN)
        embedded: Tensor = self.table(known + self.offsets[:columns])
        return embedded.flatten(1)
