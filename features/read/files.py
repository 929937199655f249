"""Files of a raw table: the folders that a run reads, the files in them, and a version of these."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TypeVar, cast

from delta.tables import DeltaTable as SparkDeltaTable
from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as F

from camoe.contracts.errors import InputError
from camoe.contracts.hashing import short_hash
from camoe.contracts.layout import misread_character
from camoe.contracts.snapshot import is_delta_table
from camoe.contracts.sources import DAY, Impressions, Log, Outcomes, Sources, Table
from camoe.contracts.storage import delta_table
from features.read.copies import bring_log
from features.read.delta_days import require_days
from features.read.listing import as_listed, decoded, listed
from features.read.objects import address_of, exists, location_of
from features.read.window import DayWindow

VERSION = "delta version "
# Options by which Spark reads another version than the newest.
OF_A_VERSION = frozenset(("versionasof", "timestampasof"))
TableT = TypeVar("TableT", bound=Table)


def impression_paths(spark: SparkSession, folder: Path, sources: Sources, window: DayWindow) -> list[Path]:
    """Return the impression log's path, or its folders of the run's days and of the days that these look back on.

    Some of the latter may be missing, or have no file: a log has a first day. Raises `InputError` when one of the run's
    days is missing.
    """
    log = sources.impressions
    before = impression_days(log, window)[len(window.days) :] if DAY in log.path else ()
    there = [day for day in before if _has_file(spark, "impressions", folder / log.path_on(day), log)]
    return _paths(folder, "impressions", log, [*window.days, *there])


def impression_days(log: Impressions, window: DayWindow) -> tuple[date, ...]:
    """Return the run's days, then those that these look back on, of a log by day."""
    return (*window.days, *window.before(log.reach_days or 0))


def folder_day(folder: Path, table: Table, file: Column) -> Column:
    """Return the day in the path of a `file` (Spark's URI of it), null where the table is not kept by day."""
    if DAY not in table.path:
        return F.lit(None).cast("date")
    before = str(as_listed(folder / table.path)).partition(DAY)[0]
    return F.regexp_extract(decoded(file), rf"{re.escape(before)}(\d{{4}}-\d\d-\d\d)", 1).try_cast("date")


def outcome_paths(spark: SparkSession, folder: Path, sources: Sources, window: DayWindow) -> list[Path]:
    """Return the outcome log's path, or its folders of the run's days and the days on which their outcomes may lie.

    By event that is as far as the longest window reaches; by arrival as far as the as-of time does, or as labels take
    to be mature where all objectives declare their `report_s`. A day that begins after the as-of time may be missing,
    or have no file. Raises `InputError` when another is missing.
    """
    log = sources.outcomes
    if log is None:
        return []
    due = _due(sources, log, window)
    later = [day for day in outcome_days(sources, log, window) if DAY in log.path and day not in due]
    early = [day for day in later if _has_file(spark, "outcomes", folder / log.path_on(day), log)]
    return _paths(folder, "outcomes", log, [*due, *early])


def required_paths(folder: Path, sources: Sources, name: str, table: Table, window: DayWindow) -> list[Path]:
    """Return the paths without which the run stops of the `table` that the sources name so; Spark is not asked.

    Raises `InputError` when one is missing.
    """
    if table is sources.impressions:
        return _paths(folder, name, table, window.days)
    return _paths(folder, name, table, _due(sources, table, window) if isinstance(table, Outcomes) else ())


def _due(sources: Sources, log: Outcomes, window: DayWindow) -> list[date]:
    """Return the days of the outcome log that must be there."""
    return [day for day in outcome_days(sources, log, window) if window.begins(day) <= window.as_of]


def outcome_days(sources: Sources, log: Outcomes, window: DayWindow) -> tuple[date, ...]:
    """Return the days of an outcome log by day on which outcomes of the run's impressions may lie."""
    if log.day == "event":
        return window.reached(sources.longest_window_s)
    if all(objective.report_s for objective in sources.objectives.values()):
        return window.reached(sources.longest_maturity_s)
    return window.until_as_of()


def table_path(folder: Path, name: str, table: Table) -> Path:
    """Return the path of a table that is not kept by day. Raises `InputError` when it is missing."""
    return _paths(folder, name, table, ())[0]


