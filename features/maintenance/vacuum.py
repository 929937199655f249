"""Vacuum: removal of the data files that no version to keep needs.

A file goes when a later version removed it longer ago than the retention and no version to keep names it. The time of
removal is read from the log itself: delta-rs's own vacuum does not see a removal once a checkpoint dropped it, or, in
its full mode, judges by the file's age and also takes strangers' files. Files that no version ever named are not
touched here, see orphans.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from camoe.contracts.errors import MaintenanceError
from features.delta.log import active_files, named_files, oldest_version, open_table
from features.maintenance.keep import Keep
from features.maintenance.removal import remove

SAFE_RETENTION = timedelta(days=7)


@dataclass(frozen=True)
class Vacuum:
    """Plan of a vacuum of `table`: what it keeps, which versions to keep are not in its log, and the files that go."""

    table: Path
    kept: tuple[Keep, ...]
    lost: tuple[Keep, ...]
    files: tuple[Path, ...]
    size: int


def require_safe(retain: timedelta, force: bool) -> None:
    """Raise `MaintenanceError` when files would go that a job without a pin may still be reading."""
    if retain < SAFE_RETENTION and not force:
        raise MaintenanceError("to retain less than 7d, say --force: jobs that read without a pin may fail")


def plan_vacuum(table: Path, keep: Iterable[Keep], before: datetime) -> Vacuum:
    """Plan a vacuum of `table` that keeps the newest version, those of `keep`, and what was removed from `before` on.

    Raises:
        MaintenanceError: the log cannot be read.
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


def remove_files(planned: Iterable[Vacuum]) -> None:
    """Remove the planned files and their checksums. Raises `MaintenanceError` as `remove` does."""
    for path in (path for vacuum in planned for path in vacuum.files):
        remove(path)
        remove(path.with_name(f".{path.name}.crc"))


def _reachable(table: Path, keep: Sequence[Keep], newest: int) -> tuple[tuple[Keep, ...], tuple[Keep, ...]]:
    oldest = oldest_version(table)
    ordered = sorted(set(keep), key=lambda item: (item.version, item.why))
    kept = tuple(item for item in ordered if oldest <= item.version <= newest)
    return kept, tuple(item for item in ordered if item not in kept)
