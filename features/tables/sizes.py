"""Rows of a file of the training table: as many as have about the bytes that are asked for."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame

from camoe.contracts.snapshot import DataFile

# Files that are looked at: the largest ones, in which what every file has counts least.
FILES = 20
# Rows that are measured where no file is there; a cell of so many is one file in any case.
SAMPLE = 10_000


def row_bytes(files: Collection[DataFile]) -> float:
    """Return the bytes of a row in the largest of the `files`; 0 where there are none."""
    largest = sorted(files, key=lambda file: file.rows)[-FILES:]
    rows = sum(file.rows for file in largest)
    return sum(file.size for file in largest) / rows if rows else 0.0


def rows_of_a_file(most: int, target: int, bytes_a_row: float) -> int:
    """Return the rows of a file of about `target` bytes, `most` at most; `bytes_a_row` is 0 where it is not known."""
    return min(most, max(1, int(target / bytes_a_row))) if bytes_a_row else most


def measured(rows: DataFrame, cells: Mapping[tuple[date, str], int]) -> float:
    """Return the bytes of a row of a table that is to be made, from some of its `rows`; 0 where its `cells` are small.

    They are written as Spark writes them, without what a file has besides its rows.
    """
    if max(cells.values(), default=0) <= SAMPLE:
        return 0.0
    some = rows.limit(SAMPLE).toArrow()
    sink = pa.BufferOutputStream()
    pq.write_table(some, sink, compression="snappy")
    footer = pq.read_metadata(pa.BufferReader(sink.getvalue()))
    groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
    taken: int = sum(group.column(at).total_compressed_size for group in groups for at in range(group.num_columns))
    return taken / int(some.num_rows)
