"""A real job killed by SIGKILL: the training table is at its old or its new version, and the next run succeeds."""

from __future__ import annotations

from datetime import date

import pytest

from camoe.contracts.layout import Layout
from camoe.contracts.runs import active_runs
from camoe.contracts.snapshot import pin
from jobs.maintain import main as maintain
from tests.features import lake
from tests.features.kill_points import (
    data_files,
    entries,
    killed_after_the_commit,
    killed_before_the_log,
    killed_while_reading,
    killed_while_writing,
)  # fmt: skip
from tests.features.real_job import Job

pytestmark = pytest.mark.spark

DAYS = tuple(date.fromisoformat(text) for text in lake.DAYS)
WRITTEN = {"data file", "lock of a run", "run record", "rows of profiles"}
# Where the kill came between two steps of Delta's own.
PERHAPS = {"temporary file of the log"}


@pytest.fixture(scope="module")
def built(clean_build, tmp_path_factory):
    """A table of all days."""
    return lake.copy_of(clean_build, tmp_path_factory.mktemp("crash"))


def rows(spark, layout, version=None):
    """The table's rows at a version (default: its newest), without their run."""
    options = {} if version is None else {"versionAsOf": version}
    found = spark.read.format("delta").options(**options).load(str(layout.training)).collect()
    return {row.impression_id: {**row.asDict(), "run_id": None} for row in found}


def other_users(lake_, version):
    """Let what is built from now on differ from all that was built before."""
    users = [{**row, "plays": row["plays"] + 100 * version + 100} for row in lake.users()]
    lake.write(lake_.folder / "raw/users.json", users)


def orphans(config, capfd, *arguments):
    """What the command says that lists, and with --delete removes, what killed jobs left."""
    capfd.readouterr()
    maintain(["orphans", "--older-than", "0s", "--config", str(config), *arguments])
    return capfd.readouterr().out.splitlines()


def kinds(said):
    """The kinds of leftovers that the command has a line with a sum for."""
    return {line.partition(": ")[0] for line in said if ": " in line and not line.startswith(" ")}


@pytest.mark.parametrize(
    ("crash", "commits", "left"),
    [
        pytest.param(killed_while_reading, False, {"lock of a run"}, marks=pytest.mark.slow),
        pytest.param(killed_while_writing, False, WRITTEN, marks=pytest.mark.slow),
        pytest.param(killed_before_the_log, False, WRITTEN, marks=pytest.mark.slow),
        pytest.param(killed_after_the_commit, True, set(), marks=pytest.mark.slow),
    ],
)
def test_a_killed_job_leaves_the_old_or_the_new_version_and_the_next_run_succeeds(
    spark, built, tmp_path, capfd, crash, commits, left
):
    config, layout = built.config, built.layout
    found_by_job = []

    def start(name):
        found_by_job.append(pin(layout.training).version)
        other_users(built, found_by_job[-1])
        return Job(tmp_path / name, config, "--run-id", f"{crash.__name__}-{name}"[-32:].strip("_"))

    crash(start, layout)
    version = found_by_job[-1]
    old = rows(spark, layout, version)
    found, killed = pin(layout.training), rows(spark, layout)
    assert found.version == version + commits
    (run,) = set(active_runs(found).values())
    assert commits or killed == old

    capfd.readouterr()
    assert lake.run_job(config, "--run-id", run if commits else f"next-{version}") == 0
    assert ("nothing to do" in capfd.readouterr().out) == commits
    assert pin(layout.training).version == version + 1
    new = rows(spark, layout)
    assert new.keys() == old.keys()
    assert new != old
    assert not commits or killed == new

    found = kinds(orphans(config, capfd))
    assert found - PERHAPS == left
    assert kinds(orphans(config, capfd, "--delete")) == found
    assert orphans(config, capfd) == ["nothing was left behind"]
    assert rows(spark, layout) == new


@pytest.mark.slow
def test_a_job_killed_before_the_first_commit_leaves_no_table_and_the_next_run_makes_it(spark, tmp_path, capfd):
    config, layout = lake.write_lake(tmp_path), Layout(tmp_path / "out")
    job = Job(tmp_path / "first", config, "--run-id", "first")
    job.until(lambda: data_files(layout))
    job.kill()
    assert not entries(layout)
    assert lake.run_job(config, "--run-id", "second") == 0
    assert set(active_runs(pin(layout.training)).values()) == {"second"}
    assert kinds(orphans(config, capfd, "--delete")) - PERHAPS == WRITTEN - {"data file"} | {"files of no version"}
    assert orphans(config, capfd) == ["nothing was left behind"]
    assert len(rows(spark, layout)) == pin(layout.training).rows


@pytest.mark.slow
def test_a_job_killed_while_it_replaces_the_table_leaves_the_old_one(spark, tmp_path, capfd):
    """With other features: neither the rows nor the columns nor the settings of the table change before the commit."""
    config, layout = lake.write_lake(tmp_path), Layout(tmp_path / "out")
    assert lake.run_job(config) == 0
    old, found = rows(spark, layout), pin(layout.training)
    settings = lake.config(tmp_path)
    settings["features"]["numeric"][1] = {"name": "older", "sql": "user.age_s / 2"}
    lake.write_config(tmp_path, settings)
    before = data_files(layout)
    job = Job(tmp_path / "replacing", config, "--replace", "--run-id", "killed")
    job.until(lambda: data_files(layout) > before)
    job.kill()
    assert pin(layout.training) == found
    assert rows(spark, layout) == old
    assert lake.run_job(config) == 2
    assert "--replace" in capfd.readouterr().err
    assert lake.run_job(config, "--replace") == 0
    assert pin(layout.training).version == found.version + 1
    assert not any("num_age" in row for row in rows(spark, layout).values())
    assert kinds(orphans(config, capfd, "--delete")) - PERHAPS == WRITTEN
