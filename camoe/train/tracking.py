"""Where a run's figures go besides the log: TensorBoard, and MLflow when it is configured."""

from __future__ import annotations

import contextlib
import importlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from torch.utils.tensorboard import SummaryWriter

from camoe.config import Config
from camoe.contracts.errors import ConfigError
from camoe.train.checkpoint import Checkpoints
from camoe.train.checkpoint_state import read_run_state
from camoe.train.config import TrackingConfig
from camoe.train.history import Validation
from camoe.train.observe import Observation
from camoe.train.step import Learned

# MLflow takes so many parameters in one call, and texts of that length.
PARAMETERS, LONGEST = 100, 500


class Tracker(Protocol):
    """Takes figures by name."""

    def scalars(self, figures: Mapping[str, float], step: int) -> None:
        """Take finite `figures` as they stand after `step` steps of the run."""

    def finish(self, bundle: Path, table: str, version: int) -> None:
        """Take the bundle, and which version of which table it learned from."""

    def fail(self) -> None:
        """Take note that the run ends without a bundle."""


@contextlib.contextmanager
def _told(what: str, errors: tuple[type[Exception], ...], stop: Callable[[], None]) -> Iterator[None]:
    """When the work within fails by one of `errors`, say so, and `stop`: figures are worth less than a model."""
    try:
        yield
    except errors as error:
        stop()
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        print(f"train: {what} could not be written ({reason}); training goes on without them", flush=True)


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

    def finish(self, bundle: Path, table: str, version: int) -> None:
        """See `Tracker`."""
        if self._writer is not None:
            with self._safely():
                self._writer.add_text("model", f"{bundle}, from {table} version {version}")
                self._writer.close()

    def fail(self) -> None:
        """See `Tracker`."""

    def _safely(self) -> contextlib.AbstractContextManager[None]:
        return _told(f"TensorBoard's files in {self._folder}", (OSError,), self._stop)

    def _stop(self) -> None:
        self._writer = None


class Mlflow:
    """An MLflow run named `run`, with `settings` as parameters.

    When the store is lost later, that is said once, and training goes on.

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
        self._uri, self._lost = config.uri, False
        try:
            self._mlflow.set_tracking_uri(config.uri)
            self._mlflow.set_experiment(config.experiment)
            self._mlflow.start_run(run_name=run)
            parameters = [(name.replace(" ", "_"), str(value)[:LONGEST]) for name, value in settings.items()]
            for first in range(0, len(parameters), PARAMETERS):
                self._mlflow.log_params(dict(parameters[first : first + PARAMETERS]))
        except (self._mlflow.MlflowException, KeyError, OSError) as error:
            reason = str(error).splitlines()[0]
            raise ConfigError(f"training.tracking.uri {config.uri} cannot be used: {reason}") from None

    def scalars(self, figures: Mapping[str, float], step: int) -> None:
        """See `Tracker`."""
        if not self._lost:
            with self._safely():
                self._mlflow.log_metrics(dict(figures), step=step)

    def finish(self, bundle: Path, table: str, version: int) -> None:
        """See `Tracker`."""
        if not self._lost:
            with self._safely():
                self._mlflow.set_tags({"data_set": table, "table_version": str(version)})
                self._mlflow.log_artifacts(str(bundle), "bundle")
                self._mlflow.end_run()

    def fail(self) -> None:
        """See `Tracker`."""
        if not self._lost:
            with self._safely():
                self._mlflow.end_run("FAILED")

    def _safely(self) -> contextlib.AbstractContextManager[None]:
        return _told(f"figures for MLflow at {self._uri}", (self._mlflow.MlflowException, OSError), self._stop)

    def _stop(self) -> None:
        self._lost = True


def step_figures(heads: Sequence[str], learned: Learned, seen: Observation) -> Iterator[tuple[str, float]]:
    """Names and values of what was learned and seen at a step, without heads that had no row."""
    for name, loss, gate in zip(heads, learned.means, seen.gates, strict=True):
        figures = (f"loss/{name}", loss), *((f"gate/{name}/expert_{expert}", one) for expert, one in enumerate(gate))
        yield from ((figure, value) for figure, value in figures if math.isfinite(value))


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
        done = read_run_state(start).history.steps if start else 0
        made.append(TensorBoard(config.layout.logs / "tensorboard" / checkpoints.run, done + 1))
    if leads and training.tracking is not None:
        made.append(Mlflow(training.tracking, checkpoints.run, checkpoints.settings))
    try:
        yield tuple(made)
    except BaseException:
        for tracker in made:
            tracker.fail()
        raise
