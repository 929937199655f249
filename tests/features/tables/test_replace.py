"""The commit of a run to the training table: made once, however often it is tried."""

from __future__ import annotations

import shutil
from datetime import date, timedelta
from threading import Thread

import pytest
from deltalake import DeltaTable
from pyspark.sql import functions as F

from camoe.contracts.layout import Layout
from camoe.contracts.runs import makers
from camoe.contracts.schema import FEATURE_SCHEMA_PROPERTY, SETTINGS_PROPERTY, SLOTS_PROPERTY
from camoe.contracts.slots import SlotCatalogue
from camoe.contracts.snapshot import logged
from features.delta.commit import CommitMetadata
from features.maintenance.orphans import clear, leftovers
from features.tables import replace as training_commit
from features.tables.locks import making_alone
from features.tables.replace import ConcurrentRunError, DayReplacement, replace_days, set_aside
from features.tables.training import SLOT_CONSTRAINT, TrainingTable
from tests.features.maintenance.upkeep import content, hold_days, now, put
from tests.waiting import wait_until

DAY = date(2026, 1, 1)
# A copy that no test changes.
AS_MADE = "as_made"
SLOTS = SlotCatalogue.model_validate({"slots": [{"id": "feed", "name": "Feed", "modality": "video"}]})


def target(path, settings="s", **changes):
    properties = {FEATURE_SCHEMA_PROPERTY: "f", SLOTS_PROPERTY: SLOTS.listing(), SETTINGS_PROPERTY: settings}
    return TrainingTable(path, properties, SLOTS, ("click",), **changes)


def rows(spark, run, day=DAY):
    columns = {"run_id": F.lit(run), "date": F.lit(day), "modality": F.lit("video"), "slot": F.lit("feed")}
    keys = spark.range(5).select(F.concat(F.lit(run), F.col("id")).alias("impression_id"))
    return keys.withColumns({**columns, "label_click": F.lit(1).cast("tinyint")})


@pytest.fixture(scope="module")
def made(spark, tmp_path_factory):
    """A table that run r1 made: (its path, the switch to it, its commit)."""
    path = tmp_path_factory.mktemp("commit") / "training"
    replacement = DayReplacement(target(path), (DAY,), -1, {}, 100, path.parent / "runs")
    commit = replace_days(rows(spark, "r1"), replacement, CommitMetadata("r1", "c", "raw"))
    shutil.copytree(path, path.parent / AS_MADE)
    return path, replacement, commit


def require_once(spark, path, replacement, run):
    """Check that a commit which has been made is not made again, although other rows are given."""
    version, before = DeltaTable(path).version(), content(path)
    commit = replace_days(rows(spark, "other"), replacement, CommitMetadata(run, "c", "raw"))
    assert (DeltaTable(path).version(), content(path)) == (version, before)
    return commit


def test_the_commit_that_makes_the_table_is_made_once(spark, made):
    path, replacement, commit = made
    assert (commit.version, commit.rows) == (0, 5)
    assert require_once(spark, path, replacement, "r1") == commit


@pytest.mark.parametrize("settings", ["s", "other"], ids=["days replaced", "table replaced"])
def test_the_commit_that_replaces_is_made_once(spark, made, settings):
    path, _, _ = made
    found = logged(path)
    replacement = DayReplacement(
        target(path, settings, replace=True), (DAY,), found.version, makers(found), 100, path.parent / "runs"
    )
    commit = replace_days(rows(spark, f"run-{settings}"), replacement, CommitMetadata(f"run-{settings}", "c", "raw"))
    assert commit.version == found.version + 1
    assert require_once(spark, path, replacement, f"run-{settings}") == commit


def test_files_of_no_version_are_moved_where_the_table_is_made(spark, tmp_path, capsys):
    """As a run leaves them that is killed before the first commit."""
    path = tmp_path / "training"
    for folder in ("_delta_log/_staged_commits", "modality=video/slot=feed/date=2026-01-01"):
        (path / folder).mkdir(parents=True)
    file = "modality=video/slot=feed/date=2026-01-01/part-0.parquet"
    (path / file).write_text("half a file")
    replacement = DayReplacement(target(path), (DAY,), -1, {}, 100, tmp_path / "runs")
    assert replace_days(rows(spark, "r2"), replacement, CommitMetadata("r2", "c", "raw")).version == 0
    assert logged(path).rows == 5
    assert not (path / file).exists()
    (place,) = tmp_path.glob(".uncommitted-r2-*")
    assert (place / file).read_text() == "half a file"
    assert f"{path} had files and no version; they are in {place} now" in capsys.readouterr().out


