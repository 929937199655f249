"""Stops training when loss or gradients are not finite or the loss explodes, and names the batch's rows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from camoe.contracts.errors import TrainingError
from camoe.contracts.files import write_text
from camoe.stream.planning.plan import BatchPlan, row_names
from camoe.train.checkpoint.history import RunningLoss
from camoe.train.distributed.workers import Workers, broadcast
from camoe.train.loop.step import StepResult

# What a batch's loss and rows still count for in the running mean after one batch more, and how many batches with rows
# of a head it takes before its loss is judged.
FADE, FEWEST = 0.99, 20
# Rows of the usual loss that are added to a batch's: few rows, a first click among them, may be far from the mean.
USUAL_ROWS = 100
# The mean loss of a model that knows nothing, p = 1/2: what is below it does not explode.
KNOWING_NOTHING = math.log(2)
NAMED_ROWS = 3
# Columns of the file that names the rows of a batch.
NAMES = ("file", "row_group", "row")


@dataclass(frozen=True)
class LossGuard:
    """Judges each step's loss of each of `heads` against the head's running mean over its rows of earlier batches.

    By head, because rows of a rare one may raise the loss of a batch beyond any factor. `most` is how many times the
    mean is too much. All `workers` judge the same losses; the first one writes the names of a judged batch's rows into
    `folder`.
    """

    most: float
    heads: tuple[str, ...]
    workers: Workers
    folder: Path

    def check(
        self, levels: tuple[RunningLoss, ...], result: StepResult, plan: BatchPlan, step: int
    ) -> tuple[RunningLoss, ...]:
        """Return the heads' running losses after the `result` of `step` of `plan`; `levels` are those before it.

        Raises:
            TrainingError: loss or gradients are not finite, or the loss of a head explodes; names the batch's first
                rows, and the file that names all.
        """
        if not math.isfinite(result.loss):
            self._stop(f"the loss is {result.loss}", plan, step)
        if not math.isfinite(result.norm):
            self._stop(f"the norm of the gradients is {result.norm}, at a loss of {result.loss:.4g}", plan, step)
        batch = tuple(zip(self.heads, levels, result.losses, result.rows, strict=True))
        for head, level, loss, rows in batch:
            if self._explodes(level, loss, rows):
                found = f"{loss / rows:.4g} a row over {rows:,} rows, and its running mean is {level.mean:.4g}"
                self._stop(f"the loss of {head} explodes: it is {found},", plan, step)
        return tuple(_faded(level, loss, rows) for _, level, loss, rows in batch)

    def _explodes(self, level: RunningLoss, loss: float, rows: int) -> bool:
        usual = max(level.mean, KNOWING_NOTHING / self.most)
        return level.batches >= FEWEST and loss + USUAL_ROWS * usual > self.most * usual * (rows + USUAL_ROWS)

    def _stop(self, what: str, plan: BatchPlan, step: int) -> None:
        first = islice(_names(plan, step), NAMED_ROWS)
        rows = "; ".join(f"{file}, row group {group}, row {row}" for file, group, row in first)
        # Nobody stops before the names are written: the launcher ends all workers when one has stopped.
        where = broadcast(self._write(plan, step) if self.workers.leads else "", "row_names")
        raise TrainingError(
            f"{what} at step {step + 1} of epoch {plan.epoch + 1}; its batch of {plan.batch_rows(step):,} rows begins "
            f"with {rows}; {where}; lower training.learning_rate, set training.clip_norm, or look for extreme values "
            "among the numeric features; checkpoints from before are kept"
        )

    def _write(self, plan: BatchPlan, step: int) -> str:
        """Write the names of all rows of the batch; say where they are."""
        path = self.folder / f"batch-epoch{plan.epoch + 1:04d}-step{step + 1:08d}.tsv"
        lines = ("\t".join(map(str, name)) for name in (NAMES, *_names(plan, step)))
        try:
            write_text(path, "\n".join(lines) + "\n")
        except OSError as error:
            return f"the names of all could not be written to {path} ({error})"
        return f"all are named in {path}"


def _faded(level: RunningLoss, loss: float, rows: int) -> RunningLoss:
    """Return `level` after a batch; one without rows of the head leaves it as it is."""
    return RunningLoss(FADE * level.loss + loss, FADE * level.rows + rows, level.batches + 1) if rows else level


def _names(plan: BatchPlan, step: int) -> Iterator[tuple[str, int, int]]:
    """Yield (file, row group, row) of each row of the batch, as `row_names` numbers them."""
    for take in plan.batch(step):
        for file, group, row in row_names(plan, take).tolist():
            yield plan.snapshot.files[file].path, group, row
