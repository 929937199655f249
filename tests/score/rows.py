"""Rows that are scored, and what came of them."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from camoe.contracts.snapshot import Snapshot
from tests.score.pipeline import DAYS


def encoded_rows(snapshot: Snapshot, days: Collection[date] = DAYS) -> pa.Table:
    """Return the rows of the files themselves, with the slot that the folder names."""
    parts = []
    for file in snapshot.on(days).files:
        rows = pq.ParquetFile(file.path).read()
        parts.append(rows.append_column("slot", pa.array([file.slot] * rows.num_rows)))
    return pa.concat_tables(parts)


def by_impression(table: pa.Table) -> pd.DataFrame:
    """Return the rows by impression, in its order."""
    frame: pd.DataFrame = table.to_pandas()
    return frame.set_index("impression_id").sort_index()


def swapped(rows: pa.Table, name: str, values: object) -> pa.Table:
    """Return the rows with other values in one column."""
    return rows.set_column(rows.column_names.index(name), name, pa.array(values))
