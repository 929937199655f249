"""The quarantine and the profiles: Delta tables whose rows carry their date and the run that made them.

A run adds its rows before its one commit to the training table, and rows that a commit superseded are pruned after it.
So the rows of the runs that built the training table's days are there, whenever a run was killed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from datetime import date
from functools import reduce
from pathlib import Path

from delta.tables import DeltaTable as SparkDeltaTable
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from camoe.contracts.runs import RunRecord
from camoe.contracts.schema import RUN_ID
from camoe.contracts.snapshot import is_delta_table
from camoe.contracts.storage import is_remote
from features.delta.commit import CONFLICTS, CommitMetadata, commit_after, latest_version, open_delta, signed
from features.impressions.checks import REASONS
from features.read.raw import RAW
from features.spark.rows import held_rows
from features.tables.remote_side import prune_remote, put_remote, remote_rows_of_runs

# By day and run, so that replacing or pruning rows never touches a file of another day or run.
SIDE_PARTITIONS = ("date", RUN_ID)
ATTEMPTS = 5
# So that no condition is nested too deeply for Spark.
RUNS_A_DELETE = 100

DayOfRun = tuple[date | None, str]


def quarantine_rows(refused: DataFrame, run: CommitMetadata) -> DataFrame:
    """Return `raw` (the row as JSON), `reasons`, `impression_id`, `date` (null: unknown), `run_id`, `run_at`."""
    return refused.select(
        F.col(RAW).alias("raw"),
        F.col(REASONS).alias("reasons"),
        F.col("impression_id").cast("string").alias("impression_id"),
        "date",
        F.lit(run.run_id).alias(RUN_ID),
        F.current_timestamp().alias("run_at"),
    )


def profile_rows(profiled: DataFrame, run: CommitMetadata) -> DataFrame:
    """Add the run to the rows of `features.encoding.profile`."""
    return profiled.withColumn(RUN_ID, F.lit(run.run_id))


def put(rows: DataFrame, table: Path, run: CommitMetadata) -> int:
    """Make `rows` the rows of `run` in `table`, in one commit that is `signed` already; return how many there are.

    A first attempt of the run that died may have left rows; other runs' rows are neither read nor touched.
    """
    # A file a day, and several tasks for a day that is more than one task should write.
    even = rows.hint("rebalance", F.col("date"))
    if is_remote(str(table)):
        return put_remote(even, str(table), SIDE_PARTITIONS, run)
    writer = even.write.format("delta").mode("overwrite").partitionBy(*SIDE_PARTITIONS)
    mine = writer.option("replaceWhere", f"{RUN_ID} = '{run.run_id}'")
    before = latest_version(table)
    for _ in range(ATTEMPTS - 1):
        # Only the first commit of a table can conflict, with that of another run.
        with suppress(*CONFLICTS):
            mine.save(str(table.resolve()))
            break
    else:
        mine.save(str(table.resolve()))
    commit = commit_after(table, before, run)
    return 0 if commit is None else commit.rows


def days_of_runs(table: Path, version: int | None = None) -> set[DayOfRun]:
    """Return the (date, run) pairs of which `table` has files at `version` (default: the newest)."""
    if not is_delta_table(table):
        return set()
    actions = open_delta(table, version).get_add_actions(flatten=True)
    days, runs = (actions.column(f"partition.{name}").to_pylist() for name in SIDE_PARTITIONS)
    return set(zip(days, runs, strict=True))


def rows_of_runs(spark: SparkSession, table: Path, version: int, wanted: Collection[tuple[date, str]]) -> DataFrame:
    """Return the rows of the (date, run) pairs `wanted` in `version` of `table`."""
    if is_remote(str(table)):
        return remote_rows_of_runs(spark, str(table), version, wanted)
    pairs = held_rows(spark, sorted(wanted), f"date date, {RUN_ID} string")
    rows = spark.read.format("delta").option("versionAsOf", version).load(str(table.resolve()))
    # Days and runs by themselves let Delta skip the files of others.
    near = F.col("date").isin([day for day, _ in wanted]) & F.col(RUN_ID).isin([run for _, run in wanted])
    return rows.where(near).join(F.broadcast(pairs), on=["date", RUN_ID], how="left_semi")


def superseded(
    found: Collection[DayOfRun], active: Mapping[date, RunRecord], committed: Collection[str]
) -> set[DayOfRun]:
    """Return those of the (date, run) pairs `found` whose rows no longer describe the training table.

    `active` maps each built day to its run's record, `committed` are the runs that ever built one: a run that has not
    committed may be about to. Rows with a date go with the rows of that day. Rows without one stay while their run has
    a day, unless newer runs that have one read all of its logs.
    """
    built = {(day, layer.run_id): layer for day, record in active.items() for layer in record.layers(day)}
    runs = {layer.run_id: layer for layer in built.values()}
    newest: dict[tuple[str, str], RunRecord] = {}
    for record in runs.values():
        for log in record.logs:
            newest[record.input, log] = max(newest.get((record.input, log), record), record, key=lambda one: one.built)
    lasting = {record.run_id for record in newest.values()}
    current = {*built, *((None, run) for run in lasting)}
    return {(day, run) for day, run in found if run in committed and (day, run) not in current}


def prune(spark: SparkSession, table: Path, gone: Collection[DayOfRun], run: CommitMetadata) -> None:
    """Delete the rows of the (date, run) pairs `gone`. What two runs delete at once, a later run deletes."""
    if is_remote(str(table)):
        if gone:
            prune_remote(str(table), SIDE_PARTITIONS, gone, run)
        return
    days: dict[str, list[date | None]] = {}
    for day, maker in gone:
        days.setdefault(maker, []).append(day)
    makers = sorted(days)
    for first in range(0, len(makers), RUNS_A_DELETE):
        runs = makers[first : first + RUNS_A_DELETE]
        condition = reduce(Column.__or__, [(F.col(RUN_ID) == maker) & _on(days[maker]) for maker in runs])
        with signed(spark, run), suppress(*CONFLICTS):
            SparkDeltaTable.forPath(spark, str(table.resolve())).delete(condition)


def _on(days: Collection[date | None]) -> Column:
    dated = F.col("date").isin([day for day in days if day is not None])
    return dated | F.col("date").isNull() if None in days else dated
