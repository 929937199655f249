"""The quarantine table: impressions that were refused, as they came, and why."""

from __future__ import annotations

from pathlib import Path

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from features.checks import REASONS
from features.commit import Commit, Run, commit_after, latest_version, signed
from features.raw import RAW


def quarantine_rows(refused: DataFrame, run: Run) -> DataFrame:
    """`raw` (the row as JSON), `reasons`, `impression_id`, `run_id`, `run_at` (when this was written)."""
    return refused.select(
        F.col(RAW).alias("raw"),
        F.col(REASONS).alias("reasons"),
        F.col("impression_id").cast("string").alias("impression_id"),
        F.lit(run.run_id).alias("run_id"),
        F.current_timestamp().alias("run_at"),
    )


def write_quarantine(rows: DataFrame, table: Path, run: Run) -> Commit:
    """Replace the rows of earlier builds of the same log and days in one commit; those of others stay."""
    writer = rows.coalesce(1).write.format("delta").mode("overwrite")
    before = latest_version(rows.sparkSession, table)
    with signed(rows.sparkSession, run):
        writer.option("replaceWhere", f"run_id = '{run.run_id}'").save(str(table))
    return commit_after(rows.sparkSession, table, before, run)
