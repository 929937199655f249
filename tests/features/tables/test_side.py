"""Rows of quarantine and profiles: how they are written and found, and which of them a commit superseded."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta

import pytest
from deltalake import DeltaTable
from pyspark.sql import functions as F

from camoe.contracts.layout import Layout
from camoe.contracts.runs import RunRecord, active_records
from camoe.contracts.snapshot import logged
from features.delta.commit import CommitMetadata, latest_version, signed
from features.incremental import ExistingTable, earlier_profiles
from features.tables.publish import committed_at
from features.tables.side import days_of_runs, prune, put, superseded
from tests.features.maintenance.upkeep import add_side_rows, build_day
from tests.sparks import set_to

SMALL_TASKS = {
    "spark.sql.adaptive.enabled": "true",
    "spark.sql.adaptive.advisoryPartitionSizeInBytes": "20KB",
    "spark.sql.shuffle.partitions": "4",
}
ONE, TWO, THREE = (date(2026, 3, number) for number in (1, 2, 3))


def record(name, built, days, logs=("log",), lake="/lake"):
    moment = datetime(2026, 3, 10, tzinfo=UTC) + timedelta(hours=built)
    return RunRecord(
        run_id=name,
        built=moment,
        settings_hash="s",
        input=lake,
        logs=logs,
        as_of=moment,
        encoder_version=1,
        days={day: {} for day in days},
    )


def gone(found, *runs, committed=None):
    """What of `found` is superseded once `runs` have committed in turn."""
    active = {day: run for run in runs for day in run.days}
    return superseded(set(found), active, {run.run_id for run in runs} if committed is None else committed)


def test_the_rows_of_a_day_go_with_its_older_run():
    old, new = record("old", 0, [ONE, TWO]), record("new", 1, [TWO])
    assert gone([(ONE, "old"), (TWO, "old"), (TWO, "new")], old, new) == {(TWO, "old")}


def test_the_rows_of_a_run_that_has_not_committed_stay():
    old = record("old", 0, [ONE])
    assert gone([(ONE, "old"), (ONE, "coming"), (None, "coming")], old) == set()


def test_rows_of_a_day_that_the_table_no_longer_has_go():
    old, new = record("old", 0, [ONE, TWO]), record("new", 1, [TWO])
    assert superseded({(ONE, "old"), (None, "old")}, dict.fromkeys(new.days, new), {old.run_id, new.run_id}) == {
        (ONE, "old"),
        (None, "old"),
    }


def test_rows_without_a_day_are_those_of_the_newest_run_that_read_the_same_log():
    first, second, third = record("a", 0, [ONE]), record("b", 1, [TWO]), record("c", 2, [THREE])
    found = [(None, "a"), (None, "b"), (None, "c")]
    assert gone(found, first, second, third) == {(None, "a"), (None, "b")}
    other = record("c", 2, [THREE], lake="/other")
    assert gone(found, first, second, other) == {(None, "a")}


def test_rows_without_a_day_stay_until_all_logs_of_their_run_were_read_again():
    both = record("a", 0, [ONE, TWO], ("1", "2"))
    again, rest = record("b", 1, [ONE], ("1",)), record("c", 2, [TWO], ("2",))
    assert gone([(None, "a"), (None, "b")], both, again) == set()
    assert gone([(None, "a"), (None, "b"), (None, "c")], both, again, rest) == {(None, "a")}


def test_the_rows_of_a_run_that_commits_while_another_tidies_stay(tmp_path):
    layout = Layout(tmp_path)
    for run, day in (("old", ONE), ("new", ONE)):
        build_day(layout, run, day)
        add_side_rows(layout.profiles, run, day, 2)
    add_side_rows(layout.profiles, "meanwhile", TWO, 2)
    found = days_of_runs(layout.profiles)
    snapshot = logged(layout.training)
    build_day(layout, "meanwhile", TWO)
    committed = committed_at(snapshot, {run for _, run in found})
    assert superseded(found, active_records(snapshot, layout.runs), committed) == {(ONE, "old")}


@pytest.fixture(scope="module")
def profiles(spark, tmp_path_factory):
    """Three small days by run a, a small and a large one by run b; a task writes no more than a part of that one."""
    layout = Layout(tmp_path_factory.mktemp("profiles"))
    with set_to(spark, SMALL_TASKS):
        for name, sizes in (("a", {ONE: 5, TWO: 5, THREE: 5}), ("b", {TWO: 5, THREE: 20_000})):
            days = spark.createDataFrame(list(sizes.items()), "date date, size int")
            rows = days.select("date", F.explode(F.sequence(F.lit(1), "size")).alias("value"))
            value = F.col("value").cast("string").alias("value")
            made = rows.repartition(8).select(
                "date", F.lit("f").alias("feature"), value, F.lit(1).cast("bigint").alias("rows")
            )
            run = CommitMetadata(name, "settings", "/lake")
            with signed(spark, run):
                assert put(made.withColumn("run_id", F.lit(name)), layout.profiles, run) == sum(sizes.values())
    return layout


def test_a_small_day_is_one_file_and_a_large_one_is_written_by_several_tasks(profiles):
    actions = DeltaTable(profiles.profiles).get_add_actions(flatten=True)
    files = Counter(zip(*(actions.column(f"partition.{name}").to_pylist() for name in ("date", "run_id")), strict=True))
    assert files.pop((THREE, "b")) > 1
    assert files == {(ONE, "a"): 1, (TWO, "a"): 1, (THREE, "a"): 1, (TWO, "b"): 1}


def test_earlier_profiles_are_those_of_the_run_that_built_each_day(spark, profiles):
    records = {ONE: record("a", 0, [ONE]), TWO: record("b", 1, [TWO]), THREE: record("a", 0, [THREE])}
    found = earlier_profiles(
        spark, profiles, ExistingTable(1, {}, records, latest_version(profiles.profiles)), [ONE, TWO, THREE]
    )
    assert dict(Counter((row["date"], row["run_id"]) for row in found.collect())) == {
        (ONE, "a"): 5,
        (TWO, "b"): 5,
        (THREE, "a"): 5,
    }


def test_of_a_day_that_got_columns_the_profiles_are_those_of_the_run_that_made_each(spark, profiles):
    first = record("a", 0, [TWO]).model_copy(update={"features": {"f": "1"}})
    then = record("b", 1, [TWO]).model_copy(
        update={"features": {"f": "2"}, "kept": {TWO: ("a",)}, "under": {"a": first}}
    )
    before = ExistingTable(1, {}, {ONE: first, TWO: then}, latest_version(profiles.profiles))

    def runs(defined):
        found = earlier_profiles(spark, profiles, before, [ONE, TWO], defined)
        return set() if found is None else {(row["date"], row["run_id"]) for row in found.collect()}

    assert runs({}) == {(ONE, "a"), (TWO, "b")}
    assert runs({"f": "2"}) == {(TWO, "b")}


def test_rows_of_very_many_days_and_runs_are_pruned(spark, profiles):
    many = {(ONE + timedelta(days=number), f"r{number % 150}") for number in range(3_000)}
    prune(
        spark,
        profiles.profiles,
        {*many, (None, "a"), (THREE, "a"), (TWO, "b")},
        CommitMetadata("c", "settings", "/lake"),
    )
    assert days_of_runs(profiles.profiles) == {(ONE, "a"), (TWO, "a"), (THREE, "b")}
