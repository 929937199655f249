"""The global batch and the learning rates that a number of rows a worker stands for. Torch-free."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

from camoe.config.pipeline import Config
from camoe.config.training import TrainingConfig

# By `learning_rate_scaling`, the power of the number of workers that rates are multiplied by.
POWERS: Mapping[str, float] = {"none": 0.0, "sqrt": 0.5, "linear": 1.0}


def for_workers(config: Config, workers: int) -> Config:
    """Return `config` with the global batch and rates that its `worker_batch_size` stands for, and without that.

    What comes out says the same whatever the number of workers, so a run that goes on with others stays the same run.
    """
    training = config.training
    return config.model_copy(update={"training": training.model_copy(update=_settings(training, workers))})


def as_overrides(training: TrainingConfig, workers: int) -> list[str]:
    """Return what `for_workers` changes, as overrides of a command line."""
    return [f"training.{name}={json.dumps(value)}" for name, value in _settings(training, workers).items()]


def describe_batch(training: TrainingConfig, workers: int) -> str:
    """Describe workers, batch and factor of the rates for people."""
    if training.worker_batch_size is None:
        return f"{workers} workers, batch {training.batch_size:,}"
    return f"{workers} workers x {training.worker_batch_size:,} rows, rates x {_factor(training, workers):.2f}"


def _settings(training: TrainingConfig, workers: int) -> dict[str, int | float | str | None]:
    if training.worker_batch_size is None:
        return {}
    factor = _factor(training, workers)
    return {
        "worker_batch_size": None,
        "learning_rate_scaling": "none",
        "batch_size": training.worker_batch_size * workers,
        "learning_rate": training.learning_rate * factor,
        "embedding_learning_rate": training.embedding_learning_rate * factor,
    }


def _factor(training: TrainingConfig, workers: int) -> float:
    return math.pow(workers, POWERS[training.learning_rate_scaling])
