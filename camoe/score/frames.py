"""Tables of impressions as Arrow: frames of pandas and polars, and days of the training table."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from camoe.contracts.days import parse_days
from camoe.contracts.schema import FEATURE_SCHEMA_PROPERTY, FEATURES_PROPERTY
from camoe.contracts.snapshot import DataFile, logged, opened
from camoe.contracts.storage import Storage, open_storage, path_of
from camoe.score.graph_inputs import ScoringError

# A table or record batch of Arrow, or a frame of pandas or polars, neither of which is needed to score.
Frame = Any


def as_table(frame: Frame) -> pa.Table:
    """Return a table or record batch of Arrow, or a frame of pandas (without its index) or polars, as a table.

    Raises:
        ScoringError: it is none of these, or has a column that Arrow has no type for.
    """
    if isinstance(frame, pa.Table):
        return frame
    if isinstance(frame, pa.RecordBatch):
        return pa.Table.from_batches([frame])
    try:
        if type(frame).__module__.partition(".")[0] == "pandas":
            return pa.Table.from_pandas(frame, preserve_index=False)
        if hasattr(frame, "to_arrow"):
            return _plain(frame.to_arrow())
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise ScoringError(f"the frame cannot be made a table of Arrow: {error}") from None
    raise ScoringError(f"{type(frame).__name__} is no table; give one of Arrow, or a frame of pandas or polars")


def _plain(table: pa.Table) -> pa.Table:
    """Return the table with lists and texts of 64-bit offsets, which polars writes, as ordinary ones."""
    kinds = [_plain_type(field.type) for field in table.schema]
    return table.cast(pa.schema(list(zip(table.column_names, kinds, strict=True)), table.schema.metadata))


def _plain_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_large_list(kind):
        return pa.list_(_plain_type(kind.value_type))
    return pa.string() if pa.types.is_large_string(kind) else kind


def read_days(table: str | Path, days: Collection[date | str], version: int | None = None) -> pa.Table:
    """Read days of the training `table` (a path, or `s3://bucket/path`) at `version`, or at its newest.

    All columns of the table are there, `modality`, `slot` and `date` among them, in the order of its files. Days may be
    texts as jobs take them: 2026-03-01, or 2026-03-01..2026-03-07.

    Raises:
        ValueError: a text names no day.
        SnapshotError: there is no such table or version, it has no rows of a day, or a file is damaged.
    """
    asked = [one for day in days for one in ((day,) if isinstance(day, date) else parse_days(day))]
    snapshot = opened(logged(table, version), asked).on(asked)
    storage = open_storage(snapshot.table)
    # A day lacks the columns that were added to others.
    rows = pa.concat_tables((_rows(file, storage) for file in snapshot.files), promote_options="default")
    told = next((name for name in (FEATURES_PROPERTY, FEATURE_SCHEMA_PROPERTY) if name in snapshot.properties), None)
    return rows.replace_schema_metadata({told: snapshot.properties[told]} if told else None)


def _rows(file: DataFile, storage: Storage) -> pa.Table:
    """Return the rows of a file with the columns of the folders that it lies in, which it may hold itself, too."""
    source = path_of(file.path), storage.filesystem
    read = storage.tried(lambda: pq.ParquetFile(source[0], filesystem=source[1]).read(), file.path)
    named = {"modality": file.modality, "slot": file.slot, "date": file.day}
    rows = read.drop_columns([name for name in named if name in read.column_names])
    for name, value in named.items():
        kind = pa.date32() if name == "date" else pa.string()
        rows = rows.append_column(name, pa.repeat(pa.scalar(value, kind), rows.num_rows))
    return rows