def test_a_run_that_was_killed_twice_before_the_first_commit_is_moved_away_twice(tmp_path):
    layout = Layout(tmp_path)
    for attempt in ("first", "second"):
        put(layout.training / "part-0.parquet", attempt)
        set_aside(layout.training, "r2")
        assert not layout.training.exists()
    set_aside(layout.training, "r2")
    assert sorted(path.read_text() for path in tmp_path.glob(".uncommitted-*/*")) == ["first", "second"]
    found = leftovers(layout, now() + timedelta(hours=1))
    assert [item.what for item in found] == ["files of no version"] * 2
    clear(found)
    assert list(tmp_path.iterdir()) == []


def test_a_run_waits_for_the_one_that_makes_the_table(spark, tmp_path, capsys):
    path, runs, said = tmp_path / "training", tmp_path / "runs", []

    def make(run):
        replacement = DayReplacement(target(path), (DAY,), -1, {}, 100, runs)
        said.append(replace_days(rows(spark, run), replacement, CommitMetadata(run, "c", "raw")).version)

    with making_alone(runs):
        waiting = Thread(target=make, args=("r3",))
        waiting.start()
        wait_until(lambda: "waits for the run that makes the table" in capsys.readouterr().out)
        assert not path.exists()
    waiting.join()
    assert said == [0]
    assert not runs.exists()


@pytest.fixture
def table(made, tmp_path):
    """A copy of the table that run r1 made: (its path, the switch of a run that has found it so)."""
    path = tmp_path / "training"
    shutil.copytree(made[0].parent / AS_MADE, path)
    return path, found_now(path)


def found_now(path):
    found = logged(path)
    return DayReplacement(target(path), (DAY,), found.version, makers(found), 100, path.parent / "runs")


def commit_unseen(spark, path, run):
    """Replace the day as a run does that knows of no lock, such as one on another host."""
    training_commit._replace_days(rows(spark, run), target(path), (DAY,), {})


def test_a_first_run_with_other_settings_that_came_second_replaces_the_table(spark, made, tmp_path, capsys):
    """Else its rows would lie in a table that says they have the settings of the first."""
    path, runs, other = tmp_path / "training", tmp_path / "runs", DAY + timedelta(days=1)
    replacement = DayReplacement(target(path, "other", replace=True), (other,), -1, {}, 100, runs)
    with making_alone(runs):
        waiting = Thread(
            target=replace_days, args=(rows(spark, "r2", other), replacement, CommitMetadata("r2", "c", "raw"))
        )
        waiting.start()
        wait_until(lambda: "waits for the run that makes the table" in capsys.readouterr().out)
        shutil.copytree(made[0].parent / AS_MADE, path)
    waiting.join()
    assert target(path).found()[SETTINGS_PROPERTY] == "other"
    assert makers(logged(path)) == {other: {"r2"}}


def test_a_run_that_finds_its_day_being_replaced_waits_and_leaves_it(spark, table, capsys):
    path, replacement = table
    other = hold_days(replacement.runs, DAY)
    said = []

    def attempt():
        try:
            replace_days(rows(spark, "late"), replacement, CommitMetadata("late", "c", "raw"))
        except ConcurrentRunError as error:
            said.append(str(error))

    waiting = Thread(target=attempt)
    waiting.start()
    wait_until(
        lambda: (
            f"waits for a run that replaces the same days: another run holds one of {DAY}" in capsys.readouterr().out
        )
    )
    commit_unseen(spark, path, "early")
    other.communicate()
    waiting.join()
    (message,) = said
    assert f"another run replaced the same days meanwhile: {DAY} of {path} now come from early; nothing of " in message
    assert makers(logged(path)) == {DAY: {"early"}}


def test_a_run_that_replaced_what_it_had_not_found_says_which(spark, table, monkeypatch):
    """Where no lock holds between two hosts: a commit after the last look, before Delta takes its own."""
    path, replacement = table
    write = training_commit._replace_days

    def late(found, to, days, options):
        write(rows(spark, "between"), to, days, {})
        write(found, to, days, options)

    monkeypatch.setattr(training_commit, "_replace_days", late)
    with pytest.raises(ConcurrentRunError, match=rf"run late is committed as version 2 .*: {DAY} came from between; "):
        replace_days(rows(spark, "late"), replacement, CommitMetadata("late", "c", "raw"))
    assert makers(logged(path)) == {DAY: {"late"}}


def test_a_run_puts_back_the_constraint_on_slots(spark, table):
    """A run that was killed while it appended slots leaves the table without it and with its old list of slots."""
    path, _ = table
    spark.sql(f"ALTER TABLE {target(path).identifier} DROP CONSTRAINT slot")
    assert SLOT_CONSTRAINT not in target(path).found()
    replace_days(rows(spark, "r2"), found_now(path), CommitMetadata("r2", "c", "raw"))
    assert "'feed'" in target(path).found()[SLOT_CONSTRAINT]
