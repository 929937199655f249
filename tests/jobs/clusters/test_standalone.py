"""The three uses on a Spark cluster of two workers, whose executors have an environment and a folder of their own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pyspark
import pytest

from camoe.contracts.snapshot import pin
from tests.features import lake
from tests.jobs.clusters.uses import WORKERS, ended, package, submit, three_uses
from tests.score.pipeline import write_scorable
from tests.tools.packed import packed_home
from tests.waiting import wait_until

pytestmark = [pytest.mark.spark, pytest.mark.horovod]

SPARK = Path(pyspark.__file__).parent
DEPLOY = "org.apache.spark.deploy"
MASTER = re.compile(r"Starting Spark master at (spark://\S+)")


class Cluster(NamedTuple):
    """Where the master listens, the environment and the package of executors, and the folder in which they work."""

    master: str
    environment: Path
    package: Path
    folder: Path

    def submitted(self, job: str, *arguments: str) -> str:
        """Submit the job with the shipped settings of one machine, but to this cluster; returns what it said."""
        settings = {
            "spark.master": self.master,
            "spark.executor.memory": "1g",
            "spark.executor.cores": "1",
            "spark.pyspark.python": str(self.environment / "bin/python"),
            "spark.pyspark.driver.python": sys.executable,
        }
        return submit("local", settings, "--py-files", str(self.package), f"jobs/{job}.py", *arguments)


def registered(log: Path) -> bool:
    return "Successfully registered with master" in log.read_text()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    # The same packages at another path: what would start the driver's Python by its path would be seen.
    environment = folder / "environment"
    environment.symlink_to(sys.prefix, target_is_directory=True)
    quiet = os.environ | {"SPARK_LOCAL_IP": "127.0.0.1", "SPARK_NO_DAEMONIZE": "1"}
    quiet.pop("PYSPARK_PYTHON", None)

    def started(name: str, *arguments: str) -> subprocess.Popen[bytes]:
        log = (folder / f"{name}.log").open("wb")
        command = [str(SPARK / "bin/spark-class"), *arguments]
        return subprocess.Popen(command, cwd=folder, env=quiet, stdout=log, stderr=log, start_new_session=True)

    def said(name: str) -> str:
        return (folder / f"{name}.log").read_text()

    here = ("--host", "127.0.0.1", "--webui-port", "0")
    processes = [started("master", f"{DEPLOY}.master.Master", *here, "--port", "0")]
    try:
        wait_until(lambda: "New state: ALIVE" in said("master"), told=lambda: said("master"))
        master = MASTER.findall(said("master"))[0]
        for number in range(WORKERS):
            size = ("--cores", "1", "--memory", "1g", "-d", str(folder / f"work{number}"))
            processes.append(started(f"worker{number}", f"{DEPLOY}.worker.Worker", *here, *size, master))
        for name in (f"worker{number}" for number in range(WORKERS)):
            wait_until(partial(registered, folder / f"{name}.log"))
        yield Cluster(master, environment, package(folder), folder)
    finally:
        for process in reversed(processes):
            ended(process)


@pytest.mark.slow
def test_features_and_scores_are_made_by_executors_with_the_packed_environment(
    cluster, tmp_path, tmp_path_factory, worker_id
):
    """Which holds neither the project nor the driver's Python, nor PyTorch: the package is all that they get of it."""
    packed = cluster._replace(environment=packed_home(tmp_path_factory, worker_id))
    assert not [*packed.environment.rglob("*camoe*")]
    built = lake.Lake(tmp_path / "lake", lake.write_lake(tmp_path / "lake"))
    packed.submitted("build_features", "--config", str(built.config))
    assert pin(built.layout.training).rows > 0
    (tmp_path / "scored").mkdir()
    pipeline = write_scorable(tmp_path / "scored")
    packed.submitted("score", "--config", str(pipeline.path))
    assert pin(pipeline.config.layout.predictions).rows > 0


def test_features_training_and_scores_are_made_by_executors_with_an_environment_of_their_own(cluster, tmp_path):
    three_uses(cluster.submitted, tmp_path)
    # An executor a worker for each of the three, which worked in a folder of its own.
    assert len([*cluster.folder.glob("work*/*/*/stderr")]) >= 3 * WORKERS
