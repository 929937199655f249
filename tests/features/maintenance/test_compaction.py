"""Compaction changes the files of a day and nothing else; whoever writes the day at the same time wins."""

from __future__ import annotations

import json
import shutil
from contextlib import nullcontext
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from delta.tables import DeltaTable as SparkDeltaTable
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from pyspark.sql import functions as F

from camoe.contracts.errors import MaintenanceError
from camoe.contracts.layout import Layout
from camoe.contracts.places.pins import read_pins
from camoe.contracts.runs import RunError
from camoe.contracts.schema import TRAINING_PARTITIONS
from camoe.contracts.snapshot import pin
from features.maintenance import swap
from features.maintenance.committed import uncommitted
from features.maintenance.compact import compact, require_same_rows, small_cells
from features.maintenance.orphans import leftovers
from features.maintenance.swap import swap_files
from tests.features.maintenance.upkeep import content, everything, leave_record, training_rows, versions

FIRST, SECOND = date(2026, 1, 1), date(2026, 1, 2)
ROWS_PER_FILE = 40


def shredded(spark, run, day, rows, pieces):
    """Rows of one day in two slots, cut into `pieces` files a slot."""
    made = spark.range(rows).select(
        F.format_string(f"{run}-%d", "id").alias("impression_id"),
        F.lit(run).alias("run_id"),
        F.when(F.col("id") % 5 > 0, F.col("id") / 7).cast("float").alias("x"),
        F.when(F.col("id") % 3 > 0, F.col("id") % 2).cast("tinyint").alias("label_click"),
        F.lit("m").alias("modality"),
        F.when(F.col("id") % 3 == 0, "break").otherwise("feed").alias("slot"),
        F.lit(day).alias("date"),
    )
    return made.repartition(pieces, "impression_id")


@pytest.fixture(scope="module")
def small(spark, tmp_path_factory):
    """A table with constraints: the first day's 'feed' in 6 files, its 'break' and the second day in one file each."""
    layout = Layout(tmp_path_factory.mktemp("small"))
    table = f"delta.`{layout.training}`"
    first = shredded(spark, "r1", FIRST, 60, 6).where("slot = 'feed'")
    whole = (
        shredded(spark, "r1", FIRST, 60, 1).where("slot = 'break'").unionByName(shredded(spark, "r2", SECOND, 30, 1))
    )
    creator = first.writeTo(table).using("delta").partitionedBy(*[F.col(name) for name in TRAINING_PARTITIONS])
    creator = creator.tableProperty("delta.constraints.known", "impression_id IS NOT NULL")
    creator.tableProperty("delta.checkpointInterval", "1").create()
    whole.write.format("delta").mode("append").option("txnAppId", "r2").option("txnVersion", 1).save(
        str(layout.training)
    )
    leave_record(layout, "r2", SECOND)
    return layout


@pytest.fixture
def layout(small, tmp_path):
    shutil.copytree(small.root, tmp_path / "out")
    return Layout(tmp_path / "out")


def names(layout, day=None):
    return {Path(file.path).name for file in pin(layout.training).files if day in (None, file.day)}


def in_hash_order(spark, path):
    rows = spark.read.parquet(path).select(F.xxhash64("impression_id").alias("digest")).collect()
    return [row["digest"] for row in rows] == sorted(row["digest"] for row in rows)


def test_small_files_become_full_ones_with_the_same_rows(spark, layout):
    before, rows, fine = pin(layout.training), content(layout.training), names(layout, SECOND)
    assert len(before.files) == 6 + 1 + 2
    (done,) = compact(spark, layout, ROWS_PER_FILE, None)
    after = pin(layout.training)
    assert (done.day, done.rows, done.before, done.after, done.version) == (FIRST, 40, 6, 1, before.version + 1)
    assert after.version == before.version + 1
    assert content(layout.training) == rows
    assert names(layout, SECOND) == fine
    assert {file.run_id for file in after.on([FIRST]).files} == {"r1"}
    assert [file.row_groups for file in after.files if file.slot == "feed" and file.day == FIRST] == [(40,)]
    assert in_hash_order(spark, next(file.path for file in after.files if file.day == FIRST and file.slot == "feed"))
    assert {row["slot"] for row in spark.read.format("delta").load(str(layout.training)).collect()} == {"feed", "break"}
    log = (layout.training / f"_delta_log/{after.version:020}.json").read_text().splitlines()
    entries = [json.loads(line) for line in log]
    assert {entry[kind]["dataChange"] for entry in entries for kind in ("add", "remove") if kind in entry} == {False}
    assert compact(spark, layout, ROWS_PER_FILE, None) == ()
    assert pin(layout.training).version == after.version
    assert versions(layout.training)[before.version] == rows
    assert [path.name for path in layout.root.iterdir() if path.name.startswith(".")] == []
    assert read_pins(layout.pins) == ()


def test_spark_writes_on_after_a_compaction(spark, layout):
    compact(spark, layout, ROWS_PER_FILE, None)
    second = [row for row in content(layout.training) if str(SECOND) in row[0]]
    writer = shredded(spark, "r3", FIRST, 12, 1).write.format("delta").mode("overwrite")
    writer.option("replaceWhere", f"date IN ('{FIRST}')").save(str(layout.training))
    assert {file.run_id for file in pin(layout.training).on([FIRST]).files} == {"r3"}
    assert [row for row in content(layout.training) if str(SECOND) in row[0]] == second
    assert SparkDeltaTable.forPath(spark, str(layout.training)).toDF().count() == 12 + 30


