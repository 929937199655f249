"""Events, day states and blocks on disk: Delta tables by day and write, and a record a day or block: whose rows count.

Rows are written first, then the record, in one rename. They rest on the logs alone, so they are right whether or not
the run that made them goes on to commit its training rows. A block rests on days that are final; it counts no more once
one of these is made again, and is then made again itself.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from camoe.contracts.config_file import Section
from camoe.contracts.days import day_list
from camoe.contracts.errors import CamoeError
from camoe.contracts.files import write_text
from camoe.contracts.runs import READ_AT_ONCE
from camoe.contracts.schema import RUN_ID
from features.delta.commit import CommitMetadata, latest_version, signed
from features.history.blocks import SIZES, Block, holding, whole_blocks
from features.history.keys import Layout
from features.history.kinds import kinds_of
from features.history.records import NO_EVENTS, StoredBlock, StoredDay, rests_on
from features.tables.side import days_of_runs, prune, put, rows_of_runs

EVENTS = "events"
# Folders of the records.
DAYS, BLOCKS = "days", "blocks"
RecordT = TypeVar("RecordT", bound=Section)


class HistoryError(CamoeError):
    """The history's tables on disk are damaged."""


def own_name(run: CommitMetadata) -> CommitMetadata:
    """Return the run under a name of one write alone, so that a retry never takes or replaces an attempt's rows."""
    return replace(run, run_id=f"{run.run_id[:23]}-{secrets.token_hex(4)}")


def stored_days(folder: Path) -> dict[date, StoredDay]:
    """Return the records of days in a history's folder. Raises `HistoryError` when one is damaged."""
    return {one.day: one for one in _records(folder / DAYS, StoredDay)}


def stored_blocks(folder: Path) -> dict[Block, StoredBlock]:
    """Return the records of blocks, also of those that count no more. Raises `HistoryError` when one is damaged."""
    return {one.block: one for one in _records(folder / BLOCKS, StoredBlock)}


@dataclass(frozen=True)
class Stored:
    """What is on disk at one time: the days, the blocks that rest on them, and the version of each table."""

    days: Mapping[date, StoredDay]
    blocks: Mapping[Block, StoredBlock]
    versions: Mapping[str, int]


@dataclass(frozen=True)
class HistoryStore:
    """The folder of the history of one hash of the settings."""

    folder: Path
    layout: Layout

    def found(self) -> Stored:
        """Return what is there. Raises `HistoryError` when a record is damaged, or a day's events are gone."""
        while True:
            versions = self._versions()
            days, blocks = stored_days(self.folder), stored_blocks(self.folder)
            # Rows go after their record: while the tables stay as they are, those that the records name are there.
            if versions == self._versions():
                current = {
                    block: one for block, one in blocks.items() if one.rests_on == rests_on(block, days, self.layout)
                }
                self._require_events(days, versions[EVENTS])
                return Stored(days, current, versions)

    def read(
        self, spark: SparkSession, stored: Stored, name: str, wanted: Collection[tuple[date, str]]
    ) -> DataFrame | None:
        """Return the rows of the (day, run) pairs `wanted` of a table, as it was `stored`; None without any."""
        if not wanted or stored.versions[name] < 0:
            return None
        return rows_of_runs(spark, self.folder / name, stored.versions[name], wanted).drop(RUN_ID)

    def write(self, tables: Mapping[str, DataFrame], days: Collection[StoredDay], run: CommitMetadata) -> None:
        """Put the rows of `days` by table, all under the `own_name` of `run`, in place of what counted before."""
        before, spark = stored_days(self.folder), tables[EVENTS].sparkSession
        with signed(spark, run):
            for name, rows in tables.items():
                put(rows.withColumn(RUN_ID, F.lit(run.run_id)), self.folder / name, run)
        for one in days:
            self._write(DAYS, one.day.isoformat(), one)
        gone = {(one.day, before[one.day].run_id) for one in days if one.day in before}
        for name in tables:
            prune(spark, self.folder / name, gone, run)
        self._add_blocks(spark, run)

    def _require_events(self, days: Mapping[date, StoredDay], version: int) -> None:
        there = days_of_runs(self.folder / EVENTS, version)
        lost = [day for day, one in days.items() if one.shown != NO_EVENTS and (day, one.run_id) not in there]
        if lost:
            raise HistoryError(
                f"{self.folder / EVENTS} lacks the rows of {day_list(lost)}; remove {self.folder}: a run makes it again"
            )

    def _add_blocks(self, spark: SparkSession, run: CommitMetadata) -> None:
        """Make the blocks that the days on disk fill and that are not there, from smaller ones to larger ones."""
        stored = self.found()
        for size in SIZES:
            final = {day for day, one in stored.days.items() if one.final}
            missing = [block for block in whole_blocks(final, size, self.layout) if block not in stored.blocks]
            if missing:
                self._make(spark, missing, stored, run)
                stored = self.found()

    def _make(self, spark: SparkSession, missing: list[Block], stored: Stored, run: CommitMetadata) -> None:
        """Put on disk the blocks `missing`, all of one size, from their days or the blocks of the size before."""
        size = missing[0].days
        part = max((smaller for smaller in SIZES if smaller < size), default=1)
        if part == 1:
            days = {day for block in missing for day in block.sources(self.layout)}
            wanted = {(day, stored.days[day].run_id) for day in days}
        else:
            small = [one for block, one in stored.blocks.items() if block.days == part]
            wanted = {(one.first, one.run_id) for one in small if holding(one.first, size) in missing}
        for kind in kinds_of(self.layout):
            rows = self.read(spark, stored, kind.table(part), wanted)
            if rows is not None:
                made = kind.joined(rows, missing, self.layout).withColumn(RUN_ID, F.lit(run.run_id))
                with signed(spark, run):
                    put(made, self.folder / kind.table(size), run)
        before = stored_blocks(self.folder)
        for block in missing:
            resting = rests_on(block, stored.days, self.layout)
            record = StoredBlock(first=block.first, days=size, run_id=run.run_id, rests_on=resting)
            self._write(BLOCKS, f"{size}-{block.first.isoformat()}", record)
        gone = {(block.first, before[block].run_id) for block in missing if block in before}
        for kind in kinds_of(self.layout):
            prune(spark, self.folder / kind.table(size), gone, run)

    def _versions(self) -> dict[str, int]:
        names = (EVENTS, *(kind.table(size) for kind in kinds_of(self.layout) for size in (1, *SIZES)))
        return {name: latest_version(self.folder / name) for name in names}

    def _write(self, kind: str, name: str, record: Section) -> None:
        write_text(self.folder / kind / f"{name}.json", record.model_dump_json(indent=2) + "\n")


def _records(folder: Path, kind: type[RecordT]) -> Iterator[RecordT]:
    paths = sorted(folder.glob("*.json"))
    with ThreadPoolExecutor(READ_AT_ONCE) as pool:
        contents = [*pool.map(lambda path: path.read_bytes(), paths)]
    for path, content in zip(paths, contents, strict=True):
        try:
            yield kind.model_validate_json(content)
        except ValidationError as error:
            raise HistoryError(
                f"{path} is damaged ({error.error_count()} errors); remove {folder.parent}: a run makes it again"
            ) from None
