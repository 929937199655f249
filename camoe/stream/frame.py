"""A table in an object store as a frame of Spark: read at a pinned version, and written.

Its files are read and written by Python, as the stream reads them, so Spark needs no library of the store's: nothing of
Hadoop's, and none of its settings.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import types as T
from pyspark.sql.pandas.types import to_arrow_schema

from camoe.contracts.places.commits import Part, Partitions, RemoteTable, files_in, table_at
from camoe.contracts.snapshot import Snapshot
from camoe.contracts.storage import Storage, open_storage, path_of


def remote_frame(spark: SparkSession, snapshot: Snapshot, columns: Sequence[str], partitions: Partitions) -> DataFrame:
    """Return `columns` of the rows of `snapshot` in `partitions`, in no particular order; a task reads a file.

    A file that lacks a column, which others have, gives nulls.
    """
    delta = table_at(snapshot.table, snapshot.version)
    fields = {field.name: field for field in T.StructType.fromJson(json.loads(delta.schema().to_json()))}
    schema = T.StructType([fields[name] for name in columns])
    files = [(f"{snapshot.table}/{path}", json.dumps(values)) for path, values in files_in(delta, partitions).items()]
    tasks = spark.sparkContext.parallelize(files, max(1, len(files)))
    listed = spark.createDataFrame(tasks, "path string, partition string")
    return listed.mapInArrow(_Reader(to_arrow_schema(schema)), schema)


def write_frame(frame: DataFrame, table: RemoteTable) -> list[Part]:
    """Write the rows of `frame` into files of `table`, each task its own; they count once they are committed."""
    return [Part.of(row["part"]) for row in frame.mapInArrow(_Writer(table), "part string").collect()]


class _Reader:
    """Reads the files that batches name, as rows of `schema`."""

    def __init__(self, schema: pa.Schema) -> None:
        self.schema = schema

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for named in batch.to_pylist():
                storage = open_storage(named["path"])
                read = partial(self._read, named["path"], json.loads(named["partition"]), storage)
                yield from storage.tried(read, named["path"]).to_batches()

    def _read(self, path: str, partition: Mapping[str, str | None], storage: Storage) -> pa.Table:
        file = pq.ParquetFile(path_of(path), filesystem=storage.filesystem, pre_buffer=True)
        there = set(file.schema_arrow.names) - partition.keys()
        rows = file.read([field.name for field in self.schema if field.name in there])
        columns = [
            rows[field.name].cast(field.type)
            if field.name in there
            else pa.repeat(pa.scalar(partition.get(field.name)).cast(field.type), file.metadata.num_rows)
            for field in self.schema
        ]
        return pa.table(columns, schema=self.schema)


class _Writer:
    """Writes rows into files of a table, and gives what is known of each."""

    def __init__(self, table: RemoteTable) -> None:
        self.table = table

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for part in self.table.write(pa.Table.from_batches([batch]) for batch in batches):
            yield pa.RecordBatch.from_pydict({"part": [part.text()]})
