"""Adaptive loss masking: a head learns only from the impressions that belong to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from camoe.contracts.heads import HeadSet
from camoe.contracts.slots import SlotCatalogue


@dataclass(frozen=True)
class Masking:
    """Which label each head learns, from which slots, and with what weight.

    `objective` int64 `[H]`: column of the label matrix; `member` bool `[slots, H]`; `weight` float64 `[H]`.
    """

    objective: Tensor
    member: Tensor
    weight: Tensor

    def to(self, device: torch.device) -> Masking:
        """The same on `device`."""
        return Masking(self.objective.to(device), self.member.to(device), self.weight.to(device))


def make_masking(heads: HeadSet, slots: SlotCatalogue, *, adaptive: bool) -> Masking:
    """The masking of `heads`; without `adaptive`, every head learns from every slot."""
    objectives = heads.objectives
    member = torch.tensor(heads.membership(slots), dtype=torch.bool).T
    return Masking(
        objective=torch.tensor([objectives.index(head.objective) for head in heads.heads]),
        member=member if adaptive else torch.ones_like(member),
        weight=torch.tensor([head.weight for head in heads.heads], dtype=torch.float64),
    )


def targets(masking: Masking, labels: Tensor, slot: Tensor) -> tuple[Tensor, Tensor]:
    """Per-head labels and mask: `[B, O]` labels (negative where unknown) and `[B]` slot ids to two `[B, H]`."""
    label = labels[:, masking.objective]
    mask = masking.member[slot] & (label >= 0)
    return label.clamp(min=0), mask


def masked_loss(logits: Tensor, label: Tensor, mask: Tensor, weight: Tensor, count: Tensor) -> Tensor:
    """This worker's part of `L = sum_h w_h sum_i m_ih BCE(y_ih, p_ih) / N_h`, a scalar.

    `count` `[H]` is `N_h` of the step (a `Normaliser`), the same on all workers, so the workers' parts add up to the
    loss of the whole batch. A head without rows contributes exactly nothing.

    Args:
        logits, label, mask: `[B, H]`.
        weight, count: `[H]`.
    """
    terms = binary_cross_entropy_with_logits(logits, label.to(logits.dtype), reduction="none")
    sums = torch.where(mask, terms, 0.0).sum(dim=0)
    scale = torch.where(count > 0, weight / torch.where(count > 0, count, 1.0), 0.0).to(sums.dtype)
    return (sums * scale).sum()


def per_head(count: Tensor, _rows: Tensor) -> Tensor:
    """`N_h`: each head's own rows, `[H]`. Every head weighs the same, however rare its rows."""
    return count


def whole_batch(count: Tensor, rows: Tensor) -> Tensor:
    """`N_h`: the rows of the whole batch for every head, `[H]`. Every row weighs the same."""
    return rows.expand_as(count)


@dataclass(frozen=True)
class Expected:
    """`N_h`: the rows that the head has in a batch of that size on average, `share_h` of it.

    The mean step over an epoch is then the step over the whole epoch at once, also for a head that most batches lack:
    an unbiased estimate, where `per_head` weighs the few rows of a rare head by how many happened to meet. The shares
    come from the plan, which counts rows of slots: rows whose label turns out to be unknown are counted in.

    `share` float64 `[H]`.
    """

    share: Tensor

    def __call__(self, _count: Tensor, rows: Tensor) -> Tensor:
        """`[H]`."""
        return self.share * rows


# (rows of each head [H], rows of the batch []) over all workers -> N_h [H]
Normaliser = Callable[[Tensor, Tensor], Tensor]


def make_normaliser(kind: Literal["head", "batch", "expected"], masking: Masking, slot_share: Tensor) -> Normaliser:
    """The normaliser called `kind`; `slot_share` float64 `[slots]` is each slot's share of the plan's rows."""
    expected = Expected(slot_share.to(masking.weight) @ masking.member.to(masking.weight))
    kinds: dict[str, Normaliser] = {"head": per_head, "batch": whole_batch, "expected": expected}
    return kinds[kind]