def input_versions(
    spark: SparkSession, folder: Path, sources: Sources, window: DayWindow, *, logs: bool = True
) -> dict[str, str]:
    """Return the present version of each table: `delta version N`, or a hash of its files; of entities without `logs`.

    The hash is over the files' names, sizes and times of change. Versions are taken before a run reads its tables, so
    that a change in between always shows as a difference.

    Raises:
        InputError: a table, or a day of one, is missing, or what should be a Delta table is not one.
    """
    places: dict[str, tuple[Table, list[Path]]] = {}
    if logs:
        places["impressions"] = (sources.impressions, impression_paths(spark, folder, sources, window))
    if logs and sources.outcomes is not None:
        places["outcomes"] = (sources.outcomes, outcome_paths(spark, folder, sources, window))
    for name, entity in sources.entities.items():
        places[name] = (entity, [table_path(folder, name, entity)])
    return {name: _version(spark, name, table, paths) for name, (table, paths) in places.items()}


def pinned(sources: Sources, versions: Mapping[str, str]) -> Sources:
    """Return the sources with each Delta table read at its version among those of `input_versions`."""
    logs = {"impressions": sources.impressions, "outcomes": sources.outcomes}
    tables = {name: table for name, table in logs.items() if table is not None and name in versions}
    at_versions = {name: _at_version(table, versions[name]) for name, table in tables.items()}
    entities = {name: _at_version(entity, versions[name]) for name, entity in sources.entities.items()}
    return sources.model_copy(update={**at_versions, "entities": entities})


def _at_version(table: TableT, version: str) -> TableT:
    number = version.removeprefix(VERSION)
    if table.format != "delta" or not number.isdigit():
        return table
    kept = {name: value for name, value in table.options.items() if name.lower() not in OF_A_VERSION}
    return table.model_copy(update={"options": {**kept, "versionAsOf": number}})


def require_delta(path: Path, what: str) -> None:
    """Raise `InputError` unless a Delta table lies at `path`, of which Spark and delta-rs read each character alike."""
    misread = misread_character(path)
    if misread is not None:
        raise InputError(f"{what}: {path} has the character {misread}, which breaks delta-rs; rename the folder")
    if not is_delta_table(location_of(path)):
        raise InputError(f"{what}: {path} is no Delta table; correct input= or the path and format in the sources")


def _version(spark: SparkSession, name: str, table: Table, paths: Sequence[Path]) -> str:
    if table.format == "delta":
        bring_log(spark, name, paths[0])
        require_delta(paths[0], name)
        return f"{VERSION}{delta_version(spark, paths[0], table)}"
    stats = [(address_of(path) or str(path), path.stat()) for path in listed(spark, name, paths, table)]
    content = json.dumps([[file, stat.st_size, stat.st_mtime_ns] for file, stat in stats])
    return short_hash(content)


def delta_version(spark: SparkSession, path: Path, table: Table) -> int | str | None:
    """Return the version that the table's options have Spark read, or the newest; None where Spark will find none."""
    options = {name.lower(): value for name, value in table.options.items()}
    if "versionasof" in options:
        return options["versionasof"]
    if "timestampasof" in options:
        moment = F.lit(options["timestampasof"]).cast("timestamp")
        history = SparkDeltaTable.forPath(spark, str(path)).history()
        found = history.where(F.col("timestamp") <= moment).agg(F.max("version").alias("version")).collect()
        return cast("int | None", found[0]["version"])
    return int(delta_table(str(path.resolve())).version())


def _has_file(spark: SparkSession, name: str, path: Path, table: Table) -> bool:
    return exists(path) and bool(listed(spark, name, [path], table))


def _paths(folder: Path, name: str, table: Table, days: Collection[date]) -> list[Path]:
    if DAY not in table.path:
        path = _existing(folder / table.path, name)
        if isinstance(table, Log) and table.day_column is not None:
            require_delta(path, name)
            require_days(path, name, table, days)
        return [path]
    return [_existing(folder / table.path_on(day), f"{name} of {day}") for day in days]


def _existing(path: Path, what: str) -> Path:
    if not exists(path):
        raise InputError(f"{what}: {path} does not exist; correct input= or the path and format in the sources")
    return path
