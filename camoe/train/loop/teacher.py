"""Learning from a teacher's probabilities beside the labels."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from camoe.config.training import TrainingConfig
from camoe.contracts.errors import TrainingError
from camoe.contracts.heads import HeadSet


@dataclass(frozen=True)
class Teacher:
    """A teacher of the heads `taught`, bool `[H]`, whose labels count `weight` where it says something.

    BCE is linear in what is to be predicted, so `w BCE(y) + (1 - w) BCE(t)` is `BCE(w y + (1 - w) t)`.
    """

    taught: Tensor
    weight: float
    name: str

    def mixed(self, label: Tensor, told: Tensor, kept: Tensor) -> Tensor:
        """Return what each head is to predict: labels `[B, H]` and the teacher's `[B]` to `[B, H]`.

        Where a part of the negatives is left out, the teacher's odds are those among the kept rows, too.

        Args:
            label: 0 or 1.
            told: probabilities among all rows, NaN where the teacher says nothing.
            kept: share of the negatives that each head keeps, `[H]`.

        Raises:
            TrainingError: the teacher has said something that is no probability.
        """
        known = ~torch.isnan(told)
        p = torch.where(known, told, 0.5)
        if bool(((p < 0) | (p > 1)).any()):
            strange = p[(p < 0) | (p > 1)][0].item()
            raise TrainingError(
                f"the target {self.name} has the value {strange:g}, and training.teacher takes probabilities; give "
                "null where the teacher says nothing"
            )
        among_kept = p.unsqueeze(1) / (p.unsqueeze(1) + (1 - p.unsqueeze(1)) * kept.to(p.dtype))
        hard = label.to(told.dtype)
        soft = self.weight * hard + (1 - self.weight) * among_kept
        return torch.where(known.unsqueeze(1) & self.taught, soft, hard)


def make_teacher(training: TrainingConfig, heads: HeadSet, device: torch.device) -> Teacher | None:
    """Make the teacher that `training` declares, None where it declares none."""
    if training.teacher is None:
        return None
    objective = training.teacher.objective or heads.objectives[0]
    taught = torch.tensor([head.objective == objective for head in heads.heads], device=device)
    return Teacher(taught, training.teacher.weight, training.teacher.column)
