"""The predictions table written by delta-rs, without Spark."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import date, datetime
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

from camoe.contracts.schema import PREDICTION_PARTITIONS
from camoe.contracts.snapshot import is_delta_table

COLUMNS = ("impression_id", "user_id", "campaign_id", "modality", "slot", "date", "objective", "head")
SCHEMA = pa.schema(
    [
        *((name, pa.date32() if name == "date" else pa.string()) for name in COLUMNS),
        ("p_raw", pa.float64()),
        ("p", pa.float64()),
        ("model_version", pa.string()),
        ("snapshot_version", pa.int64()),
        ("scored_at", pa.timestamp("us", "UTC")),
    ]
)


def replace_predictions(
    tables: Iterable[pa.Table],
    path: Path,
    days: Collection[date],
    model_version: str,
    *,
    snapshot_version: int,
    scored_at: datetime,
) -> None:
    """Replace the predictions of `model_version` on `days` by `tables` in one commit; other rows stay as they are.

    `tables` have the columns of `Scorer.predict`; those of one model version, each row on one of the days.
    """
    stamps = pa.scalar(snapshot_version, pa.int64()), pa.scalar(scored_at, pa.timestamp("us", "UTC"))
    batches = (batch for table in tables for batch in _stamped(table, *stamps).to_batches())
    listed = ", ".join(f"'{day.isoformat()}'" for day in sorted(days))
    target = str(path.resolve())
    if not is_delta_table(path):
        DeltaTable.create(target, SCHEMA, partition_by=list(PREDICTION_PARTITIONS))
    write_deltalake(
        target,
        pa.RecordBatchReader.from_batches(SCHEMA, batches),
        mode="overwrite",
        partition_by=list(PREDICTION_PARTITIONS),
        predicate=f"date in ({listed}) and model_version = '{model_version}'",
    )


def predictions_by_slot(path: Path, days: Collection[date], model_version: str) -> dict[str, int]:
    """Count the rows of `model_version` on `days` in the predictions table, by slot, as its log counts them."""
    wanted = {day.isoformat() for day in days}
    counts: dict[str, int] = {}
    for file in pa.table(DeltaTable(str(path.resolve())).get_add_actions(flatten=True)).to_pylist():
        if str(file["partition.date"]) in wanted and file["partition.model_version"] == model_version:
            slot = str(file["partition.slot"])
            counts[slot] = counts.get(slot, 0) + int(file["num_records"])
    return counts


def _stamped(table: pa.Table, version: pa.Scalar, at: pa.Scalar) -> pa.Table:
    whole = table.append_column("snapshot_version", pa.repeat(version, table.num_rows)).append_column(
        "scored_at", pa.repeat(at, table.num_rows)
    )
    return whole.select(SCHEMA.names).cast(SCHEMA)
