"""Raw tables, read by their source mapping; what cannot be read right is named, never skipped."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial, reduce
from pathlib import Path

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from camoe.contracts.errors import ConfigError, InputError
from camoe.contracts.schema import label_column, reserved_names
from camoe.contracts.sources import Entity, KeyedHash, Outcomes, Sources
from features.read.columns import UNREADABLE
from features.read.damage import DAMAGE, damage, refused
from features.read.files import (
    folder_day,
    impression_days,
    impression_paths,
    outcome_days,
    outcome_paths,
    table_path,
)
from features.read.hash_key import read_key
from features.read.keyed_hash import failing_as_null, hasher, require_hidden
from features.read.listing import named_file
from features.read.parts import Part, read_parts
from features.read.weights import WEIGHT, one_row_each
from features.read.window import DayWindow
from features.spark.expressions import columns_read, resolve
from features.spark.failures import as_input_errors
from features.spark.keys import as_text
from features.spark.values import quoted

RAW = "_raw"
# XXH64 of `_raw`, which goes on with each row; the row itself only with those that are refused.
RAW_HASH = "_raw_hash"
# The second begins as no mapped column does here, whatever its name.
FILE, PART_DAY = "__file", "_part_day"
FOLDER_DAY = "_folder_day"


def read_table(
    spark: SparkSession,
    folder: Path,
    name: str,
    table: Entity,
    keyed: KeyedHash | None,
    *,
    since: datetime | None = None,
) -> DataFrame:
    """Read the mapped columns of a table that is joined; columns that `keyed` names are hashed.

    A query that reads the key of a damaged row fails: a row of a joined table never vanishes. Rows that became known
    before `since` may be left out, so that files which hold no others are not read.

    Raises:
        InputError: it is missing, damaged or without a row, or the mapping names a column that is not there.
        ConfigError: a column that is not hashed would carry what a hashed one hides; the key is missing or short.
    """
    parts = read_parts(spark, name, table, [table_path(folder, name, table)])
    recent = partial(_known_since, table.columns, since)
    return _whole(parts, name, table.columns, table.key, keyed, wanted=recent)


def read_outcome_log(
    spark: SparkSession, folder: Path, sources: Sources, log: Outcomes, window: DayWindow
) -> DataFrame:
    """Read the mapped columns of the outcome log on the days that matter to the run, and `_folder_day` as impressions.

    Raises:
        InputError, ConfigError: as `read_table` does.
    """
    days = outcome_days(sources, log, window)
    parts = read_parts(spark, "outcomes", log, outcome_paths(spark, folder, sources, window), days)
    day = F.coalesce(PART_DAY, folder_day(folder, log, F.col(FILE))).alias(FOLDER_DAY)
    return _whole(parts, "outcomes", log.columns, "impression_id", sources.keyed_hash, day)


def read_impressions(spark: SparkSession, folder: Path, sources: Sources, window: DayWindow) -> DataFrame:
    """Read the impression log: mapped columns, each `label_<objective>` in it, `_raw`, `_folder_day`, `_damage`.

    There is a row for each impression that a row stands for; in a log with a weight it has that, too, as `_weight`.

    `_raw`: the raw row as JSON; where columns are hashed, only the raw columns that the others read. `_folder_day`: the
    day in the path of the row's file, or in its `day_column`, null where there is none. `_damage`: why the row cannot
    be read right, or null; all mapped columns of such a row are null, because values may stand in the wrong columns.

    Raises:
        InputError, ConfigError: as `read_table` does.
        ConfigError: a mapped column has a name that the training table uses for something else.
    """
    log = sources.impressions
    taken = [name for name in log.columns if name.lower() in reserved_names([*sources.objectives, *log.labels])]
    if taken:
        raise ConfigError(f"impressions map '{taken[0]}', a name the training table uses itself; choose another")
    labels = {label_column(objective): sql for objective, sql in log.labels.items()}
    expressions = {**log.columns, **labels, **({} if log.weight is None else {WEIGHT: log.weight})}
    days = impression_days(log, window)
    parts = read_parts(spark, "impressions", log, impression_paths(spark, folder, sources, window), days)
    sound = F.col(DAMAGE).isNull()
    values = [F.when(sound, F.col(f"__{name}")).alias(name) for name in expressions]
    day = F.coalesce(PART_DAY, folder_day(folder, log, F.col(FILE))).alias(FOLDER_DAY)
    frames = [_mapped(part, expressions, sources.keyed_hash).select(*values, RAW, day, DAMAGE) for part in parts]
    return one_row_each(_one(frames, parts, "impressions"), log)


def _all(part: Part) -> Part:
    return part


def _known_since(columns: Mapping[str, str], since: datetime | None, part: Part) -> Part:
    """Leave out rows of parquet and Delta that became known before `since`; the others are read as text in any case."""
    times = [F.expr(columns[name]).try_cast("timestamp") for name in ("ts", "available_at") if name in columns]
    if since is None or part.text or not times:
        return part
    # Over the raw columns alone, so that the statistics of files tell which of them to open. A row without one of its
    # times is never joined, and counted.
    wanted = reduce(Column.__or__, [moment.isNull() | (moment >= F.lit(since)) for moment in times])
    return replace(part, frame=part.frame.where(wanted))


def _whole(
    parts: Sequence[Part],
    name: str,
    columns: Mapping[str, str],
    key: str,
    keyed: KeyedHash | None,
    *more: Column,
    wanted: Callable[[Part], Part] = _all,
) -> DataFrame:
    sound = F.col(DAMAGE).isNull()
    values = {column: F.when(sound, F.col(f"__{column}")) for column in columns}
    # In the key and not in a filter, which Spark may put after others that drop the row first.
    values[key] = values[key].otherwise(refused(name, F.col(FILE)))
    named = [*(value.alias(column) for column, value in values.items()), *more]
    return _one([_mapped(part, columns, keyed, wanted).select(*named) for part in parts], parts, name)


def _mapped(
    part: Part, expressions: Mapping[str, str], keyed: KeyedHash | None, wanted: Callable[[Part], Part] = _all
) -> DataFrame:
    """Select `_damage`, `_raw`, `__file`, `_part_day` and each mapped column's `__<name>`, of the rows `wanted`.

    Columns that `keyed` names are hashed.
    """
    if not part.raw.columns and part.frame.isEmpty():
        raise InputError(f"{part.where} has no rows; nothing was written")
    resolve(part.raw, expressions, part.where, there=part.there)
    hashed = [name for name in expressions if keyed is not None and name in keyed.columns]
    plain = {name: sql for name, sql in expressions.items() if name not in hashed}
    require_hidden(part.raw, {name: expressions[name] for name in hashed}, plain)
    part = wanted(part)
    told = [
        damage(part, columns_read(part.raw, expressions)).alias(DAMAGE),
        _as_json(part, columns_read(part.raw, plain) if hashed else part.raw.columns, whole=not hashed).alias(RAW),
        part.file.alias(FILE),
        part.day.alias(PART_DAY),
    ]
    # Each expression sees the raw columns only, also one that reads all of them by a star.
    with failing_as_null(part.frame.sparkSession):
        rows = part.frame.select("*", *[F.expr(expressions[name]).alias(f"__{name}") for name in hashed])
    kinds = {f"__{name}": rows.schema[f"__{name}"].dataType for name in hashed}
    rows = rows.select(*kinds, *[F.expr(sql).alias(f"__{name}") for name, sql in plain.items()], *told)
    if keyed is None or not hashed:
        return rows
    hash_of = hasher(read_key(keyed))
    return rows.withColumns({name: hash_of(as_text(F.col(name), kind)) for name, kind in kinds.items()})


def _one(frames: Sequence[DataFrame], parts: Sequence[Part], name: str) -> DataFrame:
    first = dict(frames[0].dtypes)
    for frame, part in zip(frames, parts, strict=True):
        for column, kind in frame.dtypes:
            if kind != first[column]:
                raise InputError(
                    f"{part.where}: {column} is {kind}, but {first[column]} in {parts[0].where}; cast it in the "
                    "mapping or write the files with one type"
                )
    rows = reduce(DataFrame.unionByName, frames)
    if any(part.rows for part in parts):
        return rows
    with as_input_errors(f"{name}: cannot read {parts[0].where}", UNREADABLE):
        empty = all(part.frame.isEmpty() for part in parts)
    if empty:
        raise InputError(f"{parts[0].where} has no rows; nothing was written")
    return rows


def _as_json(part: Part, columns: Collection[str], *, whole: bool) -> Column:
    """Return the row's `columns` as JSON.

    Of a row that does not parse, return its file, and its text where it may be kept `whole`.
    """
    # To the microsecond; Spark would leave out all but milliseconds.
    moment = "yyyy-MM-dd'T'HH:mm:ss.SSSSSS"
    keep = {"ignoreNullFields": "false", "timestampFormat": f"{moment}XXX", "timestampNTZFormat": moment}
    row = [F.col(quoted(column)) for column in part.raw.columns if column in columns]
    text = [part.record.alias("_record")] if whole else []
    broken = F.to_json(F.struct(named_file(part.file).alias("_file"), *text), keep)
    return F.when(part.record.isNull(), F.to_json(F.struct(*row), keep) if row else F.lit("{}")).otherwise(broken)
