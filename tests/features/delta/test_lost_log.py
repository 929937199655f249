"""A table that has lost its log is not taken for the leftovers of a run that never committed."""

from __future__ import annotations

import shutil

import pytest

from camoe.contracts.layout import Layout
from camoe.contracts.runs import RunError
from features.delta.lost_log import require_log
from jobs.maintain import main
from tests.features import lake
from tests.features.maintenance.upkeep import DAYS, aged, build_day, command, everything, put, three_runs


def lose_log(layout):
    shutil.rmtree(layout.training / "_delta_log")


@pytest.fixture
def one_run(tmp_path):
    """An output folder in which one run lies without a log, as when it was killed before the first commit."""
    layout = Layout(tmp_path / "out")
    build_day(layout, "r1", DAYS[0])
    lose_log(layout)
    return layout


def test_files_of_several_runs_had_versions(tmp_path):
    layout = three_runs(tmp_path)
    require_log(layout)
    lose_log(layout)
    with pytest.raises(RunError, match=r"training has 6 data files and no _delta_log.*several runs \(r\d, r\d\)"):
        require_log(layout)


def test_files_of_one_run_may_be_those_of_a_killed_one(one_run):
    (file, *_) = one_run.training.rglob("*.parquet")
    file.with_name("part-cut.parquet").write_bytes(file.read_bytes()[:-9])
    require_log(one_run)


@pytest.mark.parametrize("made", ["feature_report", "bundle", "predictions"])
def test_what_is_younger_than_the_files_was_made_from_them(one_run, made):
    folder = put(getattr(one_run, made) / "file").parent
    with pytest.raises(RunError, match=rf"it had versions once: {folder} was made from them"):
        require_log(one_run)
    # As when somebody has taken the table away, and a run that was to build it anew was killed.
    aged(folder)
    require_log(one_run)


def test_orphans_removes_nothing_of_a_table_that_has_lost_its_log(tmp_path):
    layout = three_runs(tmp_path)
    lose_log(layout)
    aged(layout.root)
    before = everything(layout.root)
    with pytest.raises(RunError, match="restore _delta_log"):
        main([*command("orphans", layout), "--delete"])
    assert everything(layout.root) == before


def test_the_job_refuses_a_table_that_has_lost_its_log(spark, tmp_path, capfd):
    config, layout = lake.write_lake(tmp_path), three_runs(tmp_path / "out")
    lose_log(layout)
    before = everything(layout.training)
    assert lake.run_job(config) == 2
    assert "training has 6 data files and no _delta_log" in capfd.readouterr().err
    assert everything(layout.training) == before
