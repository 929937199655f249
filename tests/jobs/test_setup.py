"""What the set-up makes is what jobs use."""

from __future__ import annotations

import pytest

from tests.jobs.commands import run
from tests.paths import ROOT

ARCHIVE = ROOT / ".venv" / "spark.jsa"


@pytest.mark.slow
@pytest.mark.spark
def test_java_takes_sparks_classes_from_the_archive(tmp_path):
    """Java goes on without it and says nothing, at a third more time for a short job."""
    log = tmp_path / "classes.log"
    options = f"-XX:TieredStopAtLevel=1 -XX:SharedArchiveFile={ARCHIVE} -Xlog:class+load:file={log}"
    settings = ("--properties-file", "conf/spark/local.conf", "--driver-java-options", options)
    run(["spark-submit", *settings, "tools/check_spark.py"])
    spark = [line for line in log.read_text().splitlines() if " org.apache.spark." in line and "$$Lambda" not in line]
    archived = sum("shared objects file (top)" in line for line in spark)
    assert archived > 0.8 * len(spark)
