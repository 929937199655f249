"""Sequence features: a packed array of indices and a length a row, pooled to one embedding through the joint table."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from camoe.contracts.encoder import UNKNOWN
from camoe.model.embedding import JointEmbedding

Pooling = Literal["mean", "sum"]


def pooled(embedding: JointEmbedding, feature: int, indices: Tensor, lengths: Tensor, pooling: Pooling) -> Tensor:
    """`mean_{l < length} table[index_l]`, or the sum; zero where the length is zero.

    What stands behind a sequence's length is never looked up, so it changes neither the result nor the gradient,
    and costs nothing in the exchange. An index at or beyond the feature's size reads as unknown.

    Args:
        embedding: the joint table.
        feature: the position, among the table's features, of the one whose rows the sequence shares.
        indices: `[B, L]`, padded at the end.
        lengths: `[B]`, from 0 to L.
        pooling: how a sequence becomes one embedding.

    Returns:
        `[B, dim]`.
    """
    real = torch.arange(indices.shape[1], device=indices.device) < lengths.unsqueeze(1)
    read = indices[real].to(torch.int64)
    rows = torch.where(read < embedding.sizes[feature], read, UNKNOWN) + embedding.offsets[feature]
    counts = real.sum(dim=1)
    return functional.embedding_bag(
        rows, embedding.table.weight, counts.cumsum(dim=0) - counts, mode=pooling, sparse=True
    )
