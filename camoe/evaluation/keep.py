"""Spark's side of the states table: written for whole days of a model, and read at one version."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date
from pathlib import Path

import pyarrow as pa
from delta import exceptions
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import to_arrow_schema

from camoe.contracts.places.alone import one_line
from camoe.contracts.places.commits import CommittedTable
from camoe.contracts.schema import STATE_PARTITIONS
from camoe.contracts.storage import is_remote
from camoe.stream.frame import remote_frame, written

COLUMNS = (
    "objective",
    "group_kind",
    "group",
    "predictor",
    "snapshot_version",
    "buckets",
    "rows",
    "unknown",
    "bins",
    "users",
)
# Delta's errors when another commit came first; PySpark knows them once they are imported.
CONFLICTS = tuple(
    kind for kind in vars(exceptions).values() if isinstance(kind, type) and kind.__module__.startswith("delta.")
)


def keep_states(rows: DataFrame, path: Path, days: Collection[date], model_version: str, snapshot_version: int) -> None:
    """Replace the states of `model_version` on `days` by `rows`, in one commit; others stay as they are.

    Raises:
        RunError: another job committed first, and the two cannot both hold.
    """
    listed = ", ".join(f"date'{day.isoformat()}'" for day in sorted(days))
    stamped = rows.withColumns(
        {"snapshot_version": F.lit(snapshot_version).cast("bigint"), "model_version": F.lit(model_version)}
    )
    whole = stamped.select("date", "model_version", *COLUMNS)
    if is_remote(str(path)):
        schema = pa.schema([field.with_nullable(True) for field in to_arrow_schema(whole.schema)])
        table = CommittedTable(str(path), schema, STATE_PARTITIONS)
        table.replace({"date": days, "model_version": [model_version]}, lambda: written(whole, table))
        return
    writer = whole.write.format("delta").mode("overwrite")
    replaced = f"date in ({listed}) and model_version = '{model_version}'"
    with one_line(CONFLICTS, path):
        writer.partitionBy(*STATE_PARTITIONS).option("replaceWhere", replaced).save(str(path.resolve()))


def kept_states(
    spark: SparkSession, path: Path, version: int, models: Sequence[str], days: Collection[date]
) -> DataFrame:
    """Read the states of `models` on `days` from a version of the table."""
    if is_remote(str(path)):
        return remote_frame(spark, str(path), version, {"date": days, "model_version": models})
    table = spark.read.format("delta").option("versionAsOf", version).load(str(path.resolve()))
    return table.where(F.col("date").isin(list(days)) & F.col("model_version").isin(list(models)))
