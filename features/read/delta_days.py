"""The days of a Delta log that is partitioned by day: which are there, and the rows of some of them."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from pathlib import Path

import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from camoe.contracts.days import day_list
from camoe.contracts.errors import InputError
from camoe.contracts.shown.suggestions import suggestion
from camoe.contracts.sources import Log
from camoe.contracts.storage import delta_table
from features.read.objects import asked, location_of
from features.spark.values import quoted

VERSION_OPTION = "versionasof"


def require_days(path: Path, name: str, table: Log, days: Collection[date]) -> None:
    """Raise `InputError` unless the table at `path` has rows on each of `days`, by its log alone.

    Also where `day_column` is no partition column, or a row's is no day: no run would ever read it.
    """
    column = str(table.day_column)
    options = {option.lower(): value for option, value in table.options.items()}
    version = int(options[VERSION_OPTION]) if VERSION_OPTION in options else None
    there = asked(path, lambda: delta_table(location_of(path), version))
    partitions = list(there.metadata().partition_columns)
    if column not in partitions:
        choose = suggestion(column, partitions)
        raise InputError(f"{name}: day_column '{column}' is no partition column of {path}; {choose}")
    found = set(pa.table(there.get_add_actions(flatten=True))[f"partition.{column}"].cast(pa.string()).to_pylist())
    known = {day_in(text) for text in found}
    if None in known:
        raise InputError(
            f"{name}: {path} has rows whose {column} is no day (2026-03-02), which no run would read; give them "
            "one, or leave day_column out"
        )
    missing = sorted(set(days) - known)
    if missing:
        raise InputError(
            f"{name} of {day_list(missing)}: {path} has no rows with such a {column}; correct the days, input= or the "
            "path in the sources"
        )


def day_of(column: str) -> Column:
    """Return the day that a raw row has in the `column`."""
    return F.col(quoted(column)).try_cast("date")


def on_days(rows: DataFrame, column: str, days: Collection[date]) -> DataFrame:
    """Return the raw rows that have one of `days` in the partition `column`; files of others are not read."""
    return rows.where(day_of(column).isin(list(days)))


def day_in(text: str | None) -> date | None:
    """Return the day that a partition's value is; None where it is none."""
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        return None
