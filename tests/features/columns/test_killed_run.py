"""A run that adds columns, killed by SIGKILL: no day has them or all have, and the same command ends what was begun."""

from __future__ import annotations

from datetime import date
from functools import partial

import pytest

from camoe.config.pipeline import Config
from camoe.contracts.config_file import load
from camoe.contracts.runs import active_runs
from camoe.contracts.snapshot import pin
from features.columns.built import lacking_days
from jobs.add_columns import main
from jobs.maintain import main as maintain
from tests.features import lake
from tests.features.kill_points import (
    commits,
    killed_after_the_commit,
    killed_before_the_log,
    killed_while_reading,
    killed_while_writing,
)  # fmt: skip
from tests.features.real_job import Job
from tests.jobs.in_process import run_main

pytestmark = [pytest.mark.spark, pytest.mark.slow]

DAYS = tuple(date.fromisoformat(text) for text in lake.DAYS)
NAMES = ("genre", "twice")
COLUMNS = ("--columns", ",".join(NAMES), "--run-id")


def rows(spark, layout):
    """All rows without their run, and without what is null: columns that no day has yet say nothing."""
    found = spark.read.format("delta").load(str(layout.training)).drop("run_id")
    return sorted(found.select(*sorted(found.columns)).toJSON().collect())


def lacking(config):
    """The days that, by what they say themselves, lack the columns."""
    loaded = load(config, Config)
    return lacking_days(loaded.layout, loaded.features, DAYS, NAMES)


def other_features(settings):
    """A categorical, so that a vocabulary grows, and a numeric."""
    settings["features"]["categorical"].append({"name": "genre", "sql": "concat('g', hour(local_ts) div 6)"})
    settings["features"]["numeric"].append({"name": "twice", "sql": "user.plays * 2"})
    return settings


@pytest.fixture(scope="module")
def whole(spark, tmp_path_factory):
    """The rows of a build from nothing."""
    folder = tmp_path_factory.mktemp("whole")
    lake.write_lake(folder)
    config = lake.write_config(folder, other_features(lake.config(folder)))
    assert lake.run_job(config) == 0
    return rows(spark, lake.Lake(folder, config).layout)


@pytest.mark.parametrize(
    ("crash", "commits_rows"),
    [
        pytest.param(partial(killed_while_reading, said="joining user: done"), False, id="while_reading"),
        pytest.param(killed_while_writing, False, id="while_writing"),
        pytest.param(killed_before_the_log, False, id="before_the_log"),
        pytest.param(killed_after_the_commit, True, id="after_the_commit"),
    ],
)
def test_a_killed_run_leaves_the_days_as_they_were_or_with_all_columns(
    spark, clean_build, whole, tmp_path, capfd, crash, commits_rows
):
    lake.copy_of(clean_build, tmp_path / "lake")
    config = lake.write_config(tmp_path / "lake", other_features(lake.config(tmp_path / "lake")))
    layout = lake.Lake(tmp_path / "lake", config).layout
    assert lacking(config) == DAYS
    assert rows(spark, layout) != whole
    begun = []

    def start(name):
        state = active_runs(pin(layout.training)), lacking(config), rows(spark, layout)
        begun.append((name, state, commits(layout)))
        return Job(tmp_path / name, config, *COLUMNS, name, name="add_columns")

    crash(start, layout)
    run, old, before = begun[-1]
    new = dict.fromkeys(DAYS, run), (), whole
    # The columns' names may stand in the table; no day has them by that.
    assert (active_runs(pin(layout.training)), lacking(config), rows(spark, layout)) == (new if commits_rows else old)

    capfd.readouterr()
    assert run_main(main, config, *COLUMNS, run) == 0
    assert ("nothing to do" in capfd.readouterr().out) == commits_rows
    assert (active_runs(pin(layout.training)), lacking(config), rows(spark, layout)) == new
    assert len(commits(layout) - before) == 1

    orphans = ["orphans", "--older-than", "0s", "--delete", "--config", str(config)]
    maintain(orphans)
    capfd.readouterr()
    maintain(orphans)
    assert capfd.readouterr().out.splitlines() == ["nothing was left behind"]
    assert rows(spark, layout) == whole
