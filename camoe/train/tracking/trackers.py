"""Trackers of a run's figures besides the log: TensorBoard, and MLflow when it is configured."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from camoe.bundle.manifest import Manifest
from camoe.config.training import TrainingConfig
from camoe.train.tracking.mlflow_tracker import Mlflow, TrackedRun
from camoe.train.tracking.tracker import Tracker, give_up_on


class TensorBoard:
    """Event files in `folder`; what an earlier attempt wrote there from `first_step` on is hidden.

    When the disk does not take them, that is said once, and training goes on.
    """

    def __init__(self, folder: Path, first_step: int) -> None:
        self._folder = folder
        self._writer: Any = None
        with self._safely():
            self._writer = SummaryWriter(str(folder), purge_step=first_step)

    def scalars(self, figures: Mapping[str, float], step: int) -> None:
        """See `Tracker`."""
        if self._writer is not None:
            with self._safely():
                for name, value in figures.items():
                    self._writer.add_scalar(name, value, step)
                self._writer.flush()

    def finish(self, bundle: Path, manifest: Manifest, rows: Sequence[Mapping[str, Any]]) -> None:
        """See `Tracker`."""
        if self._writer is not None:
            with self._safely():
                self._writer.add_text("model", f"{bundle}, from {manifest.table} version {manifest.table_version}")
                self._writer.close()

    def fail(self) -> None:
        """See `Tracker`."""

    def _safely(self) -> contextlib.AbstractContextManager[None]:
        return give_up_on(f"TensorBoard's files in {self._folder}", (OSError,), self._stop)

    def _stop(self) -> None:
        self._writer = None


def track(trackers: Sequence[Tracker], figures: Iterator[tuple[str, float]], step: int) -> None:
    """Give the `figures` after `step` steps to all `trackers`."""
    collected = dict(figures)
    for tracker in trackers:
        tracker.scalars(collected, step)


@contextlib.contextmanager
def trackers(
    config: TrainingConfig, logs: Path, run: TrackedRun, steps: int, leads: bool
) -> Iterator[tuple[Tracker, ...]]:
    """Open the trackers that `config` asks for, on the worker that `leads`; a `run` that fails is marked so in MLflow.

    `steps` are those that the run was trained before.
    """
    made = list[Tracker]()
    if leads and config.tensorboard:
        made.append(TensorBoard(logs / "tensorboard" / run.name, steps + 1))
    if leads and config.tracking is not None:
        made.append(Mlflow(config.tracking, run))
    try:
        yield tuple(made)
    except BaseException:
        for tracker in made:
            tracker.fail()
        raise
