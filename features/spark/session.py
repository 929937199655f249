"""The Spark session that a job runs in."""

from __future__ import annotations

import logging
from pathlib import Path

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
LOG_PATTERN = "%d{yy/MM/dd HH:mm:ss} %p %c{1}: %m%n%ex"
DELTA_EXTENSION = "io.delta.sql.DeltaSparkSessionExtension"


def spark_session(name: str, logs: Path | None = None) -> SparkSession:
    """Return the session that spark-submit configured, named after the job, with `SETTINGS` whatever it configured.

    Where its properties file switches the driver's log off, as local.conf does, warnings go into a file in `logs`.

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
    if logs is not None:
        _log_to(spark, logs / f"{name}-spark.log")
    require_no_older_meanings(spark)
    take_no_locale(spark)
    # PySpark logs each failed query as JSON before it raises; the jobs tell failures themselves, in one line.
    for query_log in ("SQLQueryContextLogger", "DataFrameQueryContextLogger"):
        logging.getLogger(query_log).setLevel(logging.CRITICAL)
    _tell_no_values(spark)
    heed_signals()
    return spark


def _log_to(spark: SparkSession, file: Path) -> None:
    """Append warnings of Java's side to `file`, where they went nowhere before: a terminal is for the job."""
    java = spark.sparkContext._jvm
    if java is None:
        return
    log4j = java.org.apache.logging.log4j
    if str(log4j.LogManager.getRootLogger().getLevel()) != "OFF":
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    made = log4j.core.config.builder.api.ConfigurationBuilderFactory.newConfigurationBuilder()
    layout = made.newLayout("PatternLayout").addAttribute("pattern", LOG_PATTERN)
    made.add(made.newAppender("file", "File").addAttribute("fileName", str(file.absolute())).add(layout))
    made.add(made.newRootLogger(log4j.Level.WARN).add(made.newAppenderRef("file")))
    log4j.core.config.Configurator.reconfigure(made.build())


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
