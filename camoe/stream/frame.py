"""A pinned table in an object store as a frame of Spark.

Its files are read by Python, as the stream reads them, so Spark needs no library of the store's: nothing of Hadoop's,
and none of its settings.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import date
from functools import partial

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import types as T
from pyspark.sql.pandas.types import to_arrow_schema

from camoe.contracts.snapshot import Snapshot
from camoe.contracts.storage import Storage, delta_options, open_storage, path_of

# What files lie under, which they need not hold themselves.
FOLDERS = ("modality", "slot", "date")


def remote_frame(spark: SparkSession, snapshot: Snapshot, columns: Sequence[str], days: Collection[date]) -> DataFrame:
    """Return `columns` of the rows of `snapshot` on `days`, in no particular order; a task reads a file.

    A file that lacks a column, which others have, gives nulls.
    """
    delta = DeltaTable(snapshot.table, version=snapshot.version, storage_options=delta_options(snapshot.table))
    fields = {field.name: field for field in T.StructType.fromJson(json.loads(delta.schema().to_json()))}
    schema = T.StructType([fields[name] for name in columns])
    files = [(file.path, file.modality, file.slot, file.day) for file in snapshot.files if file.day in days]
    tasks = spark.sparkContext.parallelize(files, max(1, len(files)))
    listed = spark.createDataFrame(tasks, "path string, modality string, slot string, date date")
    return listed.mapInArrow(_Reader(to_arrow_schema(schema)), schema)


class _Reader:
    """Reads the files that batches name, as rows of `schema`."""

    def __init__(self, schema: pa.Schema) -> None:
        self.schema = schema

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for named in batch.to_pylist():
                storage = open_storage(named["path"])
                yield from storage.tried(partial(self._read, named, storage), named["path"]).to_batches()

    def _read(self, named: dict[str, object], storage: Storage) -> pa.Table:
        file = pq.ParquetFile(path_of(str(named["path"])), filesystem=storage.filesystem, pre_buffer=True)
        there = set(file.schema_arrow.names) - set(FOLDERS)
        rows = file.read([field.name for field in self.schema if field.name in there])
        count = file.metadata.num_rows
        columns = [
            rows[field.name].cast(field.type)
            if field.name in there
            else pa.repeat(pa.scalar(named[field.name] if field.name in FOLDERS else None, field.type), count)
            for field in self.schema
        ]
        return pa.table(columns, schema=self.schema)
