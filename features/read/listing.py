"""Files under the paths of a raw table, all of which are read or the run stops, and the columns that folders give."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as F

from camoe.contracts.errors import InputError
from camoe.contracts.layout import COPIES
from camoe.contracts.sources import Table
from features.read.copies import bring
from features.read.objects import SCHEME, address_of, is_hidden, objects_at

# Options by which a table's declaration leaves files out.
LEAVING_OUT = ("pathglobfilter", "modifiedbefore", "modifiedafter")
# All sub-folders, and no character of a path means anything but itself.
ALL_FILES = {"recursiveFileLookup": "true", "__globPaths__": "false"}
NULL_FOLDER = "__HIVE_DEFAULT_PARTITION__"

# The names of the `name=value` folders that a file lies in, from its table's path down, as they are written.
FolderColumns = tuple[str, ...]


def listed(spark: SparkSession, name: str, paths: Sequence[Path], table: Table) -> dict[Path, FolderColumns]:
    """Return the files that Spark reads under `paths`, in order, each with its folder columns; no file is opened.

    Those in an object store are copied.

    Raises:
        InputError: Spark passes over a file that lies there, or reads one that should be passed over.
        InputError, PlaceError: as `bring` does.
    """
    for path in paths:
        bring(spark, name, path)
    there = files_there(name, paths)
    options = {key: value for key, value in table.options.items() if key.lower() in LEAVING_OUT}
    reader = spark.read.format("text").options(**options, **ALL_FILES)
    uris = reader.load([str(path) for path in paths]).inputFiles()
    found = {path for uri in uris if not is_hidden((path := path_of(uri)).name)}
    missed = there.keys() - found if not options else set[Path]()
    for files, what in ((missed, "Spark passes over"), (found - there.keys(), "Spark would read")):
        if files:
            more = f" and {len(files) - 1:,} more" if len(files) > 1 else ""
            raise InputError(
                f"{name}: {what} {min(files)}{more}; give the file and its folders names of letters and digits that "
                "begin with neither . nor _, or move it elsewhere"
            )
    return {file: there[file] for file in sorted(found)}


def files_there(name: str, paths: Sequence[Path]) -> dict[Path, FolderColumns]:
    """Return the files under `paths` that are data, each with its folder columns; Spark is not asked.

    Raises:
        InputError: a folder cannot be looked into, is a link to one above it, or gives a column twice.
        InputError, PlaceError: as `objects_at` does.
    """
    return {file: columns for path in paths for file, columns in _walk(name, as_listed(path))}


def as_listed(path: Path) -> Path:
    """Return the path as Spark names files: from the root, without `..`, and links as they are."""
    return Path(os.path.normpath(path.absolute()))


def path_of(uri: str) -> Path:
    """Return the path of a file that Spark names by a URI."""
    return Path(unquote(urlsplit(uri).path))


def without_file(paths: Sequence[Path], files: Mapping[Path, FolderColumns]) -> list[Path]:
    """Return those of `paths` that neither are nor hold one of `files`, which `listed` found under them."""
    holders = {holder for file in files for holder in (file, *file.parents)}
    return [path for path in paths if as_listed(path) not in holders]


def decoded(file: Column) -> Column:
    """Return the path of a `file` of which Spark tells the URI."""
    # A plus sign stands for itself in a path, for a blank in the forms that url_decode is made for.
    return F.url_decode(F.replace(file, F.lit("+"), F.lit("%2B")))


def named_file(file: Column) -> Column:
    """Return what names a `file` (Spark's URI of it) for good: the address of the object, where it is a copy."""
    return F.regexp_replace(file, rf"^file:.*/{COPIES}/[^/]+/", SCHEME)


def folder_values(file: Column, columns: FolderColumns) -> dict[str, Column]:
    """Return the text that each folder column has for the rows of `file` (Spark's URI of it)."""
    return {unquote(column): _folder_value(decoded(file), column) for column in columns}


def _folder_value(path: Column, column: str) -> Column:
    # The last such folder: one above the table's path may have the same name.
    text = F.substring_index(F.substring_index(path, f"/{column}=", -1), "/", 1)
    plain = F.replace(text, F.lit("+"), F.lit("%2B"))
    return F.when(~text.isin("", NULL_FOLDER), F.coalesce(F.try_url_decode(plain), text))


def _walk(name: str, path: Path) -> Iterator[tuple[Path, FolderColumns]]:
    address = address_of(path)
    if address is not None and not path.exists():
        for _, parts in objects_at(name, address):
            file = path.joinpath(*parts)
            yield file, _folder_columns(name, file.parent, parts[:-1])
        return
    if not path.is_dir():
        yield path, ()
        return

    def refuse(error: OSError) -> None:
        raise InputError(f"{name}: cannot look into {error.filename}: {error.strerror}; mend its rights, or move it")

    for place, folders, files in os.walk(path, followlinks=True, onerror=refuse):
        folder = Path(place)
        folders[:] = [one for one in folders if not is_hidden(one)]
        links = [one for one in folders if (folder / one).is_symlink()]
        loop = next((one for one in links if folder.resolve().is_relative_to((folder / one).resolve())), None)
        if loop is not None:
            raise InputError(f"{name}: {folder / loop} is a link to a folder that it lies in; take it out")
        columns = _folder_columns(name, folder, folder.relative_to(path).parts)
        yield from ((folder / file, columns) for file in files if not is_hidden(file))


def _folder_columns(name: str, folder: Path, parts: Sequence[str]) -> FolderColumns:
    columns = tuple(part.partition("=")[0] for part in parts if "=" in part)
    known = [unquote(column).lower() for column in columns]
    if len(set(known)) < len(known):
        raise InputError(f"{name}: two folders in {folder} give the same column; rename one of them")
    return columns
