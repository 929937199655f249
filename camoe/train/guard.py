"""Stops training when the loss is not finite or explodes, and names the batch's rows."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice

from camoe.contracts.errors import TrainingError
from camoe.stream.plan import Plan, row_names

# Losses that the running mean is over, and how many of them it takes before a loss is judged.
WINDOW, FEWEST = 100, 20
NAMED_ROWS = 3


class LossGuard:
    """Judges each step's loss against the mean of up to `WINDOW` losses before it, `earlier` ones included."""

    def __init__(self, most: float, earlier: Iterable[float]) -> None:
        self._most = most
        self._recent = deque(earlier, maxlen=WINDOW)

    def check(self, loss: float, plan: Plan, step: int) -> None:
        """Take note of the loss of `step` of `plan`.

        Raises:
            TrainingError: it is not finite, or more than `most` times the running mean; names the batch's first rows.
        """
        mean = sum(self._recent) / max(1, len(self._recent))
        if not math.isfinite(loss):
            self._stop(f"the loss is {loss}", plan, step)
        if len(self._recent) >= FEWEST and loss > self._most * mean:
            self._stop(f"the loss explodes: it is {loss:.4g}, {loss / mean:.0f} times its running mean", plan, step)
        self._recent.append(loss)

    def _stop(self, what: str, plan: Plan, step: int) -> None:
        rows = "; ".join(islice(_names(plan, step), NAMED_ROWS))
        raise TrainingError(
            f"{what} at step {step + 1} of epoch {plan.epoch + 1}; its batch of {plan.batch_rows(step):,} rows begins "
            f"with {rows}; lower training.learning_rate, set training.clip_norm, or look for extreme values among the "
            "numeric features; checkpoints from before are kept"
        )


def _names(plan: Plan, step: int) -> Iterator[str]:
    for take in plan.batch(step):
        for file, group, row in row_names(plan, take).tolist():
            yield f"{plan.snapshot.files[file].path}, row group {group}, row {row}"
