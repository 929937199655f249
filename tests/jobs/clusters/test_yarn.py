"""The three uses on a YARN of two nodes with the shipped settings: Hadoop's own mini-cluster, in one process."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pyspark
import pytest

from tests.jobs.clusters.uses import WORKERS, ended, package, submit, three_uses
from tests.jobs.commands import run
from tests.waiting import wait_until

pytestmark = [pytest.mark.spark, pytest.mark.horovod, pytest.mark.slow]

SPARK = Path(pyspark.__file__).parent
# About 50 MB from Maven Central; what else it needs lies beside Spark.
JARS = (
    "org.apache.hadoop:hadoop-client-minicluster:3.4.1",
    "org.bouncycastle:bcpkix-jdk18on:1.78.1",
    "org.glassfish.jaxb:jaxb-runtime:2.3.9",
)
BESIDE_SPARK = ("org.apache.hadoop:hadoop-client-api", "org.apache.hadoop:hadoop-client-runtime", "org.slf4j:slf4j-api")
QUEUES = """<configuration>
<property><name>yarn.scheduler.capacity.root.queues</name><value>default</value></property>
<property><name>yarn.scheduler.capacity.root.default.capacity</name><value>100</value></property>
<property><name>yarn.scheduler.capacity.maximum-am-resource-percent</name><value>0.5</value></property>
</configuration>
"""
NODES = ("yarn.nodemanager.resource.memory-mb=4096", "yarn.nodemanager.vmem-check-enabled=false")


class Yarn(NamedTuple):
    """The folder with the cluster's files, and what executors get: an environment and the package."""

    settings: Path
    environment: Path
    package: Path
    work: Path

    def submitted(self, job: str, *arguments: str) -> str:
        """Submit the job as docs/cluster.md tells, with small executors; returns what it said."""
        sizes = {
            "spark.executor.instances": str(WORKERS),
            "spark.executor.cores": "1",
            "spark.executor.memory": "1g",
            "spark.executor.memoryOverhead": "768m",
            # Else each job copies Spark's 400 MB for its executors.
            "spark.yarn.jars": f"local:{SPARK}/jars/*",
            "spark.yarn.stagingDir": str(self.work / "staging"),
        }
        sent = ("--py-files", str(self.package), "--archives", f"{self.environment}#environment")
        where = (f"HADOOP_CONF_DIR={self.settings}",)
        return submit("yarn", sizes, *sent, f"jobs/{job}.py", *arguments, environment=where)


@pytest.fixture(scope="module")
def jars(tmp_path_factory) -> list[Path]:
    """What the mini-cluster is made of."""
    folder = tmp_path_factory.mktemp("ivy")
    nothing = folder / "nothing.py"
    nothing.write_text("")
    run(
        ["spark-submit", "--properties-file", "conf/spark/local.conf", "--conf", f"spark.jars.ivy={folder}",
         "--packages", ",".join(JARS), "--exclude-packages", ",".join(BESIDE_SPARK), str(nothing)]
    )  # fmt: skip
    return sorted((folder / "jars").glob("*.jar"))


@pytest.fixture(scope="module")
def yarn(jars, tmp_path_factory) -> Iterator[Yarn]:
    work = tmp_path_factory.mktemp("yarn")
    settings = work / "settings"
    settings.mkdir()
    (settings / "capacity-scheduler.xml").write_text(QUEUES)
    site, log = settings / "yarn-site.xml", work / "cluster.log"
    path = os.pathsep.join([str(settings), *map(str, jars), f"{SPARK}/jars/*"])
    source = Path(__file__).with_name("MiniYarn.java")
    opened = ("--add-opens", "java.base/java.lang=ALL-UNNAMED")
    with log.open("wb") as told:
        command = ["java", *opened, "-cp", path, str(source), str(site), *NODES]
        process = subprocess.Popen(command, cwd=work, stdout=told, stderr=told, start_new_session=True)
    try:
        wait_until(site.is_file, told=log.read_text)
        yield Yarn(settings, packed(work), package(work), work)
    finally:
        ended(process)


def packed(folder: Path) -> Path:
    """The archive that executors unpack: its Python is this one, which here they can reach."""
    python = folder / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    made = folder / "environment.tar.gz"
    with tarfile.open(made, "w:gz") as archive:
        archive.add(python, "bin/python")
    return made


def test_features_training_and_scores_are_made_by_containers_with_the_archive_that_was_sent(yarn, tmp_path):
    three_uses(yarn.submitted, tmp_path)
    logs = [file for file in yarn.work.rglob("stderr") if "container_" in str(file)]
    # A master and an executor a worker for each of the three.
    assert len(logs) >= 3 * (1 + WORKERS)
    # By conf/spark/log4j2.properties, which was sent with them; this logger would quote values on which a cast fails.
    told = [log.read_text() for log in logs]
    assert any(" INFO " in text for text in told)
    assert not any(" Executor: " in text for text in told)
