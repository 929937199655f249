"""What the bench of one more day reads of Spark's events is what Spark did."""

from __future__ import annotations

import subprocess

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench.day.spark_log import counted, logging_to, work_of
from tests.paths import ROOT

ROWS = 5_000
PROGRAM = """
import sys
from pyspark.sql import SparkSession

source, target = sys.argv[1:]
spark = SparkSession.builder.getOrCreate()
spark.read.parquet(source).groupBy("key").sum("value").write.parquet(target)
spark.stop()
"""


@pytest.mark.slow
@pytest.mark.spark
def test_the_log_of_a_job_tells_what_it_read_shuffled_and_wrote(tmp_path):
    source, target, program = tmp_path / "source.parquet", tmp_path / "target", tmp_path / "program.py"
    pq.write_table(pa.table({"key": [number % 7 for number in range(ROWS)], "value": range(ROWS)}), source)
    program.write_text(PROGRAM)
    submit = ["spark-submit", "--properties-file", "conf/spark/local.conf", *logging_to(tmp_path / "events")]
    done = subprocess.run(
        [*submit, str(program), str(source), str(target)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    work = work_of(tmp_path / "events")
    written = [path.stat().st_size for path in target.glob("*.parquet")]
    assert work.jobs >= 1
    assert work.tasks >= 2
    assert work.rows_read == ROWS
    # Spark counts the footer's bytes, or some of them twice.
    assert source.stat().st_size / 2 < work.read < 3 * source.stat().st_size
    assert 0 < work.shuffled < source.stat().st_size
    assert work.written == sum(written)
    assert work.figures()["rows_read"] == ROWS


def test_events_of_other_kinds_and_tasks_without_figures_count_nothing():
    metrics = {
        "Input Metrics": {"Bytes Read": 3, "Records Read": 1},
        "Shuffle Write Metrics": {"Shuffle Bytes Written": 5},
        "Output Metrics": {"Bytes Written": 7},
    }
    events = [
        {"Event": "SparkListenerApplicationStart"},
        {"Event": "SparkListenerJobStart"},
        {"Event": "SparkListenerTaskEnd", "Task Metrics": metrics},
        {"Event": "SparkListenerTaskEnd", "Task Metrics": None},
        {"Event": "SparkListenerTaskEnd", "Task Metrics": metrics},
    ]
    work = counted(events)
    assert (work.jobs, work.tasks, work.read, work.rows_read, work.shuffled, work.written) == (1, 2, 6, 2, 10, 14)
