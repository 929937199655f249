"""What nobody reads any more of the history: folders of other settings, and rows that no record names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path

from camoe.contracts.layout import Layout
from camoe.contracts.runs import RunError, read_record
from camoe.contracts.schema import RUN_ID
from features.delta.log import active_files, has_delta_log
from features.history.kinds import KINDS
from features.history.store import BLOCKS, DAYS, EVENTS, stored_blocks, stored_days
from features.maintenance.committed import OrphanRows, orphan_rows

# Folders of the history's records.
RECORDS = (DAYS, BLOCKS)


def history_folders(layout: Layout) -> tuple[Path, ...]:
    """Return the folders of the history, one for each hash of the settings."""
    there = layout.history.iterdir() if layout.history.is_dir() else ()
    return tuple(sorted(path for path in there if path.is_dir() and not path.is_symlink()))


def history_tables(folder: Path) -> tuple[Path, ...]:
    """Return the Delta tables of one of the history's folders."""
    return tuple(sorted(path for path in folder.iterdir() if has_delta_log(path)))


def unused_folders(layout: Layout) -> Iterator[Path]:
    """Yield the history's folders of settings that no run's record has; none while a record cannot be read."""
    used = set[str]()
    for path in layout.runs.glob("*.json"):
        try:
            record = read_record(layout.runs, path.stem)
            used |= {record.history, record.settings_hash}
        except RunError:
            return
    yield from (folder for folder in history_folders(layout) if folder.name not in used)


def unread_rows(layout: Layout, before: datetime) -> tuple[OrphanRows, ...]:
    """Return the rows that nobody reads and that were written before `before`.

    Those of quarantine and profiles of runs that never committed, and those of the history that no record names, as
    after writes that were cut off or replaced.
    """
    found = [*orphan_rows(layout, before)]
    for folder in history_folders(layout):
        days = {(day, one.run_id) for day, one in stored_days(folder).items()}
        named = {EVENTS: days, **{kind.table(1): days for kind in KINDS}}
        for block, one in stored_blocks(folder).items():
            for kind in KINDS:
                named.setdefault(kind.table(block.days), set()).add((block.first, one.run_id))
        found += [_uncounted(table, named.get(table.name, set()), before) for table in history_tables(folder)]
    return tuple(item for item in found if item.rows)


def _uncounted(table: Path, named: set[tuple[date, str]], before: datetime) -> OrphanRows:
    rows: Counter[tuple[date, str]] = Counter()
    for file in active_files(table):
        of = (file["partition.date"], file[f"partition.{RUN_ID}"])
        # A write whose record is yet to come has files as young as itself.
        if of not in named and file["modification_time"] < before.timestamp() * 1000:
            rows[of] += file["num_records"]
    by_run: Counter[str] = Counter()
    for (_, run), count in rows.items():
        by_run[run] += count
    condition = " OR ".join(f"(date = '{day}' AND {RUN_ID} = '{run}')" for day, run in sorted(rows))
    return OrphanRows(table, by_run, condition)
