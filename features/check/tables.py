"""Raw tables looked at without Spark: their files, the columns of these, and about how many rows there are."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from camoe.contracts.errors import InputError
from camoe.contracts.sources import Table
from camoe.contracts.storage import delta_table
from features.read.columns import UNREADABLE, FileGroup, by_columns
from features.read.files import OF_A_VERSION, require_delta
from features.read.listing import LEAVING_OUT, FolderColumns, files_there, without_file
from features.read.objects import asked, location_of, opened, size_of

# Of a table of more files, so many are opened.
MOST_FILES = 64
SAMPLED_BYTES = 1 << 20
TEXT = "text"
# Types of values in JSON.
KINDS = {str: TEXT, bool: "bool", int: "number", float: "number"}


@dataclass(frozen=True)
class Columns:
    """Columns of files that agree in them, by name, with their types; `where` names the files."""

    where: str
    types: Mapping[str, str]


@dataclass(frozen=True)
class TableLook:
    """What a table holds: its files, about how many rows (None: not known), and its columns (none: not known)."""

    files: int
    rows: int | None
    exact: bool
    columns: tuple[Columns, ...]

    def __str__(self) -> str:
        """Describe it in a few words."""
        rows = "rows not counted" if self.rows is None else f"{'' if self.exact else 'about '}{self.rows:,} rows"
        return f"{self.files:,} file{'s' * (self.files != 1)}, {rows}"


def look_at(name: str, table: Table, paths: Sequence[Path]) -> TableLook:
    """Return what lies under `paths`.

    Raises:
        InputError: there is no file, one cannot be read as the table's format, or has two columns of one name.
    """
    if table.format == "delta":
        return _delta(name, table, paths[0])
    files = files_there(name, paths)
    bare = without_file(paths, files)
    if bare:
        raise InputError(f"{name}: cannot read {bare[0]} as {table.format}: there is no file; {UNREADABLE}")
    if any(option.lower() in LEAVING_OUT for option in table.options):
        return TableLook(len(files), None, exact=False, columns=())
    opened = _some(files)
    groups = by_columns(opened, name, table)
    # A file of no bytes has no column to lack.
    columns = tuple(_columns(name, table, group) for group in groups if group.columns)
    if table.format == "json" and len(opened) == len(files):
        columns = tuple(found for group in groups if (found := _fields(name, table, group)) is not None)
    return TableLook(len(files), *_rows(table, groups, files, opened), columns)


def _delta(name: str, table: Table, path: Path) -> TableLook:
    require_delta(path, name)
    there = asked(path, partial(delta_table, location_of(path)))
    if any(option.lower() in OF_A_VERSION for option in table.options):
        return TableLook(len(there.file_uris()), None, exact=False, columns=())
    counts = there.get_add_actions(flatten=True)
    rows = sum(count or 0 for count in counts.column("num_records").to_pylist())
    types = {field.name: str(getattr(field.type, "type", "nested")) for field in there.schema().fields}
    return TableLook(len(counts), rows, exact=True, columns=(Columns(f"{name} at {path}", types),))


def _some(files: Mapping[Path, FolderColumns]) -> dict[Path, FolderColumns]:
    """Return files from all over the table, at most `MOST_FILES`."""
    step = max(1, -(-len(files) // MOST_FILES))
    return dict(islice(sorted(files.items()), 0, None, step))


def _columns(name: str, table: Table, group: FileGroup) -> Columns:
    if table.format == "parquet":
        types = {field.name: str(field.type) for field in asked(group.files[0], partial(_schema, group.files[0]))}
    else:
        types = dict.fromkeys(group.columns, TEXT)
    return Columns(f"{name} at {group.files[0]}", {**types, **dict.fromkeys(group.folders, TEXT)})


def _schema(file: Path) -> pa.Schema:
    with opened(file) as stream:
        return pq.read_schema(stream)


def _fields(name: str, table: Table, group: FileGroup) -> Columns | None:
    """Return the fields of JSON files, which are read whole; None where one is too long, or no JSON lines."""
    types: dict[str, str] = {}
    if table.options or any(asked(file, partial(size_of, file)) > SAMPLED_BYTES for file in group.files):
        return None
    texts = (asked(file, partial(_start, file)) for file in group.files)
    for line in (line for text in texts for line in text.splitlines() if line.strip()):
        try:
            record = json.loads(line)
        except ValueError:
            return None
        if not isinstance(record, dict):
            return None
        for field, value in record.items():
            kind = KINDS.get(type(value), "nested")
            if value is not None:
                types[field] = kind if types.get(field, kind) == kind else TEXT
            else:
                types.setdefault(field, TEXT)
    return Columns(f"{name} at {group.files[0]}", {**types, **dict.fromkeys(group.folders, TEXT)}) if types else None


def _rows(
    table: Table, groups: Sequence[FileGroup], files: Mapping[Path, FolderColumns], opened: Mapping[Path, FolderColumns]
) -> tuple[int | None, bool]:
    """Return about how many rows the files have, and whether that is exact."""
    if all(group.rows is not None for group in groups):
        counted = sum(group.rows or 0 for group in groups)
        return round(counted * len(files) / len(opened)), len(opened) == len(files)
    lines = [_lines(file, table) for file in opened]
    known = [line for line in lines if line is not None]
    return (round(sum(known) * len(files) / len(known)) if known else None), False


def _start(file: Path) -> bytes:
    with opened(file) as stream:
        return stream.read(SAMPLED_BYTES)


def _lines(file: Path, table: Table) -> int | None:
    """Return about how many rows a text file has, by those that it begins with; None where it is compressed."""
    start = asked(file, partial(_start, file))
    if b"\0" in start or not start:
        return None if start else 0
    lines = round(asked(file, partial(size_of, file)) * sum(1 for _ in io.BytesIO(start)) / len(start))
    return max(0, lines - (table.options.get("header", "").lower() == "true"))
