"""Where a run's figures go besides the log: TensorBoard, and MLflow when it is configured."""

from __future__ import annotations

import contextlib
import importlib
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from torch.utils.tensorboard import SummaryWriter

from camoe.config import Config
from camoe.contracts.errors import ConfigError
from camoe.train.checkpoint import Checkpoints
from camoe.train.checkpoint_state import read_state
from camoe.train.config import TrackingConfig
from camoe.train.history import Validation
from camoe.train.observe import Observation

# MLflow takes so many parameters in one call, and texts of that length.
PARAMETERS, LONGEST = 100, 500


class Tracker(Protocol):
    """Takes figures by name."""

    def scalars(self, figures: Mapping[str, float], step: int) -> None:
        """Take finite `figures` as they stand after `step` steps of the run."""

    def finish(self, bundle: Path, table: str, version: int) -> None:
        """Take the bundle, and which version of which table it learned from."""


class TensorBoard:
    """Event files in `folder`; what an earlier attempt wrote there from `first_step` on is hidden.

    When the disk does not take them, that is said once, and training goes on: figures are worth less than a model.
    """

    def __init__(self, folder: Path, first_step: int) -> None:
        self._folder = folder
        self._writer: Any = None
        with self._told():
            self._writer = SummaryWriter(str(folder), purge_step=first_step)

    def scalars(self, figures: Mapping[str, float], step: int) -> None:
        """See `Tracker`."""
        if self._writer is not None:
            with self._told():
                for name, value in figures.items():
                    self._writer.add_scalar(name, value, step)
                self._writer.flush()

    def finish(self, bundle: Path, table: str, version: int) -> None:
        """See `Tracker`."""
        if self._writer is not None:
            with self._told():
                self._writer.add_text("model", f"{bundle}, from {table} version {version}")
                self._writer.close()

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._writer = None
            where = f"TensorBoard's files in {self._folder}"
            print(f"train: {where} could not be written ({error}); training goes on without them", flush=True)


class Mlflow:
    """An MLflow run named `run`, with `settings` as parameters.

    Raises:
        ConfigError: MLflow is not installed, or takes no runs at `config.uri`.
    """

    def __init__(self, config: TrackingConfig, run: str, settings: Mapping[str, Any]) -> None:
        try:
            self._mlflow: Any = importlib.import_module("mlflow")
        except ImportError:
            raise ConfigError(
                "training.tracking needs MLflow: install the extra 'mlflow' (mlflow-skinny) or leave it out"
            ) from None
        try:
            self._mlflow.set_tracking_uri(config.uri)
            self._mlflow.set_experiment(config.experiment)
            self._mlflow.start_run(run_name=run)
        except (self._mlflow.MlflowException, KeyError, OSError) as error:
            reason = str(error).splitlines()[0]
            raise ConfigError(f"training.tracking.uri {config.uri} cannot be used: {reason}") from None
        parameters = [(name.replace(" ", "_"), str(value)[:LONGEST]) for name, value in settings.items()]
        for first in range(0, len(parameters), PARAMETERS):
            self._mlflow.log_params(dict(parameters[first : first + PARAMETERS]))

    def scalars(self, figures: Mapping[str, float], step: int) -> None:
        """See `Tracker`."""
        self._mlflow.log_metrics(dict(figures), step=step)

    def finish(self, bundle: Path, table: str, version: int) -> None:
        """See `Tracker`."""
        self._mlflow.set_tags({"data_set": table, "table_version": str(version)})
        self._mlflow.log_artifacts(str(bundle), "bundle")
        self._mlflow.end_run()


def step_figures(heads: Sequence[str], seen: Observation) -> Iterator[tuple[str, float]]:
    """Names and values of what was seen at a step, without heads that had no row."""
    for name, loss, gate in zip(heads, seen.losses, seen.gates, strict=True):
        if math.isfinite(loss):
            yield f"loss/{name}", loss
            yield from ((f"gate/{name}/expert_{expert}", weight) for expert, weight in enumerate(gate))


def epoch_figures(heads: Sequence[str], validation: Validation) -> Iterator[tuple[str, float]]:
    """Names and values of a validation, without heads that saw one class only."""
    known = ((name, ne) for name, ne in zip(heads, validation.ne, strict=True) if math.isfinite(ne))
    yield from ((f"validation_ne/{name}", ne) for name, ne in known)


def track(trackers: Sequence[Tracker], figures: Iterator[tuple[str, float]], step: int) -> None:
    """Give the `figures` after `step` steps to all `trackers`."""
    collected = dict(figures)
    for tracker in trackers:
        tracker.scalars(collected, step)


@contextlib.contextmanager
def trackers(
    config: Config, checkpoints: Checkpoints, start: Path | None, leads: bool
) -> Iterator[tuple[Tracker, ...]]:
    """The trackers that `config` asks for, on the worker that `leads`; an MLflow run that fails is marked so."""
    training, made = config.training, list[Tracker]()
    if leads and training.tensorboard:
        done = read_state(start).history.steps if start else 0
        made.append(TensorBoard(config.layout.logs / "tensorboard" / checkpoints.run, done + 1))
    if leads and training.tracking is not None:
        made.append(Mlflow(training.tracking, checkpoints.run, checkpoints.settings))
    try:
        yield tuple(made)
    except BaseException:
        if leads and training.tracking is not None:
            importlib.import_module("mlflow").end_run("FAILED")
        raise
