"""When training is over, and what people are told of it. Torch-free."""

from __future__ import annotations

import math
from collections.abc import Sequence

from camoe.config.training import TrainingConfig
from camoe.report import text
from camoe.train.checkpoint.history import History, Place, Validation


def entropies(heads: Sequence[str], validation: Validation) -> str:
    """Tell the NE of each of `heads`; a dash for one that saw one class only."""
    found = zip(heads, validation.ne, strict=True)
    return ", ".join(f"{name} {text.metric(ne if math.isfinite(ne) else None)}" for name, ne in found)


def why_over(history: History, config: TrainingConfig, until: int | None) -> str:
    """Tell why the training of `history` is over, and which weights it ends with; `until` as in `TrainingData`."""
    if until is not None:
        why = f"all {until:,} steps of the refit are done"
    elif config.steps is not None:
        why = f"all {config.steps:,} steps are done (training.steps)"
    else:
        why = f"all {config.epochs} epochs are done (training.epochs)"
    best = history.best_place
    told = best is not None and math.isfinite(history.validations[history.best][1].score)
    kept = f"; the weights are those of the best validation, after {_place(best)}" if best and told else ""
    return f"over after {history.steps:,} steps: {why}{kept}"


def _place(place: Place) -> str:
    return f"epoch {place.epoch}" if place.step == 0 else f"epoch {place.epoch + 1}, step {place.step:,}"
