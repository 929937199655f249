"""Rows of a Delta table of which one version is read, wherever it lies, and rows that are written to one in a store.

Spark needs no library of the store's: its tasks read and write files through Python.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import date
from pathlib import Path

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import StructType

from camoe.contracts.places.commits import CommittedTable, Where, files_in
from camoe.contracts.places.entries import Part
from camoe.contracts.places.rows import Piece, rows_of
from camoe.contracts.storage import is_remote, location_of
from features.delta.commit import open_delta


def schema_of(table: Path | str, version: int | None = None) -> StructType:
    """Return the columns of `table` at `version`, by default the newest, as Spark has them."""
    return StructType.fromJson(json.loads(open_delta(table, version).schema().to_json()))


def rows_on(spark: SparkSession, table: Path | str, version: int, days: Collection[date]) -> DataFrame:
    """Return the rows of `days` in `version` of `table`, a path or an address."""
    if not is_remote(location_of(table)):
        rows = spark.read.format("delta").option("versionAsOf", version).load(location_of(table))
        return rows.where(F.col("date").isin(list(days)))
    return rows_in(spark, str(table), version, {"date": days})


def rows_in(spark: SparkSession, address: str, version: int, where: Where) -> DataFrame:
    """Return the rows of the files `where` in `version` of the table at `address`."""
    delta = open_delta(address, version)
    schema = StructType.fromJson(json.loads(delta.schema().to_json()))
    return rows_of_files(spark, address, files_in(delta, where), schema)


def rows_of_files(
    spark: SparkSession, address: str, files: Mapping[str, Mapping[str, str | None]], schema: StructType
) -> DataFrame:
    """Return the rows of data files of the table at `address`, each named with what its partition columns have."""
    pieces = [Piece(f"{address}/{path}", values) for path, values in files.items()]
    columns = to_arrow_schema(schema)
    shared = spark.sparkContext.broadcast(pieces)

    def read(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for number in (number for batch in batches for number in batch["id"].to_pylist()):
            for rows in rows_of(shared.value[number], columns):
                yield from rows.combine_chunks().to_batches()

    return spark.range(0, len(pieces), 1, max(1, len(pieces))).mapInArrow(read, schema)


def written(rows: DataFrame, table: CommittedTable) -> list[Part]:
    """Write `rows` into files of `table`, each task its own; they count once they are committed."""

    def write(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for part in table.write(pa.Table.from_batches([batch]) for batch in batches):
            yield pa.RecordBatch.from_pydict({"part": [part.text()]})

    return [Part.of(row["part"]) for row in rows.mapInArrow(write, "part string").collect()]
