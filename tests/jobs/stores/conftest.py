"""A real S3 server that jobs in this process, their tasks and the processes that they start find."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from pyspark.sql import SparkSession

from tests.object_store import Proxy, object_store


@pytest.fixture(scope="module")
def store(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """The proxy of an empty store, with copies of what lies there in a folder of the module's own."""
    with object_store() as proxy, pytest.MonkeyPatch.context() as environment:
        environment.setenv("CAMOE_CACHE", str(tmp_path_factory.mktemp("cache")))
        for name in filter(lambda name: name.startswith(("AWS_", "CAMOE_")), os.environ):
            environment.setitem(spark.sparkContext.environment, name, os.environ[name])
        yield proxy
