"""Weights that training has not ruined."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from camoe.contracts.errors import TrainingError

# Entries of a tensor that are looked at together.
PART = 1 << 20


def require_finite(weights: Mapping[str, Tensor], consequence: str) -> None:
    """Raise `TrainingError` with the names of the weights that are not finite; `consequence` says what was not done."""
    bad = sorted(name for name, value in weights.items() if not _finite(value))
    if bad:
        raise TrainingError(
            f"{', '.join(bad)}: not finite, so {consequence}; lower training.learning_rate or set training.clip_norm"
        )


def _finite(value: Tensor) -> bool:
    """Return whether all of `value` is finite; in parts, as the answer for each entry takes as much memory as they."""
    return all(bool(torch.isfinite(part).all()) for part in torch.split(value.flatten(), PART))
