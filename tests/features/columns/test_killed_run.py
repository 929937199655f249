"""A run that adds columns, killed by SIGKILL: no day has them or all have, and the same command ends what was begun."""

from __future__ import annotations

import pytest

from camoe.contracts.snapshot import pin
from jobs.add_columns import main
from jobs.maintain import main as maintain
from tests.features import lake
from tests.features.kill_points import (
    killed_after_the_commit,
    killed_before_the_log,
    killed_while_reading,
    killed_while_writing,
)  # fmt: skip
from tests.features.real_job import Job
from tests.jobs.in_process import run_main

pytestmark = [pytest.mark.spark, pytest.mark.slow]

COLUMNS = ("--columns", "genre,twice", "--run-id")


def rows(spark, layout):
    found = spark.read.format("delta").load(str(layout.training)).drop("run_id").toJSON().collect()
    return sorted(found)


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
    ("crash", "commits"),
    [
        (killed_while_reading, False),
        (killed_while_writing, False),
        (killed_before_the_log, False),
        (killed_after_the_commit, True),
    ],
)
def test_a_killed_run_leaves_the_days_as_they_were_or_with_all_columns(
    spark, clean_build, whole, tmp_path, capfd, crash, commits
):
    lake.copy_of(clean_build, tmp_path / "lake")
    config = lake.write_config(tmp_path / "lake", other_features(lake.config(tmp_path / "lake")))
    layout = lake.Lake(tmp_path / "lake", config).layout
    begun = []

    def start(name):
        begun.append((name, pin(layout.training).version, rows(spark, layout)))
        return Job(tmp_path / name, config, *COLUMNS, name, name="add_columns")

    crash(start, layout)
    run, version, old = begun[-1]
    assert pin(layout.training).version == version + commits
    assert rows(spark, layout) == (whole if commits else old)

    capfd.readouterr()
    assert run_main(main, config, *COLUMNS, run) == 0
    assert ("nothing to do" in capfd.readouterr().out) == commits
    assert pin(layout.training).version == version + 1
    assert rows(spark, layout) == whole
    maintain(["orphans", "--older-than", "0s", "--delete", "--config", str(config)])
    assert rows(spark, layout) == whole
