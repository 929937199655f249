"""The rows that all systems learn from and are judged on: those of the training table, read through the stream."""

from __future__ import annotations

from dataclasses import dataclass

from camoe.config.pipeline import Config
from camoe.contracts.snapshot import logged, opened
from camoe.metrics.histogram import Floats, Ints
from camoe.study.rows import Rows, read_rows
from camoe.train.data.training_inputs import TrainingInputs

__all__ = ["Days", "Floats", "Ints", "Rows", "read_days"]


@dataclass(frozen=True)
class Days:
    """Rows of the training, validation and test days."""

    train: Rows
    validation: Rows
    test: Rows


def read_days(config: Config, inputs: TrainingInputs) -> Days:
    """Read the three parts, with the labels of the first objective."""
    test = config.days.test.days()
    pinned = opened(logged(config.layout.training, inputs.version), test).on(test)
    return Days(*(read_rows(config, snapshot) for snapshot in (inputs.train, inputs.validation, pinned)))
