"""Delta commits that say who made them, and the rows they wrote, as the table's log tells."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from delta.tables import DeltaTable
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

USER_METADATA = "spark.databricks.delta.commitInfo.userMetadata"


@dataclass(frozen=True)
class Run:
    """What a build read and with which settings. `run_id` is equal for every build of the same log and days."""

    run_id: str
    config_hash: str
    input: str

    def metadata(self) -> str:
        """The run as the JSON that its commits carry."""
        return json.dumps(asdict(self))


@dataclass(frozen=True)
class Commit:
    """A table version and the rows that its commit wrote."""

    version: int
    rows: int


@contextmanager
def signed(spark: SparkSession, run: Run) -> Iterator[None]:
    """Let every commit inside the block carry the run in its userMetadata, a table's first one included."""
    spark.conf.set(USER_METADATA, run.metadata())
    try:
        yield
    finally:
        spark.conf.unset(USER_METADATA)


def latest_version(spark: SparkSession, table: Path) -> int:
    """The newest version of `table`, -1 when there is no table."""
    if not DeltaTable.isDeltaTable(spark, str(table)):
        return -1
    newest = DeltaTable.forPath(spark, str(table)).history(1).first()
    return -1 if newest is None else int(newest["version"])


def commit_after(spark: SparkSession, table: Path, version: int, run: Run) -> Commit:
    """The newest commit of `run` later than `version`; none means that nothing had to change, so no rows."""
    history = DeltaTable.forPath(spark, str(table)).history()
    own = history.where((F.col("version") > version) & (F.col("userMetadata") == run.metadata()))
    newest = own.orderBy(F.col("version").desc()).select("version", "operationMetrics").first()
    if newest is None:
        return Commit(version, 0)
    metrics: Mapping[str, str] = newest["operationMetrics"]
    return Commit(int(newest["version"]), int(metrics.get("numOutputRows", 0)))