def test_only_the_days_asked_for_are_compacted(spark, layout):
    before = names(layout)
    assert compact(spark, layout, ROWS_PER_FILE, [SECOND]) == ()
    assert names(layout) == before


def test_a_cell_larger_than_a_file_is_cut_into_full_files(spark, layout):
    rows = content(layout.training)
    (done,) = compact(spark, layout, 20, [FIRST])
    files = [file for file in pin(layout.training).files if file.day == FIRST and file.slot == "feed"]
    assert 2 <= len(files) == done.after < 6
    assert max(file.rows for file in files) <= 20
    assert content(layout.training) == rows


def scratch_of(spark, layout, tmp_path):
    """The new files of the first day's cell, as a compaction has them before it commits."""
    snapshot = pin(layout.training)
    (cell,) = small_cells(snapshot, ROWS_PER_FILE, None)[FIRST]
    rows = (
        spark.read.format("delta")
        .load(str(layout.training))
        .where((F.col("date") == FIRST) & (F.col("slot") == "feed"))
    )
    rows.coalesce(1).write.format("delta").partitionBy(*TRAINING_PARTITIONS).save(str(tmp_path / "scratch"))
    return snapshot, cell.files, tmp_path / "scratch"


def replace_day(layout, run, day):
    """Another run builds `day`, without Spark."""
    table = DeltaTable(layout.training)
    old = content(layout.training)
    table.delete(f"date = '{day}'", commit_properties=CommitProperties(app_transactions=[Transaction(run, 1)]))
    assert content(layout.training) != old


def test_a_run_that_replaced_the_day_meanwhile_wins(spark, layout, tmp_path):
    snapshot, old, scratch = scratch_of(spark, layout, tmp_path)
    replace_day(layout, "r9", FIRST)
    rows, files = content(layout.training), everything(layout.training)
    with pytest.raises(MaintenanceError, match="another job rewrote 2026-01-01"):
        swap_files(layout, snapshot, old, scratch)
    assert content(layout.training) == rows
    assert everything(layout.training) == files


def test_a_run_that_replaced_another_day_meanwhile_hinders_nothing(spark, layout, tmp_path):
    snapshot, old, scratch = scratch_of(spark, layout, tmp_path)
    replace_day(layout, "r9", SECOND)
    rows = content(layout.training)
    assert swap_files(layout, snapshot, old, scratch) == snapshot.version + 2
    assert content(layout.training) == rows


@pytest.mark.parametrize("reported", [True, False])
def test_a_run_that_replaces_the_day_right_after_the_commit_leaves_its_version_readable(
    spark, layout, tmp_path, monkeypatch, reported
):
    snapshot, old, scratch = scratch_of(spark, layout, tmp_path)
    rows, commit = content(layout.training), swap._commit

    def overtaken(*given):
        version = commit(*given)
        replace_day(layout, "r9", FIRST)
        if not reported:
            raise MaintenanceError("the commit was reported as failed")
        return version

    monkeypatch.setattr(swap, "_commit", overtaken)
    with nullcontext() if reported else pytest.raises(MaintenanceError, match="reported as failed"):
        swap_files(layout, snapshot, old, scratch)
    assert versions(layout.training)[snapshot.version + 1] == rows


def test_a_run_that_is_about_to_commit_the_day_wins(spark, layout):
    before, files = pin(layout.training).version, everything(layout.training)
    leave_record(layout, "r9", FIRST)
    with pytest.raises(MaintenanceError, match="feature run r9 is about to commit 2026-01-01"):
        compact(spark, layout, ROWS_PER_FILE, None)
    assert pin(layout.training).version == before
    assert everything(layout.training) == files
    assert [path.name for path in layout.root.iterdir() if path.name.startswith(".")] == []


ROWS = [("a", 1, None, "feed"), ("b", 2, 2, "feed"), ("c", 3, 3, "break")]
OTHERS = {
    "a null in another column": [("a", None, 1, "feed"), *ROWS[1:]],
    "a row twice in the place of another": [ROWS[0], ROWS[0], ROWS[2]],
    "another slot": [("a", 1, None, "break"), *ROWS[1:]],
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS.keys())
def test_other_rows_are_noticed_whatever_differs(spark, other):
    rows = spark.createDataFrame(ROWS, "impression_id string, x int, y int, slot string").coalesce(1)
    require_same_rows(rows, rows.orderBy(F.desc("x")), FIRST)
    with pytest.raises(MaintenanceError, match="other rows than the old"):
        require_same_rows(rows, spark.createDataFrame(other, rows.schema).coalesce(1), FIRST)


def test_a_day_of_two_runs_is_refused(layout, tmp_path):
    mixed = Layout(tmp_path / "mixed")
    for run in ("r1", "r2"):
        write_deltalake(
            mixed.training, training_rows(run, FIRST), mode="append", partition_by=list(TRAINING_PARTITIONS)
        )
    with pytest.raises(RunError, match="name r1, r2 as their run"):
        small_cells(pin(mixed.training), ROWS_PER_FILE, None)


def test_what_spark_wrote_and_checkpointed_is_neither_an_orphan_nor_uncommitted(layout):
    for path in layout.training.glob("_delta_log/*.json"):
        if path.name != f"{1:020}.json":
            path.unlink()
    rows = content(layout.training)
    assert leftovers(layout, datetime.now(UTC) + timedelta(hours=1)) == ()
    assert uncommitted(layout.training, ["r1", "r2", "r9"]) == {"r9"}
    assert content(layout.training) == rows
