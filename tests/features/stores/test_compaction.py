"""Compaction in an object store changes files alone; whoever writes the day at the same time wins."""

from __future__ import annotations

from datetime import date

import pytest

from camoe.config.pipeline import Config
from camoe.contracts.config_file import load
from camoe.contracts.places.store import open_place
from camoe.contracts.runs import active_runs
from camoe.contracts.snapshot import pin
from features.maintenance import compact
from jobs import maintain
from tests.features import lake
from tests.features.maintenance.upkeep import leave_record
from tests.jobs.in_process import run_main

pytestmark = [pytest.mark.spark, pytest.mark.slow]

TABLE = "s3://lake/training"
DAY = date.fromisoformat(lake.DAYS[0])


@pytest.fixture
def config(store, tmp_path):
    lake.write_lake(tmp_path)
    made = lake.write_config(tmp_path, {**lake.config(tmp_path), "training": {"table": TABLE}})
    assert lake.run_job(made, "--run-id", "first") == 0
    return made


def compaction(config):
    return run_main(lambda argv: maintain.main(["compact", *argv]), config, "rows_per_file=1000", "--days", str(DAY))


def unnamed():
    """Objects of the table that no version names."""
    named = {file.path for version in range(pin(TABLE).version + 1) for file in pin(TABLE, version).files}
    return [name for name in open_place(TABLE).names() if name.startswith("part-") and f"{TABLE}/{name}" not in named]


def test_a_run_of_the_day_that_comes_between_wins_and_its_rows_stand(config, monkeypatch, capfd):
    same = compact.require_same_rows

    def later(*given):
        same(*given)
        assert lake.run_job(config, "--days", str(DAY), "--run-id", "second") == 0

    monkeypatch.setattr(compact, "require_same_rows", later)
    assert compaction(config) == 2
    assert "its rows stand, the compaction of 2026-01-01 changed nothing" in capfd.readouterr().err
    assert active_runs(pin(TABLE))[DAY] == "second"
    assert unnamed() == []


def test_the_day_of_a_run_that_is_about_to_commit_is_left_alone(config, capfd):
    before = pin(TABLE)
    leave_record(load(config, Config).layout, "killed", DAY)
    assert compaction(config) == 2
    assert "feature run killed is about to commit 2026-01-01" in capfd.readouterr().err
    assert pin(TABLE) == before
    assert unnamed() == []
