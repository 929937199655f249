"""Training whose table lies in an object store, and all else under `out`."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from camoe.config.pipeline import Config
from camoe.contracts.config_file import load
from camoe.train.data.training_inputs import open_training_inputs
from tests.object_store import SECRET, copied
from tests.paths import ROOT
from tests.train.pipeline import write_pipeline

ROWS = {"s0": 31, "s1": 20, "s2": 7}
REMOTE = "s3://lake/training"


@pytest.fixture
def pipeline(store, tmp_path):
    """A pipeline and, beside it, its training table in the store."""
    config = write_pipeline(tmp_path, ROWS)
    copied(tmp_path / "out/training", REMOTE)
    return config


def test_the_inputs_are_those_of_the_table_under_out(pipeline):
    local = open_training_inputs(load(pipeline, Config))
    remote = open_training_inputs(load(pipeline, Config, [f"training.table={REMOTE}"]))
    assert remote.train.table == REMOTE
    assert remote.train.content_hash() == local.train.content_hash()
    assert remote.validation.content_hash() == local.validation.content_hash()
    assert replace(remote, train=local.train, validation=local.validation, both=local.both) == local


@pytest.mark.slow
@pytest.mark.horovod
def test_the_job_learns_the_same(pipeline, tmp_path):
    losses = []
    for table in (None, REMOTE):
        given = [] if table is None else [f"training.table={table}"]
        done = subprocess.run(
            [sys.executable, ROOT / "jobs/train.py", "-np", "2", "--config", pipeline, *given],
            capture_output=True, text=True, check=False, cwd=ROOT,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"rows of {table or tmp_path / 'out/training'} version 1" in done.stdout
        told = done.stdout + done.stderr + (tmp_path / "out/logs/train_workers.log").read_text()
        assert SECRET not in told
        metrics = json.loads((tmp_path / "out/bundle/metrics.json").read_text())
        losses.append([epoch["losses"] for epoch in metrics["epochs"]])
    assert losses[0] == losses[1]
