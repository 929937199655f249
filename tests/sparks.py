"""The settings of the Spark that tests run in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from pyspark.sql import SparkSession

from tests.paths import ROOT

# With a few rows most of the time goes into putting plans together, into compiling them, and into starting tasks. So
# plans are run without being compiled, as they are first made, with few tasks, and are neither checked after each rule
# nor written out for a page that nobody opens. Jobs that tests submit run as shipped.
FOR_FEW_ROWS = {
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.lightweightPlanChangeValidation": "false",
    "spark.sql.ui.explainMode": "simple",
    "spark.sql.shuffle.partitions": "2",
    "spark.databricks.delta.snapshotPartitions": "1",
    "spark.python.sql.dataFrameDebugging.enabled": "false",
}
# One thread collects garbage, and classes of libraries are not verified while they are loaded.
FOR_ONE_DRIVER = (
    " -XX:+UseSerialGC -XX:MetaspaceSize=256m -Xms1g -XX:+UnlockDiagnosticVMOptions -XX:-BytecodeVerificationRemote"
)


def spark_properties() -> dict[str, str]:
    """Return the shipped settings of a local Spark."""
    lines = (ROOT / "conf/spark/local.conf").read_text().splitlines()
    pairs = [line.split(None, 1) for line in lines if line.strip() and not line.startswith("#")]
    return {key: value.strip() for key, value in pairs}


@contextmanager
def as_users_run_it(spark: SparkSession) -> Iterator[None]:
    """Compile plans and run as many tasks as shipped while the block runs."""
    shipped = spark_properties()
    with set_to(spark, {key: shipped.get(key) for key in FOR_FEW_ROWS if spark.conf.isModifiable(key)}):
        yield


@contextmanager
def set_to(spark: SparkSession, settings: Mapping[str, str | None]) -> Iterator[None]:
    """Give the session other settings while the block runs; those that are None have Spark's default."""
    before = {key: spark.conf.get(key, None) for key in settings}
    _set(spark, settings)
    try:
        yield
    finally:
        _set(spark, before)


def _set(spark: SparkSession, settings: Mapping[str, str | None]) -> None:
    for key, value in settings.items():
        if value is None:
            spark.conf.unset(key)
        else:
            spark.conf.set(key, value)
