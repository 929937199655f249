"""The Spark session that a job runs in."""

from __future__ import annotations

import logging

from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from camoe.config.ending import heed_signals
from camoe.contracts.errors import ConfigError
from camoe.contracts.shown.commands import SUBMIT
from features.spark.settings import SETTINGS, require_no_older_meanings, take_no_locale

# These log the message of a failed task, and so the value that could not be cast. Executors of a cluster are JVMs of
# their own, where conf/spark/log4j2.properties switches the same ones off.
QUOTING_LOGGERS = (
    "org.apache.spark.executor.Executor",
    "org.apache.spark.scheduler.TaskSetManager",
    "org.apache.spark.sql.execution.datasources.FileFormatWriter",
    "org.apache.spark.sql.execution.datasources.v2",
    "org.apache.spark.util.Utils",
)
DELTA_EXTENSION = "io.delta.sql.DeltaSparkSessionExtension"


def spark_session(name: str) -> SparkSession:
    """Return the session that spark-submit configured, named after the job, with `SETTINGS` whatever it configured.

    Raises:
        ConfigError: Delta Lake is not configured, or an older meaning of Spark's is; or a locale without UTF-8.
    """
    builder = SparkSession.builder.appName(f"camoe {name}").config(map=dict(SETTINGS))
    # The place in the code of every column is looked up for PySpark's own messages, which costs a third of the time to
    # put a plan together.
    spark = builder.config("spark.python.sql.dataFrameDebugging.enabled", "false").getOrCreate()
    if DELTA_EXTENSION not in _setting(spark, "spark.sql.extensions"):
        raise ConfigError(
            f"this Spark session has no Delta Lake; start the job with {SUBMIT} (or yarn.conf, kubernetes.conf)"
        )
    require_no_older_meanings(spark)
    take_no_locale(spark)
    # PySpark logs each failed query as JSON before it raises; the jobs tell failures themselves, in one line.
    for query_log in ("SQLQueryContextLogger", "DataFrameQueryContextLogger"):
        logging.getLogger(query_log).setLevel(logging.CRITICAL)
    _tell_no_values(spark)
    heed_signals()
    return spark


def _tell_no_values(spark: SparkSession) -> None:
    """Silence the loggers that quote the value on which a task failed; the error of the job says what failed."""
    java = spark.sparkContext._jvm
    if java is None:
        return
    log4j = java.org.apache.logging.log4j
    for name in QUOTING_LOGGERS:
        log4j.core.config.Configurator.setLevel(name, log4j.Level.OFF)


def _setting(spark: SparkSession, key: str) -> str:
    try:
        return str(spark.conf.get(key))
    except PySparkException:
        return ""
