"""A table of as many rows as are wanted: those of a training table again and again, under ids of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import write_deltalake

from camoe.contracts.snapshot import Snapshot, logged, pin
from camoe.score.frames import read_days

PARTITIONS = ["modality", "slot", "date"]


def table_of(table: Path, rows: int, cache: Path) -> Snapshot:
    """Return a table of `rows` rows of the last day of the training `table`, written once under `cache`."""
    root = cache / f"rows-{rows}"
    if not (root / "_delta_log").is_dir():
        # In one commit, whose files are as large as those that the feature job writes.
        write_deltalake(root, pa.concat_tables(_parts(table, rows)), partition_by=PARTITIONS)
    return pin(root)


def _parts(table: Path, rows: int) -> Iterator[pa.Table]:
    snapshot = logged(table)
    day = max(file.day for file in snapshot.files)
    own = read_days(table, [day]).replace_schema_metadata(None)
    # Without a zone a time is of another type of Delta's.
    kinds = [pa.timestamp("us", "UTC") if pa.types.is_timestamp(one.type) else one.type for one in own.schema]
    own = own.cast(pa.schema(list(zip(own.column_names, kinds, strict=True))))
    place = own.column_names.index("impression_id")
    for first in range(0, rows, own.num_rows):
        part = own.slice(0, rows - first)
        yield part.set_column(place, "impression_id", _ids(part, first))


def _ids(part: pa.Table, first: int) -> pa.ChunkedArray:
    return pc.binary_join_element_wise(part["impression_id"].cast(pa.string()), str(first), ":")
