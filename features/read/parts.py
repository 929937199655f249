"""Raw tables as parts: files that agree in their columns are read together, and each column by its name.

Spark reads CSV by position and gives nulls for a parquet file that lacks a column. So the files' own headers and
footers are read first; the mapping is then applied to each part, and a column that a part lacks is an error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StringType, StructField, StructType

from camoe.contracts.errors import InputError
from camoe.contracts.sources import Table
from features.read.columns import UNREADABLE, Columns, by_columns
from features.read.files import listed, require_delta, without_file
from features.spark.failures import as_input_errors

# Column beside the raw ones of a text table: the row's text where it does not parse, else null.
RECORD = "__record"
JSON_STRING = r'"(?:[^"\\]|\\.)*"'
RECORDS_JOINED = r"\}\s*\{"


@dataclass(frozen=True)
class Part:
    """Rows of files that agree in their columns; `where` names the files in errors, `there` their columns.

    `rows` is their number where the files' footers give it, else None.
    """

    frame: DataFrame
    where: str
    there: str = ""
    rows: int | None = None

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
        """File of the row."""
        return F.col("_metadata.file_path")


def read_parts(spark: SparkSession, name: str, table: Table, paths: Sequence[Path]) -> list[Part]:
    """Return the table's parts.

    Raises:
        InputError: one of `paths` has no file, or a file is damaged, in another format, or has two columns of one name.
    """
    place = _some(paths)
    with as_input_errors(f"{name}: cannot read {place} as {table.format}", UNREADABLE):
        if table.format == "delta":
            return [_delta(spark, name, table, paths[0])]
        files = listed(spark, paths, table)
        # A day without a file beside days with some would read as one on which nothing happened.
        bare = without_file(paths, files)
        if bare:
            raise InputError(f"{name}: cannot read {_some(bare)} as {table.format}: there is no file; {UNREADABLE}")
        if table.format == "json":
            return [_json(spark, table, paths, f"{name} at {place}")]
        groups = by_columns(files, name, table)
        # A file of no bytes has no rows to lose.
        filled = {columns: group for columns, group in groups.items() if columns} or groups
        if len(filled) == 1:
            columns, group = next(iter(filled.items()))
            return [_part_of(spark, table, columns, paths, f"{name} at {place}", rows=group.rows)]
        options = _rooted(table.options, paths)
        split = table.model_copy(update={"options": options})
        return [
            _part_of(spark, split, columns, group.files, f"{name} at {_some(group.files)}", rows=group.rows)
            for columns, group in filled.items()
        ]


def _part_of(
    spark: SparkSession, table: Table, columns: Columns, paths: Sequence[Path], where: str, *, rows: int | None
) -> Part:
    reader = spark.read.format(table.format).options(**table.options)
    if table.format == "csv":
        schema = StructType([StructField(name, StringType()) for name in (*columns, RECORD)])
        reader = reader.schema(schema).option("columnNameOfCorruptRecord", RECORD)
        # With pruning Spark counts a row's fields only where a query reads all of them.
        reader = reader.option("columnPruning", "false")
    # The first line of a CSV that lacks its header is a row of data, which no message may quote.
    there = f"the {len(columns)} of the first line" if table.options.get("header") == "true" else ""
    return Part(reader.load([str(path) for path in paths]), where, there, rows)


def _json(spark: SparkSession, table: Table, paths: Sequence[Path], where: str) -> Part:
    places = [str(path) for path in paths]
    _require_one_record_a_line(spark, table, places, where)
    reader = spark.read.format("json").options(**table.options).option("columnNameOfCorruptRecord", RECORD)
    # Spark adds the column of broken rows only when it has seen one.
    fields = [field for field in reader.load(places).schema.fields if field.name != RECORD]
    schema = StructType([*fields, StructField(RECORD, StringType())])
    return Part(reader.schema(schema).load(places), where)


def _require_one_record_a_line(spark: SparkSession, table: Table, places: list[str], where: str) -> None:
    # Spark reads the first record of a line and silently skips the others.
    if table.options.get("multiLine", "false").lower() == "true":
        return
    lines = spark.read.format("text").options(**table.options).load(places)
    bare = F.regexp_replace("value", JSON_STRING, "")
    both = lines.where(F.col("value").rlike(RECORDS_JOINED) & bare.rlike(RECORDS_JOINED))
    found = both.select(F.col("_metadata.file_path").alias("file")).first()
    if found is not None:
        raise InputError(f"{where}: {found['file']} has a line of more than one record; put a line break between them")


def _delta(spark: SparkSession, name: str, table: Table, path: Path) -> Part:
    require_delta(path, name)
    frame = spark.read.format("delta").options(**table.options).load(str(path))
    return Part(frame, f"{name} at {path}")


def _rooted(options: Mapping[str, str], paths: Sequence[Path]) -> dict[str, str]:
    """Return options that keep the columns Spark takes from `key=value` folders when files are named one by one."""
    return {**options, "basePath": str(paths[0])} if len(paths) == 1 and paths[0].is_dir() else dict(options)


def _some(paths: Sequence[Path]) -> str:
    return f"{paths[0]}" + (f" and {len(paths) - 1} more" if len(paths) > 1 else "")
