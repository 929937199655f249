"""Versions of a table that are still needed, and by whom."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa

from camoe.contracts.layout import Layout
from camoe.contracts.places.commits import table_at
from camoe.contracts.places.pins import read_pins
from camoe.contracts.snapshot import is_delta_table
from camoe.contracts.storage import is_remote, location_of, open_storage
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
    for file in _files(location_of(predictions)):
        low, high = file.get(f"min.{SNAPSHOT_VERSION}"), file.get(f"max.{SNAPSHOT_VERSION}")
        versions |= {low} if low is not None and low == high else _scored_in(str(file["path"]))
    return [Keep(version, "predictions were scored from it") for version in sorted(versions)]


def _files(location: str) -> list[dict[str, Any]]:
    if not is_remote(location):
        return active_files(Path(location)) if has_delta_log(Path(location)) else []
    if not is_delta_table(location):
        return []
    actions = pa.table(table_at(location).get_add_actions(flatten=True)).to_pylist()
    return [{**action, "path": f"{location}/{unquote(action['path'])}"} for action in actions]


def _scored_in(path: str) -> set[int]:
    storage = open_storage(path)
    return set(
        storage.tried(lambda: storage.parquet(path).read([SNAPSHOT_VERSION]), path)[SNAPSHOT_VERSION].to_pylist()
    )
