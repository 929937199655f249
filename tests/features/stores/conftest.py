"""A real S3 server that the session's tasks find."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from pyspark.sql import SparkSession

from camoe.contracts.places.store import open_place
from tests.object_store import Proxy


@pytest.fixture
def store(server: Proxy, spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """The proxy of an empty store, which does not break anything yet."""
    # The session may be older than the server's settings, as executors have an environment of their own.
    for name in filter(lambda name: name.startswith("AWS_"), os.environ):
        monkeypatch.setitem(spark.sparkContext.environment, name, os.environ[name])
    place = open_place("s3://lake")
    place.delete(place.names())
    server.begin()
    yield server
    server.begin()
