"""Arguments and output of the maintenance commands."""

from __future__ import annotations

import argparse
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from camoe.config.command_line import commands, given_days
from camoe.contracts.errors import MaintenanceError
from camoe.contracts.places.pins import Pin

if TYPE_CHECKING:
    from features.maintenance.committed import OrphanRows
    from features.maintenance.compact import CompactedDay
    from features.maintenance.forget import Forgotten
    from features.maintenance.orphans import Leftover
    from features.maintenance.vacuum import Vacuum

UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")
AGE_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def parsers(
    description: str, run: Sequence[Callable[..., None]]
) -> tuple[argparse.ArgumentParser, dict[str, argparse.ArgumentParser]]:
    """Return the parsers of `camoe.config.command_line.commands`, with the options of the maintenance commands."""
    top, made = commands(description, run)
    _add_options(made)
    return top, made


def _add_options(made: Mapping[str, argparse.ArgumentParser]) -> None:
    """Add to the parser of each of the maintenance commands the options that it has of its own."""
    made["orphans"].add_argument("--older-than", default="24h", help="age: 0s, 90m, 2h, 3d (default: 24h)")
    vacuum, pins, forget = made["vacuum"], made["pins"], made["forget"]
    vacuum.add_argument("--retain", default="7d", help="keep what was removed within this time (default: 7d)")
    vacuum.add_argument("--keep-version", type=int, action="append", default=[], help="of the training table")
    vacuum.add_argument("--force", action="store_true", help="allow --retain below 7d")
    forget.add_argument("--users", type=Path, required=True, metavar="FILE", help="one user id a line")
    forget.add_argument("--keep", type=_names, default=(), metavar="KEYS", help="key sets of sums over many users")
    for name in ("orphans", "vacuum", "forget"):
        made[name].add_argument("--delete", action="store_true", help="remove what is listed (default: list only)")
    pins.add_argument("--remove", metavar="PIN", help="remove this pin")
    pins.add_argument("--force", action="store_true", help="also when its process runs")
    made["compact"].add_argument("--days", type=given_days, help="2026-03-02,2026-03-05..2026-03-07 (default: all)")


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


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


def forget_lines(found: Sequence[Forgotten], delete: bool) -> list[str]:
    """Return a line a table of the history with its users' rows, and what is still to be done."""
    lines = [f"{item.table}: {item.rows:,} rows of these users" for item in found if item.rows]
    if not lines:
        return ["the history has no rows of these users"]
    if not delete:
        return [*lines, _consequence(delete)]
    return [
        *lines,
        "removed; files of earlier versions still hold them until jobs/maintain.py vacuum --retain 0s --force --delete",
    ]


def _consequence(delete: bool) -> str:
    return "all of it is removed" if delete else "nothing was removed; add --delete to remove it"


def age(text: str) -> timedelta:
    """Parse `0s`, `90m`, `2h`, `3d` as a duration. Raises `MaintenanceError` for anything else."""
    found = re.fullmatch(r"(\d{1,6})([smhd])", text)
    if not found:
        raise MaintenanceError(f"'{text}' is no age: write a whole number and s, m, h or d, for example 90m or 7d")
    return timedelta(**{AGE_UNITS[found[2]]: int(found[1])})
