"""Scores and measures of a training table, and with a bundle, that lie in an object store."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

import camoe
from camoe.config.pipeline import Config
from camoe.contracts.config_file import load
from camoe.contracts.snapshot import pin
from jobs import publish
from tests.jobs.in_process import run_main
from tests.paths import ROOT
from tests.score.pipeline import write_scorable
from tests.score.rows import by_impression, encoded_rows
from tests.stream.object_store import SECRET, copied, object_store

TABLE, BUNDLE = "s3://lake/training", "s3://lake/models/mine"
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


def predictions(pipeline):
    return by_impression(camoe.read_days(pipeline.config.layout.predictions, pipeline.config.days.test.days()))


def run(pipeline, *command, remote=True):
    given = [f"training.table={TABLE}"] if remote else []
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


def test_days_of_the_table_in_the_store_are_scored_as_those_under_out(pipeline):
    job = [sys.executable, "jobs/score.py", "--local"]
    run(pipeline, *job, remote=False)
    before = predictions(pipeline)
    told = run(pipeline, *job, "--model", BUNDLE)
    after = predictions(pipeline)
    np.testing.assert_array_equal(before["p"], after["p"])
    assert "predictions of 1 days" in told


@pytest.mark.spark
def test_spark_scores_and_measures_the_table_in_the_store_as_the_one_under_out(pipeline):
    config = load(pipeline.path, Config)
    found = []
    for remote in (False, True):
        run(pipeline, *SUBMIT, "jobs/score.py", remote=remote)
        run(pipeline, *SUBMIT, "jobs/evaluate.py", remote=remote)
        metrics = json.loads((config.layout.report / "metrics.json").read_text())
        found.append((predictions(pipeline)["p"], metrics["rows"], metrics["counts"]))
    np.testing.assert_array_equal(found[0][0], found[1][0])
    assert found[0][1:] == found[1][1:]
    assert len(found[0][0]) == pin(TABLE).on(config.days.test.days()).rows
