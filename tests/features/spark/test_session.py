"""The session that a job runs in: the Java that the shipped settings start, and settings that nobody can undo."""

from __future__ import annotations

import re

import pytest
from delta.tables import DeltaTable
from pyspark.sql import functions as F

from camoe.contracts.errors import ConfigError
from features.spark.session import spark_session
from features.spark.settings import SETTINGS
from tests.paths import ROOT
from tests.sparks import set_to

# The feature job compiles 50 MB on the smallest lakes; wider tables have more expressions.
ROOM_MB = 200
# What Spark does otherwise by itself.
CHANGED = {
    "spark.sql.constraintPropagation.enabled",
    "spark.sql.legacy.parquet.nanosAsLong",
    "spark.sql.session.timeZone",
    "spark.sql.sources.partitionColumnTypeInference.enabled",
    "spark.sql.variable.substitute",
}
OF_OTHERS = {"mapreduce.input.linerecordreader.line.maxlength", "spark.databricks.delta.schema.autoMerge.enabled"}
OF_OTHERS |= {"spark.executorEnv.LC_ALL", "fs.defaultFS"}
OTHERWISE = {"true": "false", "false": "true", "UTC": "Asia/Tokyo", "TIMESTAMP_LTZ": "TIMESTAMP_NTZ"}
OTHERWISE |= {"CORRECTED": "LEGACY", "EXCEPTION": "LAST_WIN", "ANSI": "LEGACY", "STATIC": "DYNAMIC"}


def test_compiled_code_has_room(spark):
    pools = spark._jvm.java.lang.management.ManagementFactory.getMemoryPoolMXBeans()
    room = sum(pool.getUsage().getMax() for pool in pools if "Code" in pool.getName())
    assert room >= ROOM_MB * 2**20


def test_settings_on_which_values_rest_are_the_jobs_own_whoever_submits_it(spark):
    with set_to(spark, {key: OTHERWISE.get(value, "1") for key, value in SETTINGS.items()}):
        session = spark_session("test")
        assert {key: session.conf.get(key) for key in SETTINGS} == SETTINGS


def test_each_setting_is_one_that_spark_has_and_most_are_its_defaults(spark):
    """A name that is mistyped, or gone from another version of Spark, would set nothing."""
    names = SETTINGS.keys() - OF_OTHERS
    with set_to(spark, dict.fromkeys(names)):
        defaults = {key: spark.conf.get(key) for key in names}
    assert {key for key in names if defaults[key] != SETTINGS[key]} <= CHANGED


def test_older_meanings_of_spark_are_refused_by_name(spark):
    with (
        set_to(spark, {"spark.sql.legacy.castComplexTypesToString.enabled": "true"}),
        pytest.raises(ConfigError, match=r"^this Spark session sets spark\.sql\.legacy\.castComplex\S+=true, by which"),
    ):
        spark_session("test")


def test_letters_are_those_of_no_country(spark):
    locale = spark._jvm.java.util.Locale
    locale.setDefault(locale("tr", "TR"))
    lower = spark_session("test").range(1).select(F.lower(F.concat(F.lit("IÑ"), F.col("id").cast("string"))).alias("x"))
    assert lower.first().x == "iñ0"


def test_a_locale_in_which_file_names_are_others_is_refused_with_what_to_set(spark):
    system = spark._jvm.java.lang.System
    before = system.setProperty("sun.jnu.encoding", "ANSI_X3.4-1968")
    try:
        with pytest.raises(ConfigError, match=r"Java takes file names for ANSI_X3.4-1968 .* set LC_ALL=C.UTF-8"):
            spark_session("test")
    finally:
        system.setProperty("sun.jnu.encoding", before)


def test_warnings_go_to_the_jobs_log_where_the_properties_file_keeps_them_off_the_terminal(spark, tmp_path):
    log4j = spark._jvm.org.apache.logging.log4j
    log4j.core.config.Configurator.setRootLevel(log4j.Level.OFF)
    try:
        spark_session("test", tmp_path / "logs")
        for say in ("warn", "info"):
            getattr(log4j.LogManager.getLogger("a.library"), say)(f"what it has to {say}")
        (line,) = (tmp_path / "logs/test-spark.log").read_text().splitlines()
        assert line.endswith(" WARN library: what it has to warn")
    finally:
        spark.sparkContext.setLogLevel("ERROR")


def test_every_job_has_a_log_for_its_warnings():
    """Without one they would go nowhere."""
    calls = {path.stem: re.findall(r"spark_session\(([^()]*)\)", path.read_text()) for path in (ROOT / "jobs").iterdir()
             if path.suffix == ".py"}  # fmt: skip
    assert sum(map(len, calls.values())) > 6
    assert {job: found for job, found in calls.items() if not all("logs" in call for call in found)} == {}


def test_no_expression_reads_the_environment(spark):
    assert spark_session("test").range(1).select(F.expr("'${env:PATH}'").alias("x")).first().x == "${env:PATH}"


def test_a_long_line_is_read(spark, tmp_path):
    """Hadoop passes over lines longer than a setting of its own."""
    (tmp_path / "a.txt").write_text("x" * 300 + "\ny\n")
    with set_to(spark, {"mapreduce.input.linerecordreader.line.maxlength": "100"}):
        assert spark.read.text(str(tmp_path)).count() == 1
        assert spark_session("test").read.text(str(tmp_path)).count() == 2


def test_a_path_is_a_local_one_where_hadoops_default_is_another_file_system(spark, tmp_path):
    hadoop = spark._jsc.hadoopConfiguration()
    before = hadoop.get("fs.defaultFS")
    hadoop.set("fs.defaultFS", "hdfs://127.0.0.1:9")
    try:
        session = spark_session("test")
        for form in ("parquet", "delta"):
            session.range(3).write.format(form).save(str(tmp_path / form))
            assert session.read.format(form).load(str(tmp_path / form)).count() == 3
        assert DeltaTable.forPath(session, str(tmp_path / "delta")).toDF().count() == 3
    finally:
        hadoop.set("fs.defaultFS", before)
