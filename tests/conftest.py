"""Shared fixtures: one local Spark with Delta for the whole test session."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from pyspark.sql import SparkSession

import camoe.stream.reading  # noqa: F401  # what Petastorm imports has to be there before it
from features.spark.settings import SETTINGS
from tests.object_store import Proxy, object_store
from tests.paths import KUAIRAND_LOG, ROOT
from tests.sparks import FOR_FEW_ROWS, FOR_ONE_DRIVER, as_users_run_it, spark_properties

pytest_plugins = ["tests.marks", "tests.features.built"]

# How long an example takes says how busy the machine is.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

# The files that take longest, begun first, so that no worker process is left with one at the end.
LONGEST = (
    "jobs/test_chain.py",
    "features/test_incremental.py",
    "features/test_build.py",
    "train/test_training.py",
    "train/checkpoint/test_resume.py",
    "train/supervision/test_faults.py",
    "jobs/test_kuairand.py",
    "features/test_crash.py",
    "features/test_bad_input.py",
    "features/join/test_against_search.py",
    "features/maintenance/test_compaction.py",
    "evaluation/test_evaluate_job.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of `LONGEST` first, in that order; those of a file stay together."""
    places = {ROOT / "tests" / name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path, len(LONGEST)))


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """A local Spark with the settings that conf/spark/local.conf ships, but for those that few rows need otherwise.

    Those on which values rest are the jobs' own.
    """
    properties: dict[str, str | bool | float | int | None] = {**spark_properties(), **FOR_FEW_ROWS, **SETTINGS}
    properties["spark.driver.extraJavaOptions"] = f"{properties['spark.driver.extraJavaOptions']}{FOR_ONE_DRIVER}"
    properties["spark.sql.warehouse.dir"] = str(tmp_path_factory.mktemp("warehouse"))
    session = SparkSession.builder.appName("camoe tests").config(map=properties).getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()


@pytest.fixture
def as_shipped(spark: SparkSession) -> Iterator[None]:
    """Plans are compiled, as in users' jobs."""
    with as_users_run_it(spark):
        yield


@pytest.fixture(scope="module")
def server() -> Iterator[Proxy]:
    """An S3 server, behind its proxy."""
    with object_store() as proxy:
        yield proxy


@pytest.fixture
def store(server: Proxy) -> Iterator[Proxy]:
    """The proxy of the S3 server, which does not break anything yet."""
    server.begin()
    yield server
    server.begin()


@pytest.fixture
def seed() -> int:
    """A number of which a test draws its data: another one each time, printed where the test fails."""
    number = int(os.environ.get("CAMOE_SEED") or secrets.randbits(32))
    print(f"drawn from seed {number}; CAMOE_SEED={number} draws the same")
    return number


@pytest.fixture(scope="session")
def kuairand() -> Path:
    """The folder of the KuaiRand-Pure files."""
    folder = Path(os.environ.get("CAMOE_KUAIRAND", ""))
    if not (folder / KUAIRAND_LOG).is_file():
        pytest.skip(f"needs real logs: set CAMOE_KUAIRAND to a folder that holds {KUAIRAND_LOG}")
    return folder.resolve()
