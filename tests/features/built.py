"""The lake of `tests.features.lake` with its tables, built once."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from tests.features import lake
from tests.once import made_once


@pytest.fixture(scope="session")
def clean_build(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """The clean lake after run `first` built all of its days; tests work on copies (`lake.copy_of`)."""

    def make(folder: Path) -> None:
        assert lake.run_job(lake.write_lake(folder), "--run-id", "first") == 0

    return made_once(tmp_path_factory, worker_id, "clean_build", make)
