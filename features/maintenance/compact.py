"""Compaction: a slot's small files of a day become full ones, with the same rows in the order of the feature job.

The new files are written beside the table and compared with the old rows. Then one commit swaps the files, and only if
the version that was looked at is still the newest, or those between left the day alone.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from uuid import uuid4

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from camoe.contracts.errors import MaintenanceError
from camoe.contracts.layout import Layout
from camoe.contracts.places.commits import Partitions, files_in
from camoe.contracts.places.entries import Part
from camoe.contracts.places.pins import pinned_here
from camoe.contracts.runs import RunError, active_runs
from camoe.contracts.schema import RUN_ID, TRAINING_PARTITIONS
from camoe.contracts.snapshot import DataFile, Snapshot, pin
from camoe.contracts.storage import is_remote
from features.delta.commit import open_delta
from features.delta.remote import rows_in, rows_of_files, written
from features.maintenance.committed import signature
from features.maintenance.swap import require_no_run, swap_files
from features.spark.values import row_hash
from features.tables.remote import table_of
from features.tables.sizes import row_bytes, rows_of_a_file
from features.tables.training import as_files, files_needed


@dataclass(frozen=True)
class SlotDay:
    """The files of one slot's day."""

    slot: str
    day: date
    files: tuple[DataFile, ...]

    @property
    def rows(self) -> int:
        """Rows of all files."""
        return sum(file.rows for file in self.files)


class _NoFewerFilesError(Exception):
    """Files that would not be fewer than those that are there."""


@dataclass(frozen=True)
class CompactedDay:
    """One day's compaction: rows and files of its rewritten cells, and the version that its commit made."""

    day: date
    rows: int
    before: int
    after: int
    version: int


def small_cells(
    snapshot: Snapshot, rows_per_file: int, days: Collection[date] | None
) -> dict[date, tuple[SlotDay, ...]]:
    """Find the cells of `days` (default: all) with more files than their rows need, by day.

    Raises:
        RunError: the files of a day come from several runs.
    """
    if RUN_ID in snapshot.columns:
        active_runs(snapshot)
    cells: dict[tuple[date, str], list[DataFile]] = {}
    for file in snapshot.files:
        if days is None or file.day in days:
            cells.setdefault((file.day, file.slot), []).append(file)
    found: dict[date, tuple[SlotDay, ...]] = {}
    for (day, slot), files in sorted(cells.items()):
        cell = SlotDay(slot, day, tuple(files))
        if len(files) > files_needed(cell.rows, rows_per_file):
            found[day] = (*found.get(day, ()), cell)
    return found


def compact(
    spark: SparkSession,
    layout: Layout,
    rows_per_file: int,
    days: Collection[date] | None,
    bytes_per_file: int | None = None,
) -> tuple[CompactedDay, ...]:
    """Compact `days` (default: all) of the training table, one commit a day that has small files.

    Files get `rows_per_file`, or fewer where these take more than `bytes_per_file` (None: any).

    Raises:
        SnapshotError: there is no table, or it cannot be read safely.
        MaintenanceError: see `compact_day`; days before the one that failed are done.
    """
    snapshot = pin(layout.table)
    if bytes_per_file is not None:
        rows_per_file = rows_of_a_file(rows_per_file, bytes_per_file, row_bytes(snapshot.files))
    cells = small_cells(snapshot, rows_per_file, days)
    one_day = compact_remote_day if is_remote(snapshot.table) else compact_day
    held = pinned_here(
        layout.pins, layout.training, layout.table, snapshot.version, job="compact", why="compaction reads it"
    )
    with held:
        done = [one_day(spark, layout, snapshot, small, rows_per_file) for small in cells.values()]
    return tuple(day for day in done if day is not None)


def compact_day(
    spark: SparkSession, layout: Layout, snapshot: Snapshot, cells: Sequence[SlotDay], rows_per_file: int
) -> CompactedDay | None:
    """Rewrite `cells`, all of one day, in one commit; None when that would make no fewer files.

    Raises:
        MaintenanceError: the new files do not hold the old rows, or another job wrote or is writing that day.
    """
    with _scratch(layout.root) as scratch:
        rows = _rows(spark, snapshot, cells)
        counts = {(cell.day, cell.slot): cell.rows for cell in cells}
        arranged = as_files(rows, counts, rows_per_file)
        writer = arranged.write.format("delta").partitionBy(*TRAINING_PARTITIONS)
        writer.option("maxRecordsPerFile", rows_per_file).save(str(scratch))
        require_same_rows(rows, spark.read.format("delta").load(str(scratch)), cells[0].day)
        new = pin(scratch)
        old = [file for cell in cells for file in cell.files]
        if len(new.files) >= len(old):
            return None
        version = swap_files(layout, snapshot, old, scratch)
        return CompactedDay(cells[0].day, new.rows, len(old), len(new.files), version)


def compact_remote_day(
    spark: SparkSession, layout: Layout, snapshot: Snapshot, cells: Sequence[SlotDay], rows_per_file: int
) -> CompactedDay | None:
    """Do as `compact_day` in an object store, where files are written beside the old ones and then committed.

    Raises:
        MaintenanceError: as `compact_day` does.
        PlaceError: the store does not take the files or the commit.
    """
    day, address, parts = cells[0].day, snapshot.table, list[Part]()
    where: Partitions = {"date": [day], "slot": [cell.slot for cell in cells]}
    rows, then = rows_in(spark, address, snapshot.version, where), open_delta(address, snapshot.version)
    table = table_of(address, rows, dict(then.metadata().configuration), rows_per_file)
    old = files_in(then, where)

    def write() -> Iterator[Part]:
        if files_in(open_delta(address), where) != old:
            raise RunError(f"another job wrote to {address} since it was looked at")
        parts.extend(written(as_files(rows, {(day, cell.slot): cell.rows for cell in cells}, rows_per_file), table))
        yield from parts
        if len(parts) >= len(old):
            raise _NoFewerFilesError
        new = rows_of_files(spark, address, {part.path: part.partition for part in parts}, rows.schema)
        require_same_rows(rows, new, day)
        require_no_run(layout, [day])

    try:
        version = table.replace(where, write, same_rows=True, **signature("compact"))
    except _NoFewerFilesError:
        return None
    except RunError as error:
        raise MaintenanceError(f"{error}; its rows stand, the compaction of {day} changed nothing") from None
    return CompactedDay(day, sum(cell.rows for cell in cells), len(old), len(parts), version)


@contextmanager
def _scratch(root: Path) -> Iterator[Path]:
    folder = root / f".compact-{uuid4().hex[:12]}"
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _rows(spark: SparkSession, snapshot: Snapshot, cells: Sequence[SlotDay]) -> DataFrame:
    table = spark.read.format("delta").option("versionAsOf", snapshot.version).load(snapshot.table)
    return table.where((F.col("date") == cells[0].day) & F.col("slot").isin(*[cell.slot for cell in cells]))


def require_same_rows(old: DataFrame, new: DataFrame, day: date) -> None:
    """Raise `MaintenanceError` unless both hold the same rows of each slot, in any order."""
    before, after = _content(old), _content(new)
    if before != after:
        raise MaintenanceError(
            f"compaction of {day}: the new files hold other rows than the old ones; nothing was changed"
        )


def _content(rows: DataFrame) -> list[tuple[object, ...]]:
    """Return the rows and the sum of their hashes, by slot."""
    summed = F.sum(row_hash(rows.columns).cast("decimal(20,0)"))
    found = rows.groupBy("slot").agg(F.count(F.lit(1)).alias("rows"), summed.alias("hashes"))
    return sorted(tuple(row) for row in found.collect())
