"""Raw tables, read by their source mapping."""

from __future__ import annotations

from pathlib import Path

from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from camoe.contracts.errors import ConfigError, InputError
from camoe.contracts.layout import KEYS, PHYSICAL_IDS, TRAINING_PARTITIONS, label_column
from camoe.contracts.sources import KeyedHash, Sources, Table
from features.failures import explained, resolve
from features.window import Window

RAW = "_raw"
NO_DELTA_TABLE = ("PATH_NOT_FOUND", "DELTA_TABLE_NOT_FOUND", "DELTA_PATH_DOES_NOT_EXIST")
UNREADABLE = "check that it is no empty folder, that format in the sources is its own, and that no file is damaged"
RESERVED = (frozenset(PHYSICAL_IDS + TRAINING_PARTITIONS) | {"label_as_of", "local_ts"}) - frozenset(KEYS) - {"slot"}


def open_table(spark: SparkSession, folder: Path, name: str, table: Table) -> DataFrame:
    """The raw table with all its own columns.

    Raises:
        InputError: it is missing, damaged or without a row.
    """
    path = folder / table.path
    if not path.exists():
        raise InputError(f"{name}: {path} does not exist; correct input= or the path and format in the sources")
    try:
        with explained(f"{name}: cannot read {path} as {table.format}", UNREADABLE):
            frame = spark.read.format(table.format).options(**table.options).load(str(path))
            empty = frame.isEmpty()
    except InputError as error:
        cause = error.__cause__
        if isinstance(cause, AnalysisException) and cause.getCondition() in NO_DELTA_TABLE:
            raise InputError(
                f"{name}: {path} is no Delta table; correct input= or the path and format in the sources"
            ) from None
        raise
    if empty:
        raise InputError(f"{name}: {path} has no rows; nothing was written")
    return frame


def read_table(spark: SparkSession, folder: Path, name: str, table: Table, keyed: KeyedHash | None) -> DataFrame:
    """The mapped columns of a table. Raises `InputError`, also when the mapping names a column that is not there."""
    frame = open_table(spark, folder, name, table)
    return frame.select(*resolve(frame, table.columns, f"{name} at {folder / table.path}").values())


def read_impressions(spark: SparkSession, folder: Path, sources: Sources, window: Window) -> DataFrame:
    """The impression log: mapped columns, `label_<objective>` where the log carries it, the raw row as JSON in `_raw`.

    Raises:
        InputError: as `read_table` does.
        ConfigError: a mapped column has a name that the training table uses for something else.
    """
    table = sources.impressions
    taken = sorted(RESERVED & set(table.columns))
    if taken:
        raise ConfigError(f"impressions map '{taken[0]}', a name the training table uses itself; choose another")
    frame = open_table(spark, folder, "impressions", table)
    where = f"impressions at {folder / table.path}"
    labels = resolve(frame, table.labels, where)
    return frame.select(
        *resolve(frame, table.columns, where).values(),
        *[column.alias(label_column(objective)) for objective, column in labels.items()],
        _as_json(frame).alias(RAW),
    )


def _as_json(frame: DataFrame) -> Column:
    return F.to_json(F.struct("*"), {"ignoreNullFields": "false"})
