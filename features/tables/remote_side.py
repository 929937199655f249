"""The quarantine, the profiles and the history's tables in an object store: see `features.tables.side`.

Tasks of Spark write files, and the log's entry is created only if it is absent, as for the training table there.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from datetime import date
from uuid import uuid4

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import to_arrow_schema

from camoe.contracts.places.commits import CommittedTable, files_in
from camoe.contracts.places.entries import Part
from camoe.contracts.runs import RunError
from camoe.contracts.schema import RUN_ID
from features.delta.commit import CommitMetadata, open_delta
from features.delta.remote import rows_in, schema_of, written


def put_remote(rows: DataFrame, address: str, partitions: Collection[str], run: CommitMetadata) -> int:
    """Make `rows` the rows of `run` in the table at `address`, in one commit; return how many there are."""
    table = _table(address, to_arrow_schema(rows.schema), partitions)
    parts: list[Part] = []

    def write() -> list[Part]:
        parts.extend(written(rows, table))
        return parts

    # A name of each attempt: a retry of the run puts its rows in the place of those of an attempt that was killed.
    table.replace({RUN_ID: {run.run_id}}, write, uuid4().hex, userMetadata=run.metadata())
    return sum(int(str(part.stats["numRecords"])) for part in parts)


def remote_rows_of_runs(
    spark: SparkSession, address: str, version: int, wanted: Collection[tuple[date, str]]
) -> DataFrame:
    """Return the rows of the (date, run) pairs `wanted` in `version` of the table at `address`."""
    pairs = {(day.isoformat(), run) for day, run in wanted}
    return rows_in(spark, address, version, lambda values: (values["date"], values[RUN_ID]) in pairs)


def prune_remote(
    address: str, partitions: Collection[str], gone: Collection[tuple[date | None, str]], run: CommitMetadata
) -> None:
    """Delete the rows of the (date, run) pairs `gone`, in one commit. What two delete at once, a later run deletes."""
    pairs = {(None if day is None else day.isoformat(), maker) for day, maker in gone}
    delta = open_delta(address)

    def goes(values: Mapping[str, str | None]) -> bool:
        return (values["date"], values[RUN_ID]) in pairs

    if files_in(delta, goes):
        table = _table(address, to_arrow_schema(schema_of(address)), partitions)
        with suppress(RunError):
            table.replace(goes, tuple, uuid4().hex, userMetadata=run.metadata())


def _table(address: str, schema: pa.Schema, partitions: Collection[str]) -> CommittedTable:
    nullable = pa.schema([field.with_nullable(True) for field in schema])
    return CommittedTable(address, nullable, tuple(partitions), may_lack=("date",))
