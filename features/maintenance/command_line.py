"""Arguments and output of the maintenance commands."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import timedelta

from camoe.contracts.errors import MaintenanceError
from camoe.contracts.places.pins import Pin
from features.maintenance.committed import OrphanRows
from features.maintenance.compact import CompactedDay
from features.maintenance.orphans import Leftover
from features.maintenance.vacuum import Vacuum

UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")
AGE_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def size(count: float) -> str:
    """Write bytes as people read them: `1.4 MiB`."""
    unit = 0
    while count >= 1024 and unit < len(UNITS) - 1:
        count /= 1024
        unit += 1
    return f"{count:,.0f} {UNITS[unit]}" if unit == 0 else f"{count:,.1f} {UNITS[unit]}"


def orphan_lines(
    files: Sequence[Leftover], rows: Sequence[OrphanRows], working: Iterable[str], delete: bool
) -> list[str]:
    """Return each leftover on a line, then a line a kind with its number and size, and what happens to them.

    `working` are the jobs at work.
    """
    lines = [f"  {item.what:<25} {size(item.size):>12}  {item.path}" for item in files]
    for table in rows:
        lines += [
            f"  {'rows of a run':<25} {count:>7,} rows  {table.table} run {run}" for run, count in table.rows.items()
        ]
    for what, number in sorted(Counter(item.what for item in files).items()):
        mine = [item for item in files if item.what == what]
        lines.append(f"{what}: {number:,}, {size(sum(item.size for item in mine))}")
    lines += [f"rows of {table.table.name}: {sum(table.rows.values()):,} of {len(table.rows):,} runs" for table in rows]
    spared = [f"at work, and what it may have written is left alone: {job}" for job in working]
    return [*spared, *lines, _consequence(delete)] if lines else [*spared, "nothing was left behind"]


def vacuum_lines(vacuum: Vacuum, delete: bool) -> list[str]:
    """Return lines that say how much goes, which versions are kept and for whom, and which cannot be kept."""
    lines = [f"{vacuum.table}: {len(vacuum.files):,} files, {size(vacuum.size)}, that no version to keep needs"]
    lines += [f"  {_consequence(delete)}"] if vacuum.files else []
    lines += [f"  keeps version {item.version:>5}  {item.why}" for item in vacuum.kept]
    lines += [
        f"  version {item.version} ({item.why}) is not in this table's log, so nothing can read it"
        for item in vacuum.lost
    ]
    return lines


def pin_lines(pins: Sequence[Pin]) -> list[str]:
    """Return a line a pin, and how to remove one whose job is gone."""
    if not pins:
        return ["no version is pinned"]
    return [*map(str, pins), "a pin whose job is gone: jobs/maintain.py pins --remove PIN"]


def compact_lines(done: Sequence[CompactedDay]) -> list[str]:
    """Return a line a day, with its files before and after."""
    return [
        f"{day.day}: {day.before:,} files became {day.after:,} ({day.rows:,} rows), version {day.version}"
        for day in done
    ] or ["no day has more files than its rows need"]


def _consequence(delete: bool) -> str:
    return "all of it is removed" if delete else "nothing was removed; add --delete to remove it"


def age(text: str) -> timedelta:
    """Parse `0s`, `90m`, `2h`, `3d` as a duration. Raises `MaintenanceError` for anything else."""
    found = re.fullmatch(r"(\d{1,6})([smhd])", text)
    if not found:
        raise MaintenanceError(f"'{text}' is no age: write a whole number and s, m, h or d, for example 90m or 7d")
    return timedelta(**{AGE_UNITS[found[2]]: int(found[1])})
