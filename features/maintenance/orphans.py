"""Files that crashed runs left behind: found by age and by what the logs name, listed, and removed on demand.

Only files of kinds that the jobs write are looked at, and of those only what no log names and nobody changed lately.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from camoe.contracts.files import RemotePath, is_temporary, unfinished
from camoe.contracts.layout import Layout, lease_of
from camoe.contracts.places.leases import ENDED, holder_of
from camoe.contracts.runs import RunError, lock_of, read_record
from features.delta.log import LOG, data_file_of, data_files, has_delta_log, named_files
from features.delta.lost_log import require_log
from features.maintenance.committed import uncommitted
from features.maintenance.history import RECORDS, history_folders, history_tables, unused_folders
from features.maintenance.removal import remove

# Files that Delta's log writers leave when they die between writing a file and renaming it.
LOG_TEMPORARY = re.compile(r"(\.|_commit_).*\.tmp(\.crc)?")
# What the clocks of two hosts may differ by.
CLOCKS = timedelta(minutes=5)


@dataclass(frozen=True)
class Leftover:
    """A file or folder that may go, and the size in bytes of what is in it."""

    what: str
    path: Path
    size: int


def tables(layout: Layout) -> tuple[Path, ...]:
    """Return the Delta tables of one output folder that are there, those of the history included."""
    mine = (layout.training, layout.quarantine, layout.profiles, layout.predictions, layout.states)
    past = (table for folder in history_folders(layout) for table in history_tables(folder))
    return (*(table for table in mine if has_delta_log(table)), *past)


def leftovers(layout: Layout, before: datetime) -> tuple[Leftover, ...]:
    """Find everything that crashed runs left under `layout` and that did not change since `before`.

    Raises:
        MaintenanceError: a table's log cannot be read, so what it names is not known.
        RunError: the training table has lost its log, so every run looks as if it had never committed.
    """
    require_log(layout)
    candidates = [
        *(item for table in tables(layout) for item in _of_table(table)),
        *(("staging folder", path) for path in _staging(layout)),
        *(("unfinished folder", path) for path in _unfinished(layout)),
        *(("files of no version", path) for path in layout.root.glob(".uncommitted-*") if path.is_dir()),
        *(("copies of raw files", path) for path in layout.copies.glob("[!.]*") if not _held(lease_of(path))),
        *(("temporary file", path) for path in _temporaries(layout)),
        *(("history of no run", path) for path in unused_folders(layout)),
        *(("run record", path) for path in _records(layout)),
        *(("lock of a run", path) for path in _locks(layout)),
    ]
    found = (_leftover(what, path, before) for what, path in candidates)
    return tuple(sorted((item for item in found if item is not None), key=lambda item: item.path))


def at_work(layout: Layout) -> dict[str, datetime]:
    """Return which jobs may be writing under `layout` at the moment, each with when it began."""
    found = {}
    for path in (*layout.runs.glob(lock_of(layout.runs, "*").name), *layout.pins.glob("*.json")):
        with suppress(FileNotFoundError):
            holder, state = holder_of(path)
            if state != ENDED:
                began = holder.since if holder else datetime.fromtimestamp(path.stat().st_mtime, UTC)
                found[f"{path.name} ({holder or 'just starting'})"] = began
    return found


def spared(before: datetime, working: Mapping[str, datetime]) -> datetime:
    """Return `before`, or as much earlier as needed to spare all that the jobs at work may have written."""
    return min([before, *(began - CLOCKS for began in working.values())])


def clear(found: Sequence[Leftover]) -> None:
    """Remove what `leftovers` found. Raises `MaintenanceError` as `remove` does."""
    for item in found:
        remove(item.path)


def _of_table(table: Path) -> Iterator[tuple[str, Path]]:
    # The files first, then the log: a file that is committed between the two is found to be named.
    lying = list(data_files(table))
    named = named_files(table)
    for path in lying:
        owner = data_file_of(path)
        checksum_alone = owner != path and not owner.exists()
        if owner not in named or checksum_alone:
            yield "data file", path
    for path in (table / LOG).iterdir():
        if LOG_TEMPORARY.fullmatch(path.name) and path.is_file():
            yield "temporary file of the log", path
    if (table / "_temporary").is_dir():
        yield "temporary folder", table / "_temporary"


def _staging(layout: Layout) -> Iterator[Path]:
    places = ("encoder/.staging-*", "bundles/.staging-*", "checkpoints/.staging-*", ".compact-*", ".lake-staging")
    candidates = (path for place in places for path in layout.root.glob(place))
    yield from (path for path in candidates if path.is_dir() and not path.is_symlink())


def _unfinished(layout: Layout) -> Iterator[Path]:
    """Yield what killed writers left of folders in a store, where the object that makes one whole is written last."""
    for parent in (layout.encoder, layout.checkpoints):
        if isinstance(parent, RemotePath):
            yield from unfinished(parent)
    bundles = layout.bundle / "bundles"
    if isinstance(bundles, RemotePath):
        yield from (path for path in bundles.iterdir() if not (path / "manifest.json").is_file())


def _temporaries(layout: Layout) -> Iterator[Path]:
    records = (folder / kind for folder in history_folders(layout) for kind in RECORDS)
    drift = (layout.drift, layout.drift / "candidates")
    for folder in (layout.root, layout.runs, layout.pins, layout.report, layout.feature_report, *drift, *records):
        if folder.is_dir():
            yield from (path for path in folder.iterdir() if is_temporary(path) and path.is_file())


def _records(layout: Layout) -> Iterator[Path]:
    written = {}
    for path in (path for path in layout.runs.glob("*.json") if path.is_file()):
        try:
            written[read_record(layout.runs, path.stem).run_id] = path
        except RunError:
            # Not a record, or a damaged one, which may be that of a committed run: for a person to look at.
            continue
    never = uncommitted(layout.table, written)
    for run in (run for run, path in written.items() if run in never and path.stem == run):
        # A new attempt of the run may be about to write it anew.
        if not _held(lock_of(layout.runs, run)):
            yield written[run]


def _locks(layout: Layout) -> Iterator[Path]:
    for path in layout.runs.glob(lock_of(layout.runs, "*").name):
        if path.is_file() and not _held(path):
            yield path


def _held(lease: Path) -> bool:
    try:
        return holder_of(lease)[1] != ENDED
    except FileNotFoundError:
        return False


def _leftover(what: str, path: Path, before: datetime) -> Leftover | None:
    """Return the leftover at `path`; None when it changed since `before`, or goes meanwhile: a job is using it."""
    try:
        if isinstance(path, RemotePath):
            inside = [path.stat()]
        else:
            inside = [item.lstat() for item in ([path, *path.rglob("*")] if path.is_dir() else [path])]
    except FileNotFoundError:
        return None
    if max(item.st_mtime for item in inside) >= before.timestamp():
        return None
    files = inside if isinstance(path, RemotePath) else [item for item in inside if stat.S_ISREG(item.st_mode)]
    return Leftover(what, path, sum(item.st_size for item in files))
