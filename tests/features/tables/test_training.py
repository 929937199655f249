"""How the rows of the training table are laid out in files."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from pyspark.sql import functions as F

from features.tables.training import as_files, files_needed
from tests.sparks import set_to

FIRST = date(2026, 1, 1)
ROWS, ROWS_PER_FILE = 600, 40
# Plans as long as they are, and every task of a shuffle by itself.
SETTINGS = {"spark.sql.debug.maxToStringFields": "1000000", "spark.sql.adaptive.coalescePartitions.enabled": "false"}


@pytest.fixture(scope="module")
def rows(spark):
    """Two days: all rows of the first and two of the second in slot s, with the column order of no other frame."""
    made = spark.range(ROWS).select(
        F.lit("m").alias("modality"),
        F.col("id").cast("string").alias("impression_id"),
        F.lit("s").alias("slot"),
        F.date_add(F.lit(FIRST), F.when(F.col("id") < 2, 1).otherwise(0)).alias("date"),
    )
    with set_to(spark, SETTINGS):
        yield made


def cells(days):
    """The two days of `rows` and large ones until there are `days`."""
    others = {(FIRST + timedelta(days=number), "s"): 10 * ROWS_PER_FILE for number in range(2, days)}
    return {(FIRST, "s"): ROWS - 2, (FIRST + timedelta(days=1), "s"): 2, **others}


def test_a_large_cell_is_cut_by_ranges_of_the_hash(rows):
    arranged = as_files(rows, cells(3), ROWS_PER_FILE)
    assert arranged.columns == rows.columns
    placed = arranged.withColumns({"hash": F.xxhash64("impression_id"), "task": F.spark_partition_id()}).collect()
    assert len(placed) == len({row["impression_id"] for row in placed}) == ROWS
    parts = files_needed(ROWS - 2, ROWS_PER_FILE)
    tasks = {}
    for row in placed:
        part = ((row["hash"] % 2**64) >> 32) * parts >> 32 if row["date"] == FIRST else None
        tasks.setdefault((row["date"], part), set()).add(row["task"])
    assert len(tasks) == parts + 1
    assert {len(of) for of in tasks.values()} == {1}
    assert len(set.union(*tasks.values())) > 1


def test_the_plan_does_not_grow_with_the_days(rows):
    few, many = (
        len(as_files(rows, cells(days), ROWS_PER_FILE)._jdf.queryExecution().optimizedPlan().toString())
        for days in (4, 2_000)
    )
    assert many < few + 100
