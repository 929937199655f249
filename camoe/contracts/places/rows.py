"""Rows of files as tasks read them: the columns that are asked for, a row group at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import pyarrow as pa
import pyarrow.parquet as pq

from camoe.contracts.errors import SnapshotError
from camoe.contracts.storage import error_detail, open_storage


@dataclass(frozen=True)
class Piece:
    """Row groups of a file, None being all, and the values of the columns that its folders name."""

    path: str
    partition: Mapping[str, str | None]
    row_groups: Sequence[int] | None = None


def rows_of(piece: Piece, schema: pa.Schema) -> Iterator[pa.Table]:
    """Yield the rows of a piece as `schema` has them, a row group at a time.

    Raises:
        SnapshotError: they cannot be read.
    """
    storage = open_storage(piece.path)
    try:
        file = storage.tried(partial(storage.parquet, piece.path), piece.path)
        for group in range(file.num_row_groups) if piece.row_groups is None else piece.row_groups:
            yield storage.tried(partial(_read, file, group, piece.partition, schema), piece.path)
    except (pa.ArrowException, OSError) as error:
        raise SnapshotError(
            f"{piece.path} cannot be read: {error_detail(error)}; put a whole copy of it there, or build its day again"
        ) from None


def _read(file: pq.ParquetFile, group: int, partition: Mapping[str, str | None], schema: pa.Schema) -> pa.Table:
    there = set(file.schema_arrow.names) - partition.keys()
    rows = file.read_row_group(group, [field.name for field in schema if field.name in there])
    columns = [
        rows[field.name].cast(field.type)
        if field.name in there
        else pa.repeat(pa.scalar(partition.get(field.name)).cast(field.type), file.metadata.row_group(group).num_rows)
        for field in schema
    ]
    return pa.table(columns, schema=schema)
