"""Shared fixtures: one local Spark with Delta for the whole test session."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

ROOT = Path(__file__).resolve().parents[1]


def spark_properties() -> dict[str, str]:
    """The shipped settings of a local Spark, as a mapping."""
    lines = (ROOT / "conf/spark/local.conf").read_text().splitlines()
    pairs = [line.split(None, 1) for line in lines if line.strip() and not line.startswith("#")]
    return {key: value.strip() for key, value in pairs}


@pytest.fixture(scope="session")
def spark(tmp_path_factory):
    """A local Spark with the settings that conf/spark/local.conf ships."""
    builder = SparkSession.builder.appName("camoe tests")
    for key, value in spark_properties().items():
        builder = builder.config(key, value)
    builder = builder.config("spark.sql.warehouse.dir", str(tmp_path_factory.mktemp("warehouse")))
    session = builder.config("spark.sql.shuffle.partitions", "2").getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()
