"""dbl-tempo's asofJoin, each joined row whole (skipNulls=False)."""

from __future__ import annotations

from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from tempo import TSDF


def join(spark: SparkSession, folder: Path, features: list[str]) -> tuple[DataFrame, dict[str, str], str]:
    """Join the versions under the prefix `v`."""
    return _joined(spark, folder, features, skip_nulls=False)


def _joined(
    spark: SparkSession, folder: Path, features: list[str], skip_nulls: bool
) -> tuple[DataFrame, dict[str, str], str]:
    left = TSDF(spark.read.parquet(str(folder / "impressions")), ts_col="ts", partition_cols=["user_id"])
    right = TSDF(spark.read.parquet(str(folder / "versions")), ts_col="ts", partition_cols=["user_id"])
    joined = left.asofJoin(right, right_prefix="v", skipNulls=skip_nulls, suppress_null_warning=True).df
    return joined, {name: f"v_{name}" for name in features}, f"asofJoin, skipNulls={skip_nulls}"
