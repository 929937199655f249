"""The predictions table: its columns, and what may be written to it, whoever writes."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable

from camoe.contracts.errors import SnapshotError
from camoe.contracts.places.commits import CommittedTable, Partitions
from camoe.contracts.places.store import open_place
from camoe.contracts.schema import PREDICTION_PARTITIONS
from camoe.contracts.snapshot import Snapshot, is_delta_table
from camoe.contracts.storage import delta_options, is_remote, location_of

IDS = ("impression_id", "user_id", "campaign_id")


def columns_of(snapshot: Snapshot, names: Collection[str]) -> pa.Schema:
    """Return the named columns of the table of `snapshot`, with their types."""
    table = DeltaTable(snapshot.table, version=snapshot.version, storage_options=delta_options(snapshot.table))
    types = pa.schema(table.schema().to_arrow())
    return pa.schema([types.field(name) for name in names])


def predictions_schema(snapshot: Snapshot) -> pa.Schema:
    """Return the columns of the predictions of `snapshot`: its rows have the ids, of its types."""
    return with_predictions(columns_of(snapshot, IDS))


def with_predictions(ids: pa.Schema) -> pa.Schema:
    """Return the columns of predictions of rows with these `ids`."""
    return pa.schema(
        [
            *((field.name, field.type) for field in ids),
            *((name, pa.string()) for name in ("modality", "slot")),
            ("date", pa.date32()),
            *((name, pa.string()) for name in ("objective", "head")),
            ("p_raw", pa.float64()),
            ("p", pa.float64()),
            ("model_version", pa.string()),
            ("snapshot_version", pa.int64()),
            ("scored_at", pa.timestamp("us", "UTC")),
        ]
    )


def predictions_table(path: Path | str, schema: pa.Schema) -> CommittedTable:
    """Return the predictions table at a path or an address, of the columns `schema`."""
    return CommittedTable(location_of(path), schema, PREDICTION_PARTITIONS)


def stamped(predictions: pa.Table, schema: pa.Schema, version: int, scored_at: datetime) -> pa.Table:
    """Return `predictions` as rows of the table: with the version of the rows that they are of, and the time."""
    rows = predictions.num_rows
    at = pa.repeat(pa.scalar(scored_at, pa.timestamp("us", "UTC")), rows)
    whole = predictions.append_column("snapshot_version", pa.repeat(pa.scalar(version, pa.int64()), rows))
    return whole.append_column("scored_at", at).select(schema.names).cast(schema)


def partitions_of(days: Collection[date], model_version: str) -> Partitions:
    """Return where the predictions of a model on `days` lie."""
    return {"date": days, "model_version": {model_version}}


def require_writable(path: Path | str, snapshot: Snapshot) -> None:
    """Raise `SnapshotError` where predictions of `snapshot` cannot join those at `path`.

    So it is where the table has lost its log, and where its ids have other types.
    """
    location = location_of(path)
    if not is_delta_table(location):
        files = _data_files(location)
        if files:
            raise SnapshotError(
                f"{path} has {files:,} data files and no _delta_log: its log was lost, and a new one would not know "
                "them; restore the log, or move the folder away and score its days again; nothing was changed"
            )
        return
    schema = predictions_schema(snapshot)
    found = pa.schema(DeltaTable(location, storage_options=delta_options(location)).schema().to_arrow())
    for name in IDS:
        if name in found.names and found.field(name).type != schema.field(name).type:
            raise SnapshotError(
                f"{path} has {name} as {found.field(name).type}, the training table as {schema.field(name).type}; "
                "move the folder away and score its days again; nothing was changed"
            )


def _data_files(location: str) -> int:
    if is_remote(location):
        return sum(name.endswith(".parquet") for name in open_place(location).names())
    return sum(1 for _ in Path(location).rglob("*.parquet"))
