"""Settings on which rests what a run reads and computes: they are these, whoever submits it.

Most are Spark's defaults, which those of a cluster, `--conf` or a variable such as SPARK_ANSI_SQL_MODE may change.
"""

from __future__ import annotations

from typing import Any, cast

from pyspark.sql import SparkSession

from camoe.contracts.errors import ConfigError

# Older meanings of Spark's own, such as dates that are guessed; what is not among SETTINGS has to be left as it is.
OLDER_MEANINGS = "spark.sql.legacy."
ESCAPED_LITERALS = "spark.sql.parser.escapedStringLiterals"
SETTINGS = {
    # Paths are those of folders that all machines see, also where Hadoop's own default is HDFS.
    "fs.defaultFS": "file:///",
    # No row is passed over.
    "spark.sql.files.ignoreCorruptFiles": "false",
    "spark.sql.files.ignoreMissingFiles": "false",
    "spark.sql.files.ignoreInvalidPartitionPaths": "false",
    "mapreduce.input.linerecordreader.line.maxlength": str(2**31 - 1),
    # What fails is an error, and a number that does not fit is none.
    "spark.sql.ansi.enabled": "true",
    "spark.sql.storeAssignmentPolicy": "ANSI",
    "spark.sql.mapKeyDedupPolicy": "EXCEPTION",
    "spark.sql.decimalOperations.allowPrecisionLoss": "true",
    # Types of what is read: nothing is guessed, and no time is moved.
    "spark.sql.sources.partitionColumnTypeInference.enabled": "false",
    "spark.sql.sources.useV1SourceList": "avro,csv,json,kafka,orc,parquet,text",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.timestampType": "TIMESTAMP_LTZ",
    "spark.sql.legacy.timeParserPolicy": "CORRECTED",
    "spark.sql.legacy.parquet.nanosAsLong": "true",
    "spark.sql.parquet.binaryAsString": "false",
    "spark.sql.parquet.mergeSchema": "false",
    "spark.sql.parquet.respectSummaryFiles": "false",
    "spark.sql.parquet.inferTimestampNTZ.enabled": "true",
    "spark.sql.parquet.int96AsTimestamp": "true",
    "spark.sql.parquet.int96TimestampConversion": "false",
    "spark.sql.parquet.datetimeRebaseModeInRead": "CORRECTED",
    "spark.sql.parquet.int96RebaseModeInRead": "CORRECTED",
    "spark.sql.parquet.datetimeRebaseModeInWrite": "CORRECTED",
    "spark.sql.parquet.int96RebaseModeInWrite": "CORRECTED",
    "spark.sql.json.enableExactStringParsing": "true",
    "spark.sql.json.enablePartialResults": "true",
    "spark.sql.jsonGenerator.ignoreNullFields": "true",
    "spark.sql.readSideCharPadding": "true",
    "spark.sql.charAsVarchar": "false",
    # Expressions mean what Spark's documentation says; `${env:NAME}` in one would be a variable of the environment.
    "spark.sql.caseSensitive": "false",
    "spark.sql.variable.substitute": "false",
    "spark.sql.ansi.doubleQuotedIdentifiers": "false",
    "spark.sql.ansi.enforceReservedKeywords": "false",
    "spark.sql.parser.quotedRegexColumnNames": "false",
    "spark.sql.function.concatBinaryAsString": "false",
    "spark.sql.function.eltOutputAsString": "false",
    # Executors know the letters of no country, as the driver does.
    "spark.executorEnv.LC_ALL": "C.UTF-8",
    # A commit replaces what it says, with the columns that the table has.
    "spark.sql.sources.partitionOverwriteMode": "STATIC",
    "spark.databricks.delta.schema.autoMerge.enabled": "false",
    # Constraints of aliased columns multiply (SPARK-33152): a plan over a table of 30 derived columns takes the
    # optimizer minutes, and what it infers are null checks.
    "spark.sql.constraintPropagation.enabled": "false",
}


def require_no_older_meanings(spark: SparkSession) -> None:
    """Raise `ConfigError` when the session was given one of `OLDER_MEANINGS`."""
    found = spark.conf.getAll
    given = sorted(key for key in found if key.startswith(OLDER_MEANINGS) and key not in SETTINGS)
    # Spark warns of it whenever it is set, to whatever value.
    given += [key for key in (ESCAPED_LITERALS,) if found.get(key, "false") != "false"]
    if given:
        raise ConfigError(
            f"this Spark session sets {given[0]}={spark.conf.get(given[0])}, by which values would be read or computed "
            "otherwise than docs/inputs.md says; take it out of --conf, the properties file or spark-defaults.conf"
        )


def take_no_locale(spark: SparkSession) -> None:
    """Let the driver compute as in the United States, wherever it is: in Turkish `lower('İÑ')` is another text.

    Raises:
        ConfigError: its file names are not UTF-8, so that a name with other letters would be that of another file.
    """
    java = cast(Any, spark.sparkContext._jvm).java
    java.util.Locale.setDefault(java.util.Locale.US)
    encoding = java.lang.System.getProperty("sun.jnu.encoding")
    if encoding.upper() not in {"UTF-8", "UTF8"}:
        raise ConfigError(
            f"Java takes file names for {encoding} here, and would write to others than those of this job; "
            "set LC_ALL=C.UTF-8, or another locale of UTF-8, before Spark starts"
        )


def require_zone(spark: SparkSession, zone: str) -> None:
    """Raise `ConfigError` unless Java, in which Spark computes days, knows the time zone; Python knows it already."""
    java = cast(Any, spark.sparkContext._jvm).java.time.ZoneId
    if not java.SHORT_IDS.containsKey(zone) and not java.getAvailableZoneIds().contains(zone):
        raise ConfigError(
            f"days.zone: Java knows no time zone '{zone}', though Python does; name one that both know, such as "
            "Europe/Stockholm, or update the JDK's time zones"
        )
