"""Scores and measures with a training table, predictions and a bundle that lie in an object store."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

import camoe
from camoe.contracts.snapshot import pin
from features.maintenance.keep import keep_scored
from jobs import publish
from tests.evaluation.run import numbers
from tests.jobs.in_process import run_main
from tests.object_store import SECRET, copied, object_store
from tests.paths import ROOT
from tests.score.pipeline import write_scorable
from tests.score.rows import by_impression, encoded_rows

TABLE, PREDICTIONS, BUNDLE = "s3://lake/training", "s3://lake/predictions", "s3://lake/models/mine"
SUBMIT = ["spark-submit", "--properties-file", "conf/spark/local.conf"]


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    """A pipeline; its table and its bundle lie in the store, too."""
    made = write_scorable(tmp_path_factory.mktemp("scorable"))
    with object_store(), pytest.MonkeyPatch.context() as environment:
        environment.setenv("CAMOE_CACHE", str(tmp_path_factory.mktemp("cache")))
        copied(made.config.layout.training, TABLE)
        assert run_main(publish.main, made.path, "--to", BUNDLE) == 0
        yield made


def predictions(pipeline, place):
    return by_impression(camoe.read_days(place, pipeline.config.days.test.days()))


def run(pipeline, *command, remote=True):
    """Run a job over the tables under `out`, or over those in the store."""
    given = [f"training.table={TABLE}", f"predictions={PREDICTIONS}"] if remote else []
    done = subprocess.run(
        [*command, "--config", str(pipeline.path), *given], capture_output=True, text=True, check=False, cwd=ROOT
    )
    told = done.stdout + done.stderr
    assert done.returncode == 0, told
    assert SECRET not in told
    return told


def test_a_bundle_of_a_store_predicts_as_the_one_that_was_published(pipeline):
    rows = encoded_rows(pipeline.snapshot)
    own, served = camoe.load(pipeline.bundle).predict(rows), camoe.load(BUNDLE).predict(rows)
    assert own.equals(served)


def test_days_are_scored_from_a_store_and_into_one_as_they_are_under_out(pipeline):
    job = [sys.executable, "jobs/score.py", "--local"]
    run(pipeline, *job, remote=False)
    for _ in range(2):
        told = run(pipeline, *job, "--model", BUNDLE)
        assert f"score: written to {PREDICTIONS}" in told
    here, there = predictions(pipeline, pipeline.config.layout.predictions), predictions(pipeline, PREDICTIONS)
    np.testing.assert_array_equal(here["p"], there["p"])
    assert here.index.equals(there.index)


def test_a_vacuum_spares_what_predictions_in_a_store_were_scored_from(pipeline):
    assert [item.version for item in keep_scored(PREDICTIONS)] == [pin(TABLE).version]


@pytest.mark.spark
def test_spark_scores_and_measures_tables_in_a_store_as_those_under_out(pipeline):
    layout, found = pipeline.config.layout, []
    for remote in (False, True):
        run(pipeline, *SUBMIT, "jobs/score.py", remote=remote)
        run(pipeline, *SUBMIT, "jobs/evaluate.py", remote=remote)
        metrics = json.loads((layout.report / "metrics.json").read_text())
        place = PREDICTIONS if remote else layout.predictions
        found.append((predictions(pipeline, place)["p"], metrics["rows"], metrics["counts"]))
    np.testing.assert_array_equal(found[0][0], found[1][0])
    assert found[0][2] == found[1][2]
    # Sums are of the same numbers, added up in another order.
    here, there = numbers(found[0][1]), numbers(found[1][1])
    assert here.keys() == there.keys()
    np.testing.assert_allclose([*here.values()], [*there.values()], rtol=1e-9)
    assert len(found[0][0]) == pin(TABLE).on(pipeline.config.days.test.days()).rows
