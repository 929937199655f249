"""Columns of a file, taken from the file itself: a CSV's first line, a parquet file's footer."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from camoe.contracts.errors import InputError, error_text
from camoe.contracts.sources import Table
from features.read.compression import UnfitError, require_readable_text
from features.read.listing import FolderColumns
from features.read.objects import asked, opened

UNREADABLE = "check that it is no empty folder, that format in the sources is its own, and that no file is damaged"
THREADS = 16
# What pyarrow calls the compression of a text file, by the ending of its name.
COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2"}
NANOSECONDS_UTC = "nanoseconds (UTC)"
NANOSECONDS_LOCAL = "nanoseconds (local)"

# The columns by which files are divided into parts; empty for a file without any column.
Columns = tuple[str, ...]


@dataclass
class FileGroup:
    """Files that agree in their columns and in those that their folders give.

    `rows` is their number, None where they must be read to be counted.
    """

    columns: Columns
    folders: FolderColumns
    files: list[Path]
    rows: int | None


def by_columns(files: Mapping[Path, FolderColumns], name: str, table: Table) -> list[FileGroup]:
    """Group files by their columns: the names of a CSV's, the names and types of a parquet file's, none of a JSON file.

    Raises:
        InputError: a file cannot be read.
        PlaceError: an object store does not give one.
    """

    def look(file: Path) -> tuple[Columns, int | None]:
        try:
            return asked(file, lambda: _columns(file, table))
        except UnfitError as error:
            raise InputError(f"{name}: {file} {error}") from None
        except (OSError, EOFError, ValueError, csv.Error) as error:
            said = error_text(error).rstrip(".")
            raise InputError(f"{name}: cannot read {file} as {table.format}: {said}; {UNREADABLE}") from None

    groups: dict[tuple[Columns, FolderColumns], FileGroup] = {}
    with ThreadPoolExecutor(THREADS) as pool:
        for (file, folders), (columns, rows) in zip(files.items(), pool.map(look, files), strict=True):
            group = groups.setdefault((columns, folders), FileGroup(columns, folders, [], None if rows is None else 0))
            group.files.append(file)
            group.rows = None if rows is None or group.rows is None else group.rows + rows
    return list(groups.values())


def _columns(file: Path, table: Table) -> tuple[Columns, int | None]:
    if table.format == "parquet":
        return footer(file)
    require_readable_text(file)
    return () if table.format == "json" else header(file, table.options), None


def footer(file: Path) -> tuple[Columns, int]:
    """Return `name: type` of each column of a parquet file, and its number of rows.

    Raises:
        UnfitError: a column is of a type that Spark does not read.
    """
    with opened(file) as stream:
        read = pq.read_metadata(stream)
    kinds = {field.name: str(field.type) for field in read.schema.to_arrow_schema()}
    for place in range(len(read.schema)):
        column = read.schema.column(place)
        said = json.loads(column.logical_type.to_json())
        if said["Type"] == "Time":
            raise UnfitError(f"has times of day in {column.path}, which Spark does not read; write numbers or text")
        if (said["Type"], said.get("timeUnit")) != ("Timestamp", "nanoseconds"):
            continue
        if column.path not in kinds:
            raise UnfitError(
                f"has timestamps of nanoseconds within {column.path}, which Spark does not read; write them as "
                'microseconds (coerce_timestamps="us" in pandas and pyarrow)'
            )
        kinds[column.path] = NANOSECONDS_UTC if said["isAdjustedToUTC"] else NANOSECONDS_LOCAL
    return tuple(f"{name}: {kind}" for name, kind in kinds.items()), read.num_rows


def nanoseconds(columns: Columns) -> dict[str, bool]:
    """Return the columns of a `footer` that hold nanoseconds since 1970, and whether these are UTC."""
    parts = [column.rpartition(": ") for column in columns]
    return {name: kind == NANOSECONDS_UTC for name, _, kind in parts if kind in (NANOSECONDS_UTC, NANOSECONDS_LOCAL)}


def header(file: Path, options: Mapping[str, str]) -> Columns:
    """Return the names in a CSV's first line; without `header`, Spark's names `_c0`, `_c1` and so on.

    Raises:
        ValueError: two columns have one name, in small or capital letters.
    """
    names = _first_line(file, options)
    if options.get("header", "false").lower() != "true":
        return tuple(f"_c{position}" for position in range(len(names)))
    # An unnamed column gets the name that Spark gives it, as the index column of pandas.
    named = tuple(name or f"_c{position}" for position, name in enumerate(names))
    lower = [name.lower() for name in named]
    twice = [position for position, name in enumerate(lower, 1) if lower.count(name) > 1]
    if twice:
        raise ValueError(f"its columns {twice[0]} and {twice[1]} have the same name")
    return named


def _first_line(file: Path, options: Mapping[str, str]) -> list[str]:
    given = {key.lower(): value for key, value in options.items()}
    encoding = given.get("encoding", given.get("charset", "utf-8"))
    separator = given.get("sep", given.get("delimiter", ",")).replace("\\t", "\t")
    # The byte-order mark that some programs write is no part of the first name.
    marked = "utf-8-sig" if encoding.lower() in {"utf-8", "utf8"} else encoding
    with (
        opened(file) as raw,
        pa.input_stream(raw, compression=COMPRESSIONS.get(file.suffix)) as stream,
        io.TextIOWrapper(stream, marked, errors="replace", newline="") as text,
    ):
        comment = given.get("comment")
        lines = (line for line in text if line.strip() and not (comment and line.startswith(comment)))
        if len(separator) > 1:
            return next(lines, "").rstrip("\r\n").split(separator)
        parsed = csv.reader(lines, delimiter=separator, quotechar=given.get("quote", '"') or None)
        return next(parsed, [])
