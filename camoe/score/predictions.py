"""The predictions table: its columns, and what may be written to it, whoever writes."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable

from camoe.contracts.errors import SnapshotError
from camoe.contracts.snapshot import Snapshot, is_delta_table
from camoe.contracts.storage import delta_options

IDS = ("impression_id", "user_id", "campaign_id")


def predictions_schema(snapshot: Snapshot) -> pa.Schema:
    """Return the columns of the predictions of `snapshot`: its rows have the ids, of its types."""
    table = DeltaTable(snapshot.table, version=snapshot.version, storage_options=delta_options(snapshot.table))
    types = pa.schema(table.schema().to_arrow())
    return pa.schema(
        [
            *((name, types.field(name).type) for name in IDS),
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


def require_writable(path: Path, snapshot: Snapshot) -> None:
    """Raise `SnapshotError` where predictions of `snapshot` cannot join those at `path`.

    So it is where the table has lost its log, and where its ids have other types.
    """
    if not is_delta_table(path):
        files = sum(1 for _ in path.rglob("*.parquet"))
        if files:
            raise SnapshotError(
                f"{path} has {files:,} data files and no _delta_log: its log was lost, and a new one would not know "
                "them; restore the log, or move the folder away and score its days again; nothing was changed"
            )
        return
    schema = predictions_schema(snapshot)
    found = pa.schema(DeltaTable(str(path.resolve())).schema().to_arrow())
    for name in IDS:
        if name in found.names and found.field(name).type != schema.field(name).type:
            raise SnapshotError(
                f"{path} has {name} as {found.field(name).type}, the training table as {schema.field(name).type}; "
                "move the folder away and score its days again; nothing was changed"
            )
