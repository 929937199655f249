"""Models of one specification whose logits are averaged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from camoe.model.camoe import Camoe
from camoe.model.networks.mixture import MixtureOfExperts


class Ensemble(nn.Module):
    """`logit_h = mean_m logit_hm` over the members m: the geometric mean of their odds.

    It is trained member by member, and has no gates of its own.
    """

    def __init__(self, members: Sequence[Camoe]) -> None:
        super().__init__()
        self.models = nn.ModuleList(members)

    @property
    def members(self) -> tuple[Camoe, ...]:
        """The models that are averaged."""
        return cast("tuple[Camoe, ...]", tuple(self.models))

    def logits(self, categorical: Tensor, numeric: Tensor, sequences: Tensor | None = None) -> Tensor:
        """Return the logits of all heads: `[B, H]`."""
        return torch.stack([member.logits(categorical, numeric, sequences) for member in self.members]).mean(dim=0)

    def head_logits(
        self, heads: Sequence[int], categorical: Tensor, numeric: Tensor, sequences: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        """Return the logits of `heads` alone, `[B]` each."""
        each = [member.head_logits(heads, categorical, numeric, sequences) for member in self.members]
        return tuple(torch.stack(logits).mean(dim=0) for logits in zip(*each, strict=True))


Model = Camoe | Ensemble


def ensemble_of(members: Sequence[Camoe]) -> Model:
    """Return the model of `members`, one that is alone as it is."""
    return members[0] if len(members) == 1 else Ensemble(members)


def keep_experts(model: Model, kept: Sequence[Sequence[Sequence[int]]]) -> None:
    """Let the members of `model` use only the experts `kept`, by member and head; all where it is empty."""
    if kept:
        for member, by_head in zip(model.members, kept, strict=True):
            assert isinstance(member.body, MixtureOfExperts)
            member.body.keep(by_head)
