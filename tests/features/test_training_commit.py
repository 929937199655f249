"""The commit of a run to the training table: made once, however often it is tried."""

from __future__ import annotations

import time
from datetime import date
from threading import Thread

import pytest
from deltalake import DeltaTable
from pyspark.sql import functions as F

from camoe.contracts.layout import FEATURE_SCHEMA_PROPERTY, SETTINGS_PROPERTY, SLOTS_PROPERTY
from camoe.contracts.runs import makers
from camoe.contracts.slots import SlotCatalogue
from camoe.contracts.snapshot import logged
from features.commit import Run
from features.first_commit import making_alone
from features.table import Target
from features.training_commit import Switch, replace_days
from tests.features.upkeep import content

DAY = date(2026, 1, 1)
SLOTS = SlotCatalogue.model_validate({"slots": [{"id": "feed", "name": "Feed", "modality": "video"}]})


def target(path, settings="s", **changes):
    properties = {FEATURE_SCHEMA_PROPERTY: "f", SLOTS_PROPERTY: SLOTS.listing(), SETTINGS_PROPERTY: settings}
    return Target(path, properties, SLOTS, ("click",), **changes)


def rows(spark, run):
    columns = {"run_id": F.lit(run), "date": F.lit(DAY), "modality": F.lit("video"), "slot": F.lit("feed")}
    keys = spark.range(5).select(F.concat(F.lit(run), F.col("id")).alias("impression_id"))
    return keys.withColumns({**columns, "label_click": F.lit(1).cast("tinyint")})


@pytest.fixture(scope="module")
def made(spark, tmp_path_factory):
    """A table that run r1 made: (its path, the switch to it, its commit)."""
    path = tmp_path_factory.mktemp("commit") / "training"
    switch = Switch(target(path), (DAY,), -1, {}, 100, path.parent / "runs")
    return path, switch, replace_days(rows(spark, "r1"), switch, Run("r1", "c", "raw"))


def require_once(spark, path, switch, run):
    """Check that a commit which has been made is not made again, although other rows are given."""
    version, before = DeltaTable(path).version(), content(path)
    commit = replace_days(rows(spark, "other"), switch, Run(run, "c", "raw"))
    assert (DeltaTable(path).version(), content(path)) == (version, before)
    return commit


def test_the_commit_that_makes_the_table_is_made_once(spark, made):
    path, switch, commit = made
    assert (commit.version, commit.rows) == (0, 5)
    assert require_once(spark, path, switch, "r1") == commit


@pytest.mark.parametrize("settings", ["s", "other"], ids=["days replaced", "table replaced"])
def test_the_commit_that_replaces_is_made_once(spark, made, settings):
    path, _, _ = made
    found = logged(path)
    switch = Switch(
        target(path, settings, replace=True), (DAY,), found.version, makers(found), 100, path.parent / "runs"
    )
    commit = replace_days(rows(spark, f"run-{settings}"), switch, Run(f"run-{settings}", "c", "raw"))
    assert commit.version == found.version + 1
    assert require_once(spark, path, switch, f"run-{settings}") == commit


def test_files_of_no_version_are_moved_where_the_table_is_made(spark, tmp_path, capsys):
    """As a run leaves them that is killed before the first commit."""
    path = tmp_path / "training"
    for folder in ("_delta_log/_staged_commits", "modality=video/slot=feed/date=2026-01-01"):
        (path / folder).mkdir(parents=True)
    file = "modality=video/slot=feed/date=2026-01-01/part-0.parquet"
    (path / file).write_text("half a file")
    switch = Switch(target(path), (DAY,), -1, {}, 100, tmp_path / "runs")
    assert replace_days(rows(spark, "r2"), switch, Run("r2", "c", "raw")).version == 0
    assert logged(path).rows == 5
    assert not (path / file).exists()
    assert (tmp_path / ".uncommitted-r2" / file).read_text() == "half a file"
    assert f"{path} had files and no version; they are in {tmp_path}/.uncommitted-r2 now" in capsys.readouterr().out


def test_a_run_waits_for_the_one_that_makes_the_table(spark, tmp_path, capsys):
    path, runs, said = tmp_path / "training", tmp_path / "runs", []

    def make(run):
        switch = Switch(target(path), (DAY,), -1, {}, 100, runs)
        said.append(replace_days(rows(spark, run), switch, Run(run, "c", "raw")).version)

    with making_alone(runs):
        waiting = Thread(target=make, args=("r3",))
        waiting.start()
        while "waits for the run that makes the table" not in capsys.readouterr().out:
            time.sleep(0.05)
        assert not path.exists()
    waiting.join()
    assert said == [0]
    assert not runs.exists()
