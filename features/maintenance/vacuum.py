"""Removes the data files that no protected version of a table needs.

A file goes when a later version removed it longer ago than the retention and no version to keep names it. The time of
removal is read from the log itself: delta-rs's own vacuum does not see a removal once a checkpoint dropped it, or, in
its full mode, judges by the file's age and also takes strangers' files. Files that no version ever named are not
touched here, see orphans.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow.parquet as pq

from features.maintenance.errors import MaintenanceError
from features.maintenance.log import active_files, named_files, oldest_version, open_table

SNAPSHOT_VERSION = "snapshot_version"


@dataclass(frozen=True)
class Keep:
    """A version to keep readable, and for whom."""

    version: int
    why: str


@dataclass(frozen=True)
class Vacuum:
    """What a vacuum of `table` keeps, which versions to keep are not in the log any more, and the files that go."""

    table: Path
    kept: tuple[Keep, ...]
    lost: tuple[Keep, ...]
    files: tuple[Path, ...]
    size: int


def plan_vacuum(table: Path, keep: Iterable[Keep], before: datetime) -> Vacuum:
    """The vacuum of `table` that keeps its newest version, those of `keep`, and what was removed at or after `before`.

    Raises:
        MaintenanceError: the log cannot be read, or a version to keep never was.
    """
    newest = open_table(table).version()
    kept, lost = _reachable(table, [Keep(newest, "the newest"), *keep], newest)
    needed: set[Path] = set()
    for version in {item.version for item in kept}:
        needed |= {file["path"] for file in active_files(table, version)}
    limit = before.timestamp() * 1000
    removed = named_files(table).items()
    going = sorted(path for path, when in removed if path not in needed and 0 < when < limit and path.is_file())
    return Vacuum(table, kept, lost, tuple(going), sum(path.stat().st_size for path in going))


def remove_files(vacuum: Vacuum) -> None:
    """Remove the planned files and their checksums; what is gone already is no error."""
    for path in vacuum.files:
        path.unlink(missing_ok=True)
        path.with_name(f".{path.name}.crc").unlink(missing_ok=True)


def scored_versions(predictions: Path) -> tuple[int, ...]:
    """Versions of the training table that rows of the predictions table were scored from."""
    versions: set[int] = set()
    for file in active_files(predictions):
        low, high = file.get(f"min.{SNAPSHOT_VERSION}"), file.get(f"max.{SNAPSHOT_VERSION}")
        if low is not None and low == high:
            versions.add(int(low))
        else:
            column = pq.read_table(file["path"], columns=[SNAPSHOT_VERSION], partitioning=None)[SNAPSHOT_VERSION]
            versions.update(column.to_pylist())
    return tuple(sorted(versions))


def _reachable(table: Path, keep: Sequence[Keep], newest: int) -> tuple[tuple[Keep, ...], tuple[Keep, ...]]:
    unknown = [item for item in keep if not 0 <= item.version <= newest]
    if unknown:
        listed = ", ".join(f"{item.version} ({item.why})" for item in unknown)
        raise MaintenanceError(f"{table} has versions 0 to {newest}, not {listed}; nothing was removed")
    oldest = oldest_version(table)
    ordered = sorted(set(keep), key=lambda item: (item.version, item.why))
    kept = tuple(item for item in ordered if item.version >= oldest)
    return kept, tuple(item for item in ordered if item.version < oldest)
