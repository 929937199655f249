"""Adaptive loss masking: a head learns only from the impressions that belong to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from camoe.contracts.heads import HeadSet
from camoe.contracts.slots import SlotCatalogue
from camoe.model.spec import ModelSpec


@dataclass(frozen=True)
class Masking:
    """Labels that each head learns, from which rows, and with what weight.

    A row's cell is its slot and, where heads select by a column, which of their values it has there: one of `values`
    int64 `[V]`, indices in the categorical `column`, or none. `objective` int64 `[H]`: column of the label matrix;
    `member` bool `[cells, H]`: what each head learns from; `served` bool `[cells, H]`: what it scores; `weight`
    float64 `[H]`.
    """

    objective: Tensor
    member: Tensor
    served: Tensor
    weight: Tensor
    values: Tensor
    column: int = 0

    def to(self, device: torch.device) -> Masking:
        """Return the same on `device`."""
        objective, member, served, weight, values = (
            of.to(device) for of in (self.objective, self.member, self.served, self.weight, self.values)
        )
        return Masking(objective, member, served, weight, values, self.column)

    @property
    def serving(self) -> Masking:
        """The masking by which heads are judged: each on the rows that it scores, also where it learns from others."""
        return replace(self, member=self.served)

    def cells(self, slot: Tensor, categorical: Tensor) -> Tensor:
        """Return the cell `[B]` of each row, from slot ids `[B]` and indices `[B, C]`."""
        if not len(self.values):
            return slot
        has = categorical[:, self.column].unsqueeze(1) == self.values
        case = (has * torch.arange(1, len(self.values) + 1, device=slot.device)).sum(dim=1)
        return slot * (len(self.values) + 1) + case


def masking_of(spec: ModelSpec, *, adaptive: bool) -> Masking:
    """Return the masking of a model's heads; without `adaptive`, every head learns from every row."""
    made = make_masking(spec.heads, spec.slots, adaptive=adaptive)
    return replace(made, values=torch.tensor(spec.head_indices, dtype=torch.int64), column=spec.head_column)


def make_masking(heads: HeadSet, slots: SlotCatalogue, *, adaptive: bool) -> Masking:
    """Return the masking of `heads` that select by slots alone; without `adaptive`, every head learns from all."""
    objectives = heads.objectives
    served = torch.tensor(heads.membership(slots), dtype=torch.bool).T
    return Masking(
        objective=torch.tensor([objectives.index(head.objective) for head in heads.heads]),
        member=served if adaptive else torch.ones_like(served),
        served=served,
        weight=torch.tensor([head.weight for head in heads.heads], dtype=torch.float64),
        values=torch.empty(0, dtype=torch.int64),
    )


def targets(masking: Masking, labels: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
    """Return per-head labels and mask: `[B, O]` labels (negative where unknown) and `[B]` cells to two `[B, H]`.

    A cell is the slot id where heads select by slots alone; `Masking.cells` gives it in any case.
    """
    label = labels[:, masking.objective]
    mask = masking.member[cell] & (label >= 0)
    return label.clamp(min=0), mask


def head_losses(logits: Tensor, label: Tensor, mask: Tensor) -> Tensor:
    """Return this worker's part of each head's `sum_i m_ih BCE(y_ih, p_ih)`: three `[B, H]` to `[H]`."""
    terms = binary_cross_entropy_with_logits(logits, label.to(logits.dtype), reduction="none")
    return torch.where(mask, terms, 0.0).sum(dim=0)


def masked_loss(losses: Tensor, weight: Tensor, count: Tensor) -> Tensor:
    """Return this worker's part of `L = sum_h w_h sum_i m_ih BCE(y_ih, p_ih) / N_h`, a scalar.

    `count` is `N_h` of the step (a `Normaliser`), the same on all workers, so the workers' parts add up to the loss of
    the whole batch. A head without rows contributes exactly nothing.

    Args:
        losses: this worker's `head_losses`, `[H]`.
        weight, count: `[H]`.
    """
    scale = torch.where(count > 0, weight / torch.where(count > 0, count, 1.0), 0.0).to(losses.dtype)
    return (losses * scale).sum()


def per_head(count: Tensor, _rows: Tensor) -> Tensor:
    """Return `N_h`, each head's own rows, `[H]`: every head weighs the same, however rare its rows."""
    return count


def whole_batch(count: Tensor, rows: Tensor) -> Tensor:
    """Return `N_h`, the rows of the whole batch for every head, `[H]`: every row weighs the same."""
    return rows.expand_as(count)


@dataclass(frozen=True)
class ExpectedCounts:
    """`N_h`: the rows that the head has in a batch of that size on average, `share_h` of it.

    The mean step over an epoch is then the step over the whole epoch at once, also for a head that most batches lack:
    an unbiased estimate, where `per_head` weighs the few rows of a rare head by how many happened to meet. The shares
    come from the plan, which counts rows of slots: rows whose label turns out to be unknown are counted in.

    `share` float64 `[H]`.
    """

    share: Tensor

    def __call__(self, _count: Tensor, rows: Tensor) -> Tensor:
        """Return `[H]`."""
        return self.share * rows


# (rows of each head [H], rows of the batch []) over all workers -> N_h [H]
Normaliser = Callable[[Tensor, Tensor], Tensor]


def make_normaliser(kind: Literal["head", "batch", "expected"], masking: Masking, slot_share: Tensor) -> Normaliser:
    """Return the normaliser called `kind`; `slot_share` float64 `[slots]` is each slot's share of the plan's rows."""
    if kind == "expected":
        return ExpectedCounts(slot_share.to(masking.weight) @ masking.member.to(masking.weight))
    return per_head if kind == "head" else whole_batch
