"""Versions of a table that are still needed, and by whom."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from camoe.contracts.layout import Layout
from camoe.contracts.places.objects import path_at
from camoe.contracts.places.pins import read_pins
from camoe.contracts.storage import open_storage
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


def keep_scored(predictions: Path | str) -> list[Keep]:
    """Return the versions of the training table that rows of the table `predictions` were scored from.

    Raises:
        PlaceError: it lies in an object store that does not give its log.
    """
    versions: set[int] = set()
    place = path_at(predictions)
    for file in active_files(place) if has_delta_log(place) else ():
        low, high = file.get(f"min.{SNAPSHOT_VERSION}"), file.get(f"max.{SNAPSHOT_VERSION}")
        versions |= {low} if low is not None and low == high else _scored_in(str(file["path"]))
    return [Keep(version, "predictions were scored from it") for version in sorted(versions)]


def _scored_in(path: str) -> set[int]:
    storage = open_storage(path)
    return set(
        storage.tried(lambda: storage.parquet(path).read([SNAPSHOT_VERSION]), path)[SNAPSHOT_VERSION].to_pylist()
    )
