"""Stops training when loss or gradients are not finite or the loss explodes, and names the batch's rows."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from camoe.contracts.errors import TrainingError
from camoe.contracts.files import write_text
from camoe.stream.plan import Plan, row_names
from camoe.train.workers import Workers, first_workers

# Losses that the running mean is over, and how many of them it takes before a loss is judged.
WINDOW, FEWEST = 100, 20
NAMED_ROWS = 3
# Columns of the file that names the rows of a batch.
NAMES = ("file", "row_group", "row")


class LossGuard:
    """Judges each step's loss against the mean of up to `WINDOW` losses before it, `earlier` ones included.

    All `workers` judge the same losses; the first one writes the names of a judged batch's rows into `folder`.
    """

    def __init__(self, most: float, earlier: Iterable[float], workers: Workers, folder: Path) -> None:
        self._most = most
        self._recent = deque(earlier, maxlen=WINDOW)
        self._workers = workers
        self._folder = folder

    def check(self, loss: float, norm: float, plan: Plan, step: int) -> None:
        """Take note of the loss of `step` of `plan`, whose gradients have the L2 norm `norm`.

        Raises:
            TrainingError: one of them is not finite, or the loss is more than `most` times the running mean; names the
                batch's first rows, and the file that names all.
        """
        mean = sum(self._recent) / max(1, len(self._recent))
        if not math.isfinite(loss):
            self._stop(f"the loss is {loss}", plan, step)
        if not math.isfinite(norm):
            self._stop(f"the norm of the gradients is {norm}, at a loss of {loss:.4g}", plan, step)
        if len(self._recent) >= FEWEST and loss > self._most * mean:
            self._stop(f"the loss explodes: it is {loss:.4g}, {loss / mean:.0f} times its running mean", plan, step)
        self._recent.append(loss)

    def _stop(self, what: str, plan: Plan, step: int) -> None:
        first = islice(_names(plan, step), NAMED_ROWS)
        rows = "; ".join(f"{file}, row group {group}, row {row}" for file, group, row in first)
        # Nobody stops before the names are written: the launcher ends all workers when one has stopped.
        where = first_workers(self._write(plan, step) if self._workers.leads else "", "row_names")
        raise TrainingError(
            f"{what} at step {step + 1} of epoch {plan.epoch + 1}; its batch of {plan.batch_rows(step):,} rows begins "
            f"with {rows}; {where}; lower training.learning_rate, set training.clip_norm, or look for extreme values "
            "among the numeric features; checkpoints from before are kept"
        )

    def _write(self, plan: Plan, step: int) -> str:
        """Write the names of all rows of the batch; says where they are."""
        path = self._folder / f"batch-epoch{plan.epoch + 1:04d}-step{step + 1:08d}.tsv"
        lines = ("\t".join(map(str, name)) for name in (NAMES, *_names(plan, step)))
        try:
            write_text(path, "\n".join(lines) + "\n")
        except OSError as error:
            return f"the names of all could not be written to {path} ({error})"
        return f"all are named in {path}"


def _names(plan: Plan, step: int) -> Iterator[tuple[str, int, int]]:
    """(file, row group, row) of each row of the batch, as `row_names` numbers them."""
    for take in plan.batch(step):
        for file, group, row in row_names(plan, take).tolist():
            yield plan.snapshot.files[file].path, group, row
