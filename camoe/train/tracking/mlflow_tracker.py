"""A training run in MLflow: one run there, however many attempts it takes here. Torch-free."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from camoe.bundle.manifest import Manifest
from camoe.config.training import TrackingConfig
from camoe.contracts.config_file import Section
from camoe.contracts.errors import ConfigError, error_text
from camoe.contracts.files import write_json
from camoe.contracts.shown.redaction import redacted
from camoe.contracts.snapshot import Snapshot
from camoe.metrics.table import MODEL
from camoe.train.tracking.tracker import give_up_on

# MLflow takes so many parameters in one call, and texts of that length.
PARAMETERS, LONGEST = 100, 500
FINAL = ("auc_pr", "ne", "ece")


@dataclass(frozen=True)
class TrackedRun:
    """A run by `name`, the `settings` that decide what it computes, the `data` it learns from and where its checkpoints
    lie."""

    name: str
    settings: Mapping[str, Any]
    data: Snapshot
    checkpoints: Path


class MlflowRunRecord(Section):
    """The record beside the checkpoints by which a later attempt goes on with the run of the first.

    `tracking` is the hash of the configuration: under another one the run would not be found.
    """

    tracking: str
    run_id: str


class Mlflow:
    """An MLflow run named as `run`, with its settings as parameters and its table version as data set.

    It is the one that an earlier attempt at the same run began, where there is one. When the store is lost later, that
    is said once, and training goes on.

    Raises:
        ConfigError: MLflow is not installed, or takes no runs at `config.uri`.
    """

    def __init__(self, config: TrackingConfig, run: TrackedRun) -> None:
        self._mlflow = imported()
        self._uri, self._lost = redacted(config.uri), False
        try:
            self._mlflow.set_tracking_uri(config.uri)
            self._mlflow.set_experiment(config.experiment)
            self._begin(config, run)
        except (self._mlflow.MlflowException, KeyError, OSError) as error:
            said = redacted(error_text(error))
            raise ConfigError(f"training.tracking.uri {self._uri} cannot be used: {said}") from None

    def scalars(self, figures: Mapping[str, float], step: int) -> None:
        """See `Tracker`."""
        if not self._lost:
            with self._safely():
                self._mlflow.log_metrics(dict(figures), step=step)

    def finish(self, bundle: Path, manifest: Manifest, rows: Sequence[Mapping[str, Any]]) -> None:
        """See `Tracker`."""
        tags = {"model_version": manifest.model_version, "data_set": manifest.table}
        if not self._lost:
            with self._safely():
                self._mlflow.set_tags({**tags, "table_version": str(manifest.table_version)})
                self._mlflow.log_metrics(dict(final_figures(rows)))
                self._mlflow.log_artifacts(str(bundle), "bundle")
                self._mlflow.end_run()

    def fail(self) -> None:
        """See `Tracker`."""
        if not self._lost:
            with self._safely():
                self._mlflow.end_run("FAILED")

    def _begin(self, config: TrackingConfig, run: TrackedRun) -> None:
        begun = self._mlflow.start_run(run_id=_earlier(self._mlflow, config, run), run_name=run.name)
        try:
            kept = MlflowRunRecord(tracking=config.content_hash(), run_id=begun.info.run_id)
            write_json(_record_path(run.checkpoints, run.name), kept.model_dump())
            parameters = [(name.replace(" ", "_"), str(value)[:LONGEST]) for name, value in run.settings.items()]
            for first in range(0, len(parameters), PARAMETERS):
                self._mlflow.log_params(dict(parameters[first : first + PARAMETERS]))
            self._mlflow.log_input(_data_set(run.data), context="training")
        except BaseException:
            # The first error is the one to tell.
            with contextlib.suppress(self._mlflow.MlflowException, OSError):
                self._mlflow.end_run("FAILED")
            raise

    def _safely(self) -> contextlib.AbstractContextManager[None]:
        return give_up_on(f"figures for MLflow at {self._uri}", (self._mlflow.MlflowException, OSError), self._stop)

    def _stop(self) -> None:
        self._lost = True


def final_figures(rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, float]]:
    """Yield names and values of the calibrated model's metrics by head, and by head and slot.

    `rows` are those of `camoe.metrics.validation`. What is undefined is left out.
    """
    for row in (row for row in rows if row["predictor"] == MODEL):
        # A store of files has a file a name, so no name may be a folder of another.
        whole = row["group_kind"] == "head"
        ending = f"/{row['head']}" if whole else f"_by_slot/{row['head']}/{row['group']}"
        for metric in FINAL:
            if row[metric] is not None and math.isfinite(row[metric]):
                yield f"final_{metric}{ending}", row[metric]


@contextlib.contextmanager
def marked_when_lost(config: TrackingConfig | None, checkpoints: Path, run: str) -> Iterator[None]:
    """Mark the MLflow run of `run` as failed when the block fails and it still counts as running.

    A worker that was killed could not do so itself. A later attempt at the run opens it again.
    """
    try:
        yield
    except BaseException:
        path = _record_path(checkpoints, run)
        if config is not None and path.is_file():
            _mark(config, MlflowRunRecord.model_validate_json(path.read_bytes()).run_id)
        raise


def _mark(config: TrackingConfig, run_id: str) -> None:
    # As for the workers: the error that ended the run is not to wait for minutes.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
    mlflow = imported()
    try:
        client = mlflow.MlflowClient(config.uri)
        if client.get_run(run_id).info.status == "RUNNING":
            client.set_terminated(run_id, "FAILED")
    except (mlflow.MlflowException, OSError) as error:
        said = redacted(f"MLflow at {config.uri} could not be told that the run failed ({error_text(error)})")
        print(f"train: {said}", flush=True)


def _earlier(mlflow: Any, config: TrackingConfig, run: TrackedRun) -> str | None:
    """Return the id of the run that an earlier attempt began, where the store still has it."""
    path = _record_path(run.checkpoints, run.name)
    kept = MlflowRunRecord.model_validate_json(path.read_bytes()) if path.is_file() else None
    if kept is None or kept.tracking != config.content_hash():
        return None
    try:
        found = mlflow.MlflowClient(config.uri).get_run(kept.run_id)
    except mlflow.MlflowException:
        return None
    return kept.run_id if found.info.lifecycle_stage == "active" else None


def _data_set(data: Snapshot) -> Any:
    from mlflow.data.delta_dataset_source import DeltaDatasetSource  # noqa: PLC0415 - MLflow is an extra
    from mlflow.data.meta_dataset import MetaDataset  # noqa: PLC0415 - MLflow is an extra

    source = DeltaDatasetSource(path=data.table, delta_table_version=data.version)
    made: Any = MetaDataset  # MLflow's own types call it abstract.
    return made(source, name=f"{data.table} version {data.version}"[:LONGEST], digest=data.content_hash())


def _record_path(checkpoints: Path, run: str) -> Path:
    return checkpoints / f"{run}-mlflow.json"


def run_of_model(client: Any, experiment: str, version: str) -> Any | None:
    """Return the run of `experiment` that made the model of this version; None where there is none."""
    known = client.get_experiment_by_name(experiment)
    wanted = f"tags.model_version = '{version}'"
    found = client.search_runs([known.experiment_id], wanted, max_results=1) if known else []
    return found[0] if found else None


def imported() -> Any:
    """Return MLflow.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import mlflow  # noqa: PLC0415 - MLflow is an extra
    except ImportError:
        raise ConfigError(
            "training.tracking needs MLflow: install the extra 'mlflow' (mlflow-skinny) or leave it out"
        ) from None
    return mlflow
