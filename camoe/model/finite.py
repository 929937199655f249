"""Weights that training has not ruined."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from camoe.contracts.errors import TrainingError


def require_finite(weights: Mapping[str, Tensor], consequence: str) -> None:
    """Raise `TrainingError` with the names of the weights that are not finite; `consequence` says what was not done."""
    bad = sorted(name for name, value in weights.items() if not bool(torch.isfinite(value).all()))
    if bad:
        raise TrainingError(
            f"{', '.join(bad)}: not finite, so {consequence}; lower training.learning_rate or set training.clip_norm"
        )
