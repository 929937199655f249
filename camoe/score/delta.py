"""The predictions table written by delta-rs, without Spark."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator
from datetime import date, datetime
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError

from camoe.config.ending import SYSTEM_REMEDIES
from camoe.contracts.places.alone import one_line
from camoe.contracts.places.commits import table_at
from camoe.contracts.schema import PREDICTION_PARTITIONS
from camoe.contracts.snapshot import Snapshot, is_delta_table
from camoe.contracts.storage import is_remote, location_of
from camoe.score.predictions import partitions_of, predictions_schema, remote_predictions

OF_THE_SYSTEM = re.compile(r"\(os error (\d+)\)")


def replace_predictions(
    tables: Iterable[pa.Table],
    snapshot: Snapshot,
    path: Path | str,
    days: Collection[date],
    model_version: str,
    *,
    scored_at: datetime,
) -> None:
    """Replace the predictions of `model_version` on `days` by `tables` in one commit; other rows stay as they are.

    `tables` have the columns of `Scorer.predict` over rows of `snapshot`, of one model version and these days alone.

    Raises:
        RunError: another job committed first, and the two cannot both hold.
        PlaceError: the object store of an address does not take them.
        OSError: the disk did not take them.
        Exception: what `tables` raises.
    """
    schema = predictions_schema(snapshot)
    stamps = pa.scalar(snapshot.version, pa.int64()), pa.scalar(scored_at, pa.timestamp("us", "UTC"))
    target = location_of(path)
    if is_remote(target):
        table = remote_predictions(target, schema)
        where = partitions_of(days, model_version)
        table.replace(where, lambda: table.write(_stamped(part, schema, *stamps) for part in tables))
        return
    failed: list[Exception] = []
    batches = (batch for table in _noting(tables, failed) for batch in _stamped(table, schema, *stamps).to_batches())
    listed = ", ".join(f"'{day.isoformat()}'" for day in sorted(days))
    with one_line((CommitFailedError,), path):
        try:
            if not is_delta_table(target):
                DeltaTable.create(target, schema, mode="ignore", partition_by=list(PREDICTION_PARTITIONS))
            write_deltalake(
                target,
                pa.RecordBatchReader.from_batches(schema, batches),
                mode="overwrite",
                partition_by=list(PREDICTION_PARTITIONS),
                predicate=f"date in ({listed}) and model_version = '{model_version}'",
            )
        except DeltaError as error:
            if failed:
                raise failed[0] from None
            found = OF_THE_SYSTEM.search(str(error))
            if not found or int(found[1]) not in SYSTEM_REMEDIES:
                raise
            raise OSError(int(found[1]), os.strerror(int(found[1])), str(path)) from None


def predictions_by_slot(path: Path | str, days: Collection[date], model_version: str) -> dict[str, int]:
    """Count the rows of `model_version` on `days` in the predictions table, by slot, as its log counts them."""
    wanted = {day.isoformat() for day in days}
    counts: dict[str, int] = {}
    for file in pa.table(table_at(location_of(path)).get_add_actions(flatten=True)).to_pylist():
        if str(file["partition.date"]) in wanted and file["partition.model_version"] == model_version:
            slot = str(file["partition.slot"])
            counts[slot] = counts.get(slot, 0) + int(file["num_records"])
    return counts


def _noting(tables: Iterable[pa.Table], failed: list[Exception]) -> Iterator[pa.Table]:
    """Yield `tables`; what they raise is added to `failed`, as delta-rs makes a text of it on the way."""
    try:
        yield from tables
    except Exception as error:
        failed.append(error)
        raise


def _stamped(table: pa.Table, schema: pa.Schema, version: pa.Scalar, at: pa.Scalar) -> pa.Table:
    whole = table.append_column("snapshot_version", pa.repeat(version, table.num_rows)).append_column(
        "scored_at", pa.repeat(at, table.num_rows)
    )
    return whole.select(schema.names).cast(schema)
