"""Sequence features: a packed array of indices and a length a row, pooled to one embedding through the joint table."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from camoe.contracts.encoder import UNKNOWN
from camoe.contracts.features import FeatureSet
from camoe.contracts.sequences import age_columns
from camoe.model.layers.attention import ActivationUnit
from camoe.model.layers.embedding import JointEmbedding


class SequencePooling(nn.Module):
    """The pooling of each of a model's sequence columns to one embedding a row, a weighted sum of its elements'.

    `mean`: 1 / length each; `sum`: 1; `decayed`: `exp(-age / tau)` over the sum of these; `attention`: an
    `ActivationUnit` of the row's own value of the categorical that the sequence shares its embeddings with.

    Args:
        features: what the model reads; the joint table has their `embedded_columns`.
        dim: width `D` of an embedding.
        hidden: widths of the activation units.
    """

    def __init__(self, features: FeatureSet, dim: int, hidden: Sequence[int]) -> None:
        super().__init__()
        self.columns, self.dim = features.sequence_columns, dim
        self.tables = [features.embedded_columns.index(column.table) for column in self.columns]
        self.ages = age_columns(self.columns)
        attentive = [column.name for column in self.columns if column.pooling == "attention"]
        self.units = nn.ModuleDict({name: ActivationUnit(dim, hidden) for name in attentive})

    @property
    def width(self) -> int:
        """`S`: a row's length and longest sequence, of all columns."""
        return sum(1 + column.length for column in self.columns)

    @property
    def ages_width(self) -> int:
        """`A`: ages of a row, of all columns of ages."""
        return sum(self.ages.values())

    def forward(self, embedding: JointEmbedding, packed: Tensor, ages: Tensor, categorical: Tensor) -> list[Tensor]:
        """Return of each column one embedding a row `[B, D]`.

        Args:
            embedding: the joint table.
            packed: `[B, S]`, as `Block.sequences` has it.
            ages: `[B, A]`, the end of `Block.numeric`.
            categorical: the embeddings of the row's own categoricals, `[B, C * D]`.
        """
        parts = torch.split(packed, [1 + column.length for column in self.columns], dim=1)
        of = dict(zip(self.ages, torch.split(ages, list(self.ages.values()), dim=1), strict=True)) if self.ages else {}
        made = []
        for column, table, part in zip(self.columns, self.tables, parts, strict=True):
            elements = Elements(embedding, table, part[:, 1:], part[:, 0])
            if column.pooling == "attention":
                # Categoricals come first among the columns with embeddings.
                query = categorical[:, table * self.dim : (table + 1) * self.dim]
                made.append(elements.attended(query, self.units[column.name]))
            elif column.decay_s is not None:
                made.append(elements.weighted(elements.decayed(of[str(column.ages)], column.decay_s)))
            else:
                made.append(elements.mean() if column.pooling == "mean" else elements.total())
        return made


class Elements:
    """The elements of a column's sequences.

    What stands behind a sequence's length is never looked up, so it changes neither the result nor the gradient,
    and costs nothing in the exchange. An index at or beyond the feature's size reads as unknown. In a graph, whose
    shapes rest on the number of rows alone, it is looked up as unknown and weighs nothing.

    Args:
        embedding: the joint table.
        feature: the position, among the table's features, of the one whose rows the sequence shares.
        indices: `[B, L]`, padded at the end.
        lengths: `[B]`, from 0 to L.
    """

    def __init__(self, embedding: JointEmbedding, feature: int, indices: Tensor, lengths: Tensor) -> None:
        self._embedding, self._feature, self._indices = embedding, feature, indices
        self._real = torch.arange(indices.shape[1], device=indices.device) < lengths.unsqueeze(1)

    def mean(self) -> Tensor:
        """Return `mean_{l < length} table[index_l]`; zero where the length is zero: `[B, D]`."""
        if torch.compiler.is_exporting():
            return self.total() / self._real.sum(dim=1, keepdim=True).clamp(min=1)
        return self._bag("mean")

    def total(self) -> Tensor:
        """Return `sum_{l < length} table[index_l]`: `[B, D]`."""
        if torch.compiler.is_exporting():
            return torch.where(self._real.unsqueeze(2), self._padded(), 0.0).sum(dim=1)
        return self._bag("sum")

    def weighted(self, weights: Tensor) -> Tensor:
        """Return `sum_{l < length} w_l table[index_l]` for weights `[B, L]` that are not learned: `[B, D]`."""
        if torch.compiler.is_exporting():
            return torch.where(self._real.unsqueeze(2), weights.unsqueeze(2) * self._padded(), 0.0).sum(dim=1)
        return self._bag("sum", weights[self._real].to(self._embedding.table.weight.dtype))

    def decayed(self, ages: Tensor, decay_s: float) -> Tensor:
        """Return `exp(-age_l / tau) / sum_m exp(-age_m / tau)`, from ages `[B, L]` in log1p of seconds: `[B, L]`.

        Each age is taken less the row's least, which changes nothing, and leaves no row of old elements without weight.
        """
        exponents = torch.where(self._real, -torch.expm1(ages) / decay_s, -torch.inf)
        least = exponents.amax(dim=1, keepdim=True)
        grown = torch.where(self._real, torch.exp(exponents - torch.where(least > -torch.inf, least, 0.0)), 0.0)
        return grown / grown.sum(dim=1, keepdim=True).clamp(min=1)

    def attended(self, query: Tensor, unit: nn.Module) -> Tensor:
        """Return `sum_{l < length} a(query, k_l) k_l` with `k_l = table[index_l]` and the unit's a: `[B, D]` each."""
        rows, longest = self._indices.shape
        if torch.compiler.is_exporting():
            keys = self._padded()
            asked = query.unsqueeze(1).expand(-1, longest, -1)
            weights = unit(asked.flatten(0, 1), keys.flatten(0, 1)).unflatten(0, (-1, longest))
            return torch.where(self._real.unsqueeze(2), weights * keys, 0.0).sum(dim=1)
        keys, row = self._embedding.table(self._looked_up()), self._real.nonzero()[:, 0]
        # Not by indexing, whose gradient adds up in an order of its own each time.
        said: Tensor = unit(query.index_select(0, row), keys) * keys
        return said.new_zeros(rows, said.shape[1]).index_add(0, row, said)

    def _looked_up(self) -> Tensor:
        """Return the table's rows of all elements, row after row."""
        return self._embedding.rows(self._indices[self._real].to(torch.int64), self._feature)

    def _bag(self, mode: str, weights: Tensor | None = None) -> Tensor:
        counts = self._real.sum(dim=1)
        return functional.embedding_bag(
            self._looked_up(), self._embedding.table.weight, counts.cumsum(dim=0) - counts, mode=mode, sparse=True,
            per_sample_weights=weights,
        )  # fmt: skip

    def _padded(self) -> Tensor:
        """Return the embeddings `[B, L, D]`, that of unknown where there is no element."""
        indices = torch.where(self._real, self._indices, UNKNOWN).to(torch.int64)
        found: Tensor = self._embedding.table(self._embedding.rows(indices, self._feature))
        return found
