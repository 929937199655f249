"""The one commit of a run to a training table in an object store; see `features.tables.replace` for one on a disk.

Tasks write files under names of their own, and one entry of the log, created only if it is absent, makes them count:
Spark's own writer of Delta loses commits in a store. What it would check of each row is checked before it is written.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import reduce
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable, Schema
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import to_arrow_schema

from camoe.contracts.places.commits import CommittedTable
from camoe.contracts.places.entries import Part, entry_with, name_of
from camoe.contracts.places.store import open_place
from camoe.contracts.runs import RunError
from camoe.contracts.schema import RUN_ID, SLOTS_PROPERTY, TRAINING_PARTITIONS
from camoe.contracts.snapshot import is_delta_table
from camoe.contracts.storage import location_of
from features.delta.commit import Commit, CommitMetadata, commit_after, open_delta
from features.delta.remote import schema_of, written
from features.tables.locks import days_alone, making_alone
from features.tables.replace import ConcurrentRunError, DayReplacement, require_as_found
from features.tables.training import RETENTION, TrainingTable, in_columns_of, is_remade, lacks_slots


def replace_remote_days(rows: DataFrame, replacement: DayReplacement, run: CommitMetadata) -> Commit:
    """Put `rows` in the place of the days, in one commit; the table is made where there is none.

    A run commits once: a retry changes nothing and returns the commit that was made.

    Raises:
        ConcurrentRunError: another run replaced one of the days, or made the table with other settings, meanwhile.
        InputError: the table has other settings; a table in a store is not replaced.
        RunError: the wait for another run took too long.
        PlaceError: the store does not take the files or the commit.
    """
    target = replacement.target
    if is_delta_table(target.path):
        made = commit_after(target.path, replacement.version, run)
        if made is not None:
            return made

    def write() -> list[Part]:
        # What is there was noted before this, and is compared when the commit is made.
        if is_delta_table(target.path):
            require_as_found(replacement, run)
        return written(_checked(rows, target), table)

    with days_alone(replacement.runs, replacement.days):
        if is_delta_table(target.path):
            is_remade(target)
            _append_slots(target)
            if target.added:
                with making_alone(replacement.runs):
                    _append_features(rows, target)
            rows = in_columns_of(rows, target)
        table = _table(rows, replacement)
        try:
            table.replace({"date": replacement.days}, write, run.run_id, userMetadata=run.metadata())
        except RunError as error:
            raise ConcurrentRunError(f"{error}; nothing of run {run.run_id} is left") from None
    commit = commit_after(target.path, replacement.version, run)
    if commit is None:
        raise ConcurrentRunError(f"{target.path} has no commit of run {run.run_id}; run it again")
    return commit


def _table(rows: DataFrame, replacement: DayReplacement) -> CommittedTable:
    target = replacement.target
    properties = {**RETENTION, **target.properties}
    if is_delta_table(target.path):
        # What a run may differ in, it was asked about before.
        properties = {name: text for name, text in target.found().items() if name in properties}
    return table_of(target.path, rows, properties, replacement.rows_per_file)


def table_of(place: Path | str, rows: DataFrame, properties: Mapping[str, str], rows_per_file: int) -> CommittedTable:
    """Return the training table at `place`, to which `rows` are written."""
    # Delta on a disk has no column that must not be null, either: what must not is checked.
    columns = pa.schema([field.with_nullable(True) for field in to_arrow_schema(rows.schema)])
    return CommittedTable(location_of(place), columns, TRAINING_PARTITIONS, properties, rows_per_file, (RUN_ID,))


def _checked(rows: DataFrame, target: TrainingTable) -> DataFrame:
    """Return `rows`, whose writing fails where one breaks a constraint of the table."""
    first, *others = rows.columns
    value = F.col(first)
    return rows.select(reduce(_unless_broken, target.constraints.items(), value).alias(first), *others)


def _unless_broken(value: Column, constraint: tuple[str, str]) -> Column:
    name, condition = constraint
    broken = F.raise_error(f"a row breaks {name} ({condition}); nothing was written; this is a fault of the program")
    return F.when(F.coalesce(F.expr(condition), F.lit(False)), value).otherwise(broken)


def _append_slots(target: TrainingTable) -> None:
    """Append new slots to the table's metadata; runs that write at this moment have to start again."""
    if lacks_slots(target):
        delta = open_delta(target.path)
        _appended(target, delta, entry_with(delta, {SLOTS_PROPERTY: target.properties[SLOTS_PROPERTY]}))


def _append_features(rows: DataFrame, target: TrainingTable) -> None:
    """Append the columns of features that are added, and their definitions, to the table's metadata."""
    delta, columns = open_delta(target.path), schema_of(target.path)
    there, found = set(columns.names), target.found()
    for field in (field for field in rows.schema if field.name not in there):
        columns = columns.add(field.name, field.dataType, nullable=True)
    noted = {name: json.dumps(told) for name, told in target.noted(found).items()}
    if there != set(columns.names) or {**found, **noted} != found:
        _appended(target, delta, entry_with(delta, noted, Schema.from_json(columns.json())))


def _appended(target: TrainingTable, delta: DeltaTable, entry: bytes) -> None:
    if not open_place(location_of(target.path)).create(name_of(delta.version() + 1), entry):
        raise ConcurrentRunError(f"another run wrote to {target.path} while it was prepared; run this again")
