"""Shared fixtures: one local Spark with Delta for the whole test session."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import pytest
from hypothesis import settings
from pyspark.sql import SparkSession

ROOT = Path(__file__).resolve().parents[1]
KUAIRAND_LOG = "log_standard_20220425_20220430_pure.parquet"
# How long an example takes says how busy the machine is.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


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
    # One JVM runs the feature job many times: with room for all of its code, each kind is compiled once.
    builder = builder.config("spark.sql.codegen.cache.maxEntries", "5000")
    session = builder.config("spark.sql.shuffle.partitions", "2").getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()


@pytest.fixture
def seed():
    """A number of which a test draws its data: another one each time, printed where the test fails."""
    number = int(os.environ.get("CAMOE_SEED") or secrets.randbits(32))
    print(f"drawn from seed {number}; CAMOE_SEED={number} draws the same")
    return number


@pytest.fixture(scope="session")
def kuairand():
    """The folder of the KuaiRand-Pure files."""
    folder = Path(os.environ.get("CAMOE_KUAIRAND", ""))
    if not (folder / KUAIRAND_LOG).is_file():
        pytest.skip(f"needs real logs: set CAMOE_KUAIRAND to a folder that holds {KUAIRAND_LOG}")
    return folder.resolve()
