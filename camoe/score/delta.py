"""The predictions table written by this process, and what its log counts."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import date, datetime
from pathlib import Path

import pyarrow as pa

from camoe.contracts.places.commits import table_at
from camoe.contracts.snapshot import Snapshot
from camoe.contracts.storage import location_of
from camoe.score.predictions import partitions_of, predictions_schema, predictions_table, stamped


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
        RunError: another job wrote predictions of this model and these days at the same moment.
        PlaceError: the object store of an address does not take them.
        OSError: the disk did not take them.
        Exception: what `tables` raises.
    """
    schema = predictions_schema(snapshot)
    table, where = predictions_table(path, schema), partitions_of(days, model_version)
    rows = (stamped(part, schema, snapshot.version, scored_at) for part in tables)
    table.replace(where, lambda: table.write(rows))


def predictions_by_slot(path: Path | str, days: Collection[date], model_version: str) -> dict[str, int]:
    """Count the rows of `model_version` on `days` in the predictions table, by slot, as its log counts them."""
    wanted = {day.isoformat() for day in days}
    counts: dict[str, int] = {}
    for file in pa.table(table_at(location_of(path)).get_add_actions(flatten=True)).to_pylist():
        if str(file["partition.date"]) in wanted and file["partition.model_version"] == model_version:
            slot = str(file["partition.slot"])
            counts[slot] = counts.get(slot, 0) + int(file["num_records"])
    return counts
