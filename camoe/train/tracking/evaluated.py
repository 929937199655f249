"""Figures of the test days for the MLflow run that made the model. Torch-free."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator, Mapping
from typing import Any

from camoe.config.training import TrackingConfig
from camoe.contracts.errors import error_text
from camoe.contracts.shown.redaction import redacted
from camoe.metrics.table import ALL, MODEL
from camoe.train.tracking.mlflow_tracker import FINAL, imported, run_of_model

# Fields have too many values, and values that are no names.
KINDS = ("slot", "modality", "head")
# MLflow takes so many figures in one call.
AT_ONCE = 1000


def track_test_days(config: TrackingConfig, document: Mapping[str, Any]) -> str:
    """Give the figures of `document` (metrics.json) to the run of its model in MLflow; return what came of it.

    The run is the one that has the model's version. An evaluation is worth more than a store that is away.
    """
    # As for the workers: whoever evaluates is not to wait for minutes.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
    mlflow, version, uri = imported(), document["run"]["model_version"], redacted(config.uri)
    try:
        client = mlflow.MlflowClient(config.uri)
        found = run_of_model(client, config.experiment, version)
        if found is None:
            return f"MLflow at {uri} has no run of model {version} in {config.experiment}, so it gets no figures"
        run, now = found.info.run_id, int(1000 * time.time())
        figures = [mlflow.entities.Metric(name, value, now, 0) for name, value in test_figures(document)]
        for first in range(0, len(figures), AT_ONCE):
            client.log_batch(run, metrics=figures[first : first + AT_ONCE])
        client.set_tag(run, "test_days", ", ".join(document["run"]["test_days"]))
    except (mlflow.MlflowException, OSError) as error:
        return redacted(f"MLflow at {config.uri} could not be given the figures ({error_text(error)})")
    return f"{len(figures)} figures of the test days are in MLflow at {uri}, run {run}"


def test_figures(document: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Yield names and values of the model's metrics by objective, and by its slots, modalities and heads.

    What is undefined is left out.
    """
    for row in (row for row in document["rows"] if row["predictor"] == MODEL and row["group_kind"] in (ALL, *KINDS)):
        # As in the tracker, no name may be a folder of another.
        whole = row["group_kind"] == ALL
        ending = f"/{row['objective']}" if whole else f"_by_{row['group_kind']}/{row['objective']}/{row['group']}"
        for metric in FINAL:
            if row[metric] is not None and math.isfinite(row[metric]):
                yield f"test_{metric}{ending}", row[metric]
