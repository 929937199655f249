"""A table's rows as a frame of Spark, whose tasks read its files through Python, as the stream does.

Spark needs no library of an object store for it: nothing of Hadoop's, and none of its settings. Where rows are to be
worked on in Python anyway they need not go through Java first.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import types as T
from pyspark.sql.pandas.types import to_arrow_schema

from camoe.contracts.places.commits import CommittedTable, Partitions, files_in, table_at
from camoe.contracts.places.entries import Part
from camoe.contracts.places.rows import Piece, rows_of
from camoe.contracts.snapshot import DataFile

ROWS_AT_ONCE = 32_768
# What a task makes of the rows that it reads, some at a time.
Work = Callable[[Iterable[pa.Table]], Iterable[pa.RecordBatch]]


def remote_frame(
    spark: SparkSession, table: str, version: int, partitions: Partitions, columns: Sequence[str] | None = None
) -> DataFrame:
    """Return `columns` (default: all) of the rows of a version of `table` in `partitions`; a task reads a file.

    They are in no particular order. A file that lacks a column, which others have, gives nulls.
    """
    delta = table_at(table, version)
    fields = {field.name: field for field in T.StructType.fromJson(json.loads(delta.schema().to_json()))}
    schema = T.StructType([fields[name] for name in columns or fields])
    tasks = [(Piece(f"{table}/{path}", values),) for path, values in files_in(delta, partitions).items()]
    return worked_frame(spark, tasks, to_arrow_schema(schema), _as_it_is, schema)


def worked_frame(
    spark: SparkSession, tasks: Sequence[Sequence[Piece]], reads: pa.Schema, work: Work, gives: T.StructType | str
) -> DataFrame:
    """Return the rows of `gives` that `work` makes of the columns `reads` of the rows of each task."""
    shared = spark.sparkContext.broadcast([list(task) for task in tasks])

    def read(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        numbers = [number for batch in batches for number in batch["id"].to_pylist()]
        return work(
            rows.slice(first, ROWS_AT_ONCE)
            for number in numbers
            for piece in shared.value[number]
            for rows in rows_of(piece, reads)
            for first in range(0, rows.num_rows, ROWS_AT_ONCE)
        )

    return spark.range(0, len(tasks), 1, max(1, len(tasks))).mapInArrow(read, gives)


def written(rows: DataFrame, table: CommittedTable) -> list[Part]:
    """Write `rows` into files of `table`, each task its own; they count once they are committed."""

    def write(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for part in table.write(pa.Table.from_batches([batch]) for batch in batches):
            yield pa.RecordBatch.from_pydict({"part": [part.text()]})

    return [Part.of(row["part"]) for row in rows.mapInArrow(write, "part string").collect()]


def shared_out(files: Sequence[DataFile], rows_per_task: int) -> list[list[Piece]]:
    """Share the row groups of the files out to tasks, in order, of `rows_per_task` rows or a row group more."""
    tasks, rows = list[list[Piece]](), rows_per_task
    for file in files:
        partition = {"modality": file.modality, "slot": file.slot, "date": file.day.isoformat()}
        groups = list[int]()
        for group, count in enumerate(file.row_groups):
            if rows >= rows_per_task:
                tasks.append([])
                groups, rows = [], 0
            if not groups:
                tasks[-1].append(Piece(file.path, partition, groups))
            groups.append(group)
            rows += count
    return tasks


def _as_it_is(tables: Iterable[pa.Table]) -> Iterator[pa.RecordBatch]:
    return (batch for table in tables for batch in table.combine_chunks().to_batches())
