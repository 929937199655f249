"""Files of the training table have about as many bytes as are asked for, whatever a row takes."""

from __future__ import annotations

from datetime import date

import pyarrow.parquet as pq
import pytest
from pyspark.sql import functions as F

from camoe.contracts.snapshot import DataFile
from features.tables.sizes import SAMPLE, measured, row_bytes, rows_of_a_file
from features.tables.training import as_files

DAY = date(2026, 1, 1)
ROWS, TARGET = 60_000, 200_000


def file(rows, size):
    return DataFile(f"/t/{rows}", "m", "s", DAY, (rows,), "r", size)


def test_the_largest_files_tell_what_a_row_takes():
    assert row_bytes([]) == 0
    small = [file(1, 9_000) for _ in range(5)]
    assert row_bytes([*small, *[file(1_000, 50_000) for _ in range(20)]]) == 50


@pytest.mark.parametrize(
    ("most", "target", "bytes_a_row", "expected"),
    [(100, 10_000, 0, 100), (100, 10_000, 50, 100), (1_000, 10_000, 50, 200), (1_000, 10, 50, 1)],
)
def test_a_file_has_the_rows_that_fit_and_no_more_than_the_most(most, target, bytes_a_row, expected):
    assert rows_of_a_file(most, target, bytes_a_row) == expected


@pytest.mark.parametrize("width", [1, 40])
def test_files_are_of_the_size_that_is_asked_for(spark, tmp_path, width):
    """Narrow and wide rows: those of a table that is made are measured in some of them."""
    rows = spark.range(ROWS).select(
        F.lit("m").alias("modality"),
        F.lit("s").alias("slot"),
        F.lit(DAY).alias("date"),
        F.col("id").cast("string").alias("impression_id"),
        *[(F.xxhash64("id", F.lit(at)) % 50).cast("int").alias(f"c{at}") for at in range(width)],
    )
    cells = {(DAY, "s"): ROWS}
    most = rows_of_a_file(ROWS, TARGET, measured(rows, cells))
    written = as_files(rows, cells, most)
    written.write.option("maxRecordsPerFile", most).parquet(str(tmp_path / "files"))
    sizes = [path.stat().st_size for path in (tmp_path / "files").glob("*.parquet")]
    assert sum(pq.read_metadata(path).num_rows for path in (tmp_path / "files").glob("*.parquet")) == ROWS
    assert len(sizes) > 1
    assert 0.4 * TARGET < sum(sizes) / len(sizes) < 1.3 * TARGET
    assert max(sizes) < 1.3 * TARGET
    assert measured(rows, {(DAY, "s"): SAMPLE}) == 0
