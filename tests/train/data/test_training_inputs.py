"""What training opens of the table before it starts."""

from __future__ import annotations

import pytest

from camoe.config.pipeline import Config
from camoe.contracts.config_file import load
from camoe.contracts.errors import SnapshotError, TrainingError
from camoe.stream.planning.plan import PLAN_FORMAT
from camoe.train.checkpoint import identity
from camoe.train.checkpoint.state import require_same
from camoe.train.data.training_inputs import open_training_inputs
from tests.train.pipeline import write_pipeline

ROWS = {"s0": 12, "s1": 7, "s2": 3}


def test_only_a_lost_file_of_a_training_or_validation_day_ends_training(tmp_path):
    config = load(write_pipeline(tmp_path, ROWS, row_group=5), Config)
    whole = open_training_inputs(config)
    assert {file.row_groups for file in whole.train.files if file.slot == "s0"} == {(5, 5, 2)}
    files = {day: next(config.layout.training.glob(f"*/*/date=2026-01-0{day}/*.parquet")) for day in (3, 4)}
    files[4].unlink()
    assert open_training_inputs(config) == whole
    files[3].unlink()
    with pytest.raises(SnapshotError, match=rf"{files[3].name}, which is gone \(vacuumed\?\); pin a newer version"):
        open_training_inputs(config)


def test_a_run_whose_batches_were_made_otherwise_is_not_gone_on_with(tmp_path, monkeypatch):
    config = load(write_pipeline(tmp_path, ROWS), Config)
    inputs = open_training_inputs(config)
    was = identity.run_settings(config, inputs)
    require_same(tmp_path, was, identity.run_settings(config, inputs))
    monkeypatch.setattr(identity, "PLAN_FORMAT", PLAN_FORMAT + 1)
    with pytest.raises(TrainingError, match=rf"plan format was {PLAN_FORMAT} and is {PLAN_FORMAT + 1}"):
        require_same(tmp_path, was, identity.run_settings(config, inputs))
