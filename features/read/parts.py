"""Raw tables as parts: files that agree in their columns are read together, and each column by its name.

Spark reads CSV by position and gives nulls for a parquet file that lacks a column. So the files' own headers and
footers are read first; the mapping is then applied to each part, and a column that a part lacks is an error.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from pyspark.sql import Column, DataFrame, DataFrameReader, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StringType, StructField, StructType

from camoe.contracts.errors import InputError
from camoe.contracts.sources import Log, Table
from features.read.columns import UNREADABLE, FileGroup, by_columns, nanoseconds
from features.read.copies import bring_log, bring_version
from features.read.delta_days import day_of, on_days
from features.read.files import delta_version, require_delta
from features.read.json_types import as_written
from features.read.listing import ALL_FILES, FolderColumns, folder_values, listed, path_of, without_file
from features.read.objects import address_of
from features.spark.failures import as_input_errors
from features.spark.values import quoted

# Column beside the raw ones of a text table: the row's text where it does not parse, else null.
RECORD = "__record"
JSON_STRING = r'"(?:[^"\\]|\\.)*"'
RECORDS_JOINED = r"\}\s*\{"


@dataclass(frozen=True)
class Part:
    """Rows of files that agree in their columns; `where` names the files in errors, `there` their columns.

    `rows` is their number where the files' footers give it, else None. `day` is the day that a table's `day_column`
    gives a row, null without one.
    """

    frame: DataFrame
    where: str
    there: str = ""
    rows: int | None = None
    day: Column = field(default_factory=lambda: F.lit(None).cast("date"))

    @property
    def raw(self) -> DataFrame:
        """Raw columns alone."""
        return self.frame.drop(RECORD)

    @property
    def text(self) -> bool:
        """Flag of text files, in which Spark has replaced bytes that are no text by U+FFFD."""
        return RECORD in self.frame.columns

    @property
    def record(self) -> Column:
        """Text of the row where it does not parse, else null."""
        return F.col(RECORD) if self.text else F.lit(None).cast("string")

    @property
    def file(self) -> Column:
        """Spark's URI of the row's file."""
        return _file(self.frame)


def read_parts(
    spark: SparkSession, name: str, table: Table, paths: Sequence[Path], days: Collection[date] = ()
) -> list[Part]:
    """Return the table's parts; `days` are those that are read where it has a `day_column`.

    Raises:
        InputError: one of `paths` has no file, Spark passes over a file, or a file is damaged, in another format, or
            has two columns of one name.
    """
    place = _some(paths)
    with as_input_errors(f"{name}: cannot read {place} as {table.format}", UNREADABLE):
        if table.format == "delta":
            return [_delta(spark, name, table, paths[0], days)]
        files = listed(spark, name, paths, table)
        # A day without a file beside days with some would read as one on which nothing happened.
        bare = without_file(paths, files)
        if bare:
            raise InputError(f"{name}: cannot read {_some(bare)} as {table.format}: there is no file; {UNREADABLE}")
        groups = by_columns(files, name, table)
        # A file of no bytes has no rows to lose.
        filled = groups if table.format == "json" else [group for group in groups if group.columns] or groups
        read = _json if table.format == "json" else _part_of
        if len(filled) == 1:
            return [read(spark, table, filled[0], paths, f"{name} at {place}")]
        return [read(spark, table, group, group.files, f"{name} at {_some(group.files)}") for group in filled]


def _part_of(spark: SparkSession, table: Table, group: FileGroup, paths: Sequence[Path], where: str) -> Part:
    reader = _reader(spark, table)
    if table.format == "csv":
        schema = StructType([StructField(name, StringType()) for name in (*group.columns, RECORD)])
        reader = reader.schema(schema).option("columnNameOfCorruptRecord", RECORD)
        # With pruning Spark counts a row's fields only where a query reads all of them.
        reader = reader.option("columnPruning", "false")
    # The first line of a CSV that lacks its header is a row of data, which no message may quote.
    there = f"the {len(group.columns)} of the first line" if table.options.get("header") == "true" else ""
    frame = reader.load([str(path) for path in paths])
    if table.format == "parquet":
        frame = _with_timestamps(frame, nanoseconds(group.columns))
    return Part(_with_folders(frame, group.folders), where, there, group.rows)


def _json(spark: SparkSession, table: Table, group: FileGroup, paths: Sequence[Path], where: str) -> Part:
    places = [str(path) for path in paths]
    _require_one_record_a_line(spark, table, places, where)
    reader = _reader(spark, table).option("columnNameOfCorruptRecord", RECORD)
    # Spark adds the column of broken rows only when it has seen one.
    inferred = StructType([field for field in reader.load(places).schema.fields if field.name != RECORD])
    fields = as_written(reader, places, inferred).fields
    frame = reader.schema(StructType([*fields, StructField(RECORD, StringType())])).load(places)
    return Part(_with_folders(frame, group.folders), where)


def _reader(spark: SparkSession, table: Table) -> DataFrameReader:
    return spark.read.format(table.format).options(**{**table.options, **ALL_FILES})


def _file(frame: DataFrame) -> Column:
    # Not `_metadata` by its name, which a column of the file may have.
    return frame.metadataColumn("_metadata").getField("file_path")


def _with_timestamps(frame: DataFrame, columns: Mapping[str, bool]) -> DataFrame:
    """Return the columns that hold nanoseconds as timestamps: their microseconds, the rest cut off.

    Spark has them as whole numbers, by the setting spark.sql.legacy.parquet.nanosAsLong.
    """
    if not columns:
        return frame
    micros = {name: F.expr("({0} - pmod({0}, 1000)) div 1000".format(quoted(name))) for name in columns}
    kinds = {name: "timestamp" if utc else "timestamp_ntz" for name, utc in columns.items()}
    return frame.withColumns({name: F.timestamp_micros(micros[name]).cast(kind) for name, kind in kinds.items()})


def _with_folders(frame: DataFrame, folders: FolderColumns) -> DataFrame:
    """Add the columns that the files' folders give; as Spark has it, they take the place of the file's own."""
    return frame.withColumns(folder_values(_file(frame), folders)) if folders else frame


def _require_one_record_a_line(spark: SparkSession, table: Table, places: list[str], where: str) -> None:
    # Spark reads the first record of a line and silently skips the others.
    if table.options.get("multiLine", "false").lower() == "true":
        return
    lines = spark.read.format("text").options(**{**table.options, **ALL_FILES}).load(places)
    bare = F.regexp_replace("value", JSON_STRING, "")
    both = lines.where(F.col("value").rlike(RECORDS_JOINED) & bare.rlike(RECORDS_JOINED))
    found = both.select(_file(lines).alias("file")).first()
    if found is not None:
        raise InputError(
            f"{where}: {path_of(found['file'])} has a line of more than one record; put a line break between them"
        )


def _delta(spark: SparkSession, name: str, table: Table, path: Path, days: Collection[date]) -> Part:
    bring_log(spark, name, path)
    require_delta(path, name)
    of_days = (table.day_column, days) if isinstance(table, Log) and table.day_column is not None else None
    if address_of(path) is not None:
        version = str(delta_version(spark, path, table))
        # Of what is no version, or one that is not there, Spark tells as it does on a disk.
        if version.isdigit():
            bring_version(spark, name, path, int(version), of_days)
    rows, where = spark.read.format("delta").options(**table.options).load(str(path)), f"{name} at {path}"
    return Part(rows, where) if of_days is None else Part(on_days(rows, *of_days), where, day=day_of(of_days[0]))


def _some(paths: Sequence[Path]) -> str:
    return f"{paths[0]}" + (f" and {len(paths) - 1} more" if len(paths) > 1 else "")
