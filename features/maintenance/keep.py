"""Versions of a table that are still needed, and by whom."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from camoe.contracts.layout import Layout
from camoe.contracts.places.pins import read_pins
from features.delta.log import active_files, has_delta_log

SNAPSHOT_VERSION = "snapshot_version"


@dataclass(frozen=True)
class Keep:
    """A version to keep readable, and its user."""

    version: int
    why: str


def keep_pinned(layout: Layout, table: Path) -> list[Keep]:
    """Return the versions of `table` that are pinned. Raises `PinError` when a pin is damaged."""
    return [Keep(pin.version, f"pin {pin.pin_id}") for pin in read_pins(layout.pins) if pin.table == table.name]


def keep_scored(layout: Layout) -> list[Keep]:
    """Return the versions of the training table that rows of the predictions table were scored from."""
    if not has_delta_log(layout.predictions):
        return []
    versions: set[int] = set()
    for file in active_files(layout.predictions):
        low, high = file.get(f"min.{SNAPSHOT_VERSION}"), file.get(f"max.{SNAPSHOT_VERSION}")
        versions |= {low} if low is not None and low == high else _scored_in(file["path"])
    return [Keep(version, "predictions were scored from it") for version in sorted(versions)]


def _scored_in(path: Path) -> set[int]:
    column = pq.read_table(path, columns=[SNAPSHOT_VERSION], partitioning=None)[SNAPSHOT_VERSION]
    return set(column.to_pylist())
