"""The one commit of a run to the training table: it replaces the run's days, all of them or none.

The first commit makes the table, by one run at a time. Files of a run that was killed before it are moved aside.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from uuid import uuid4

from pyspark.sql import DataFrame, DataFrameWriterV2, SparkSession
from pyspark.sql import functions as F

from camoe.contracts.days import day_list
from camoe.contracts.errors import CamoeError
from camoe.contracts.files import move
from camoe.contracts.runs import makers
from camoe.contracts.schema import SLOTS_PROPERTY, TRAINING_PARTITIONS
from camoe.contracts.snapshot import is_delta_table, logged
from camoe.contracts.storage import location_of
from features.delta.commit import CONFLICTS, Commit, CommitMetadata, commit_after, signed
from features.delta.remote import schema_of
from features.spark.failures import first_line
from features.spark.values import quoted
from features.tables.locks import days_alone, making_alone
from features.tables.training import (
    RETENTION,
    SAFE_FOR_FILE_READERS,
    SLOT_CONSTRAINT,
    TrainingTable,
    in_columns_of,
    is_remade,
    lacks_slots,
)

Options = Mapping[str, str | int]
Write = Callable[[DataFrame, TrainingTable, Collection[date], Options], None]


class ConcurrentRunError(CamoeError):
    """A change by another run of what this one was about to replace."""


@dataclass(frozen=True)
class DayReplacement:
    """The days to replace: `days` of `target`, of which `version` and `makers` (runs by day) were found before.

    `runs` is the folder of the run records.
    """

    target: TrainingTable
    days: tuple[date, ...]
    version: int
    makers: Mapping[date, frozenset[str]]
    rows_per_file: int
    runs: Path


def replace_days(rows: DataFrame, replacement: DayReplacement, run: CommitMetadata) -> Commit:
    """Put `rows` in the place of the days, in one commit; the table is made where there is none.

    A run commits once: a retry changes nothing and returns the commit that was made.

    Raises:
        ConcurrentRunError: another run replaced one of the days, or the whole table, since it was found.
        InputError: another run made the table meanwhile, with other settings, and it may not be replaced.
        RunError: the wait for another run took too long.
    """
    path = Path(replacement.target.path)
    made = commit_after(path, replacement.version, run) if is_delta_table(path) else None
    if made is not None:
        return made
    if not is_delta_table(path):
        with making_alone(replacement.runs):
            if not is_delta_table(path):
                set_aside(path, run.run_id)
                return _attempt(_create_table, rows, replacement, run)
    # It may be another run that has made it meanwhile; when its settings are these and its days others, both can hold.
    with days_alone(replacement.runs, None if replacement.target.replace else replacement.days):
        if is_remade(replacement.target):
            return _attempt(_replace_table, rows, replacement, run)
        return _replaced(rows, replacement, run)


def _replaced(rows: DataFrame, replacement: DayReplacement, run: CommitMetadata) -> Commit:
    require_as_found(replacement, run)
    if replacement.target.added:
        # Side by side, one run adds the columns, and those that come after it find them.
        with making_alone(replacement.runs):
            _append_features(rows, replacement.target)
    try:
        commit = _attempt(_replace_days, rows, replacement, run)
    except CONFLICTS as error:
        require_as_found(replacement, run)
        raise ConcurrentRunError(
            f"another job changed {replacement.target.path} while run {run.run_id} was writing ({first_line(error)}); "
            "nothing of this run is left: run it again"
        ) from error
    _require_found_was_replaced(replacement, run, commit.version)
    return commit


def _attempt(write: Write, rows: DataFrame, replacement: DayReplacement, run: CommitMetadata) -> Commit:
    options = {**run.transaction(), "maxRecordsPerFile": replacement.rows_per_file}
    with signed(rows.sparkSession, run):
        write(rows, replacement.target, replacement.days, options)
    commit = commit_after(replacement.target.path, replacement.version, run)
    if commit is None:
        raise ConcurrentRunError(f"{replacement.target.path} has no commit of run {run.run_id}; run it again")
    return commit


def _create_table(rows: DataFrame, target: TrainingTable, days: Collection[date], options: Options) -> None:
    _new_table(rows, target, options).create()


def _replace_table(rows: DataFrame, target: TrainingTable, days: Collection[date], options: Options) -> None:
    _new_table(rows, target, options).createOrReplace()


def _new_table(rows: DataFrame, target: TrainingTable, options: Options) -> DataFrameWriterV2:
    new = rows.writeTo(target.identifier).using("delta")
    for name, value in options.items():
        new = new.option(name, value)
    for name, text in {**SAFE_FOR_FILE_READERS, **RETENTION, **target.constraints, **target.properties}.items():
        new = new.tableProperty(name, text)
    return new.partitionedBy(*[F.col(name) for name in TRAINING_PARTITIONS])


def _replace_days(rows: DataFrame, target: TrainingTable, days: Collection[date], options: Options) -> None:
    if lacks_slots(target):
        _append_slots(rows.sparkSession, target)
    rows = in_columns_of(rows, target)
    condition = f"date IN ({', '.join(repr(day.isoformat()) for day in days)})"
    writer = rows.write.format("delta").mode("overwrite").options(**options)
    writer.option("replaceWhere", condition).save(location_of(target.path))


def _append_slots(spark: SparkSession, target: TrainingTable) -> None:
    """Append the new slots to the table's metadata; runs that write at this moment have to start again.

    No other change of it is made. The property comes last: until then the next run does all of it again, also one that
    does not know the new slots.
    """
    name = SLOT_CONSTRAINT.rpartition(".")[2]
    for change in (
        f"DROP CONSTRAINT IF EXISTS {name}",
        f"ADD CONSTRAINT {name} CHECK ({target.constraints[SLOT_CONSTRAINT]})",
        f"SET TBLPROPERTIES ('{SLOTS_PROPERTY}' = '{target.properties[SLOTS_PROPERTY]}')",
    ):
        spark.sql(f"ALTER TABLE {target.identifier} {change}")


def _append_features(rows: DataFrame, target: TrainingTable) -> None:
    """Append the columns of features that are added, and their definitions; runs that write have to start again.

    Days say for themselves which features they have, so it may be cut off anywhere.
    """
    there = {field.name for field in schema_of(target.path)}
    new = [f"{quoted(field.name)} {field.dataType.simpleString()}" for field in rows.schema if field.name not in there]
    if new:
        rows.sparkSession.sql(f"ALTER TABLE {target.identifier} ADD COLUMNS ({', '.join(new)})")
    found = target.found()
    noted = {name: json.dumps(told) for name, told in target.noted(found).items()}
    told = ", ".join(f"'{name}' = '{text}'" for name, text in noted.items() if found.get(name) != text)
    if told:
        rows.sparkSession.sql(f"ALTER TABLE {target.identifier} SET TBLPROPERTIES ({told})")


def require_as_found(replacement: DayReplacement, run: CommitMetadata) -> None:
    """Raise `ConcurrentRunError` when one of the days is of another run than was found."""
    changed = _changed(replacement)
    if changed:
        raise ConcurrentRunError(
            f"another run replaced the same days meanwhile: {day_list(changed)} of {replacement.target.path} now come "
            "from "
            f"{_named(changed)}; nothing of run {run.run_id} is left; run it again if its input is the newer one"
        )


def _require_found_was_replaced(replacement: DayReplacement, run: CommitMetadata, version: int) -> None:
    """Raise `ConcurrentRunError` when the commit has replaced other rows than those that were found.

    Hosts that share a folder which carries no locks can both find the days as they were; the log tells afterwards: the
    rows that the commit replaced are in the version before it, as Delta lets no commit to these days come in between.
    """
    changed = _changed(replacement, version - 1)
    if changed:
        raise ConcurrentRunError(
            f"run {run.run_id} is committed as version {version} of {replacement.target.path}, and has replaced what "
            f"another run had committed meanwhile: {day_list(changed)} came from {_named(changed)}; build them again "
            "from the newer input, and let one host at a time build a day"
        )


def _changed(replacement: DayReplacement, version: int | None = None) -> dict[date, frozenset[str]]:
    """Return the days that in `version` (default: the newest) come from other runs than were found, and these runs."""
    now = makers(logged(replacement.target.path, version, days=replacement.days))
    return {day: now.get(day, frozenset()) for day in replacement.days if now.get(day) != replacement.makers.get(day)}


def _named(changed: Mapping[date, frozenset[str]]) -> str:
    return ", ".join(sorted({name for names in changed.values() for name in names})) or "no run"


def set_aside(table: Path, run_id: str) -> None:
    """Move the files at `table`, which no version names, out of the way; `jobs/maintain.py orphans` lists them.

    Delta makes no table in a folder that is not empty. Nothing is removed.
    """
    if not table.is_dir() or not any(table.iterdir()):
        return
    # A name of its own: an earlier attempt of the run may have been killed in the same place.
    place = table.with_name(f".uncommitted-{run_id}-{uuid4().hex[:8]}")
    move(table, place)
    print(f"build_features: {table} had files and no version; they are in {place} now", flush=True)
