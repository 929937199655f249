"""Sequence features: a packed array of indices and a length a row, pooled to one embedding through the joint table."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from camoe.contracts.encoder import UNKNOWN
from camoe.contracts.features import FeatureSet
from camoe.contracts.sequences import Pooling, SequenceColumn
from camoe.model.layers.embedding import JointEmbedding


@dataclass(frozen=True)
class Sequences:
    """The sequence columns of a model, and for each the position, among the table's features, of the one it reads."""

    columns: tuple[SequenceColumn, ...]
    tables: tuple[int, ...]

    @property
    def width(self) -> int:
        """`S`: a row's length and longest sequence, of all columns."""
        return sum(1 + column.length for column in self.columns)

    def embedded(self, embedding: JointEmbedding, packed: Tensor) -> list[Tensor]:
        """Return of each column one embedding a row `[B, dim]`, from `[B, S]` as `Block.sequences` has it."""
        parts = torch.split(packed, [1 + column.length for column in self.columns], dim=1)
        return [
            pooled(embedding, table, part[:, 1:], part[:, 0], column.pooling)
            for column, table, part in zip(self.columns, self.tables, parts, strict=True)
        ]


def sequences_of(features: FeatureSet) -> Sequences:
    """Return the sequences of a model over `features`, whose joint table has their `embedded_columns`."""
    columns = features.sequence_columns
    return Sequences(columns, tuple(features.embedded_columns.index(column.table) for column in columns))


def pooled(embedding: JointEmbedding, feature: int, indices: Tensor, lengths: Tensor, pooling: Pooling) -> Tensor:
    """Return `mean_{l < length} table[index_l]`, or the sum; zero where the length is zero.

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
    if torch.compiler.is_exporting():
        return _pooled_in_a_graph(embedding, feature, indices, real, pooling)
    rows = embedding.rows(indices[real].to(torch.int64), feature)
    counts = real.sum(dim=1)
    return functional.embedding_bag(
        rows, embedding.table.weight, counts.cumsum(dim=0) - counts, mode=pooling, sparse=True
    )


def _pooled_in_a_graph(
    embedding: JointEmbedding, feature: int, indices: Tensor, real: Tensor, pooling: Pooling
) -> Tensor:
    """Pool as `pooled` does, from tensors whose shapes rest on the number of rows alone, as a graph needs it."""
    looked_up = embedding.table(embedding.rows(torch.where(real, indices, UNKNOWN).to(torch.int64), feature))
    total: Tensor = torch.where(real.unsqueeze(2), looked_up, 0.0).sum(dim=1)
    if pooling == "sum":
        return total
    return total / real.sum(dim=1, keepdim=True).clamp(min=1)
