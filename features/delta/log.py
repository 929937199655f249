"""The data files that a Delta log names, and those that lie in the table's folder.

Every commit file and checkpoint of the log is read, so a file counts as named also when only an old version names it.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from camoe.contracts.errors import MaintenanceError, error_text
from camoe.contracts.files import RemotePath
from camoe.contracts.places.commits import table_at
from camoe.contracts.places.store import open_place
from camoe.contracts.storage import open_storage

LOG = "_delta_log"
DATA_FILE = re.compile(r"part-.*\.parquet|\.part-.*\.parquet\.crc")
# Commits, compacted commits and checkpoints of the second kind; temporary files begin with a dot or underscore.
JSON_ENTRY = re.compile(r"\d{20}\.(.+\.)?json")
CHECKPOINT = re.compile(r"(?P<version>\d{20})\.checkpoint\..*")


def has_delta_log(table: Path) -> bool:
    """Return whether a Delta table lies at `table`, also one whose log holds no commit any more.

    `camoe.contracts.snapshot.is_delta_table` takes that for no table, so one can be made there; here every run would
    then count as uncommitted.
    """
    return (table / LOG).is_dir()


def open_table(table: Path, version: int | None = None) -> DeltaTable:
    """Open the table at `version` (default: the newest). Raises `MaintenanceError` when its log cannot be read."""
    try:
        return table_at(str(table.resolve()), version)
    except DeltaError as error:
        raise MaintenanceError(
            f"the log of {table} cannot be read ({error_text(error)}); restore it, or build again where no run has "
            "ever "
            "committed; nothing was removed"
        ) from None


def active_files(table: Path, version: int | None = None) -> list[dict[str, Any]]:
    """Return the files of one version (default: the newest): `path` (absolute), `num_records`, `min.<column>`, ..."""
    actions = pa.table(open_table(table, version).get_add_actions(flatten=True)).to_pylist()
    return [{**action, "path": _absolute(table.resolve(), action["path"])} for action in actions]


def oldest_version(table: Path) -> int:
    """Return the oldest version in the log: 0 while its first commit is there, else the oldest checkpoint's.

    Raises:
        MaintenanceError: the log has neither.
    """
    names = [path.name for path in (table / LOG).iterdir()]
    if f"{0:020}.json" in names:
        return 0
    checkpoints = [int(found["version"]) for name in names if (found := CHECKPOINT.fullmatch(name))]
    if not checkpoints:
        raise MaintenanceError(f"the log of {table} has no first commit and no checkpoint; restore it")
    return min(checkpoints)


def named_files(table: Path) -> dict[Path, int]:
    """Return all data files that the log names, and when each was removed last (ms since 1970; 0: no removal logged).

    Raises:
        MaintenanceError: the log cannot be read, or names files by absolute addresses.
    """
    root = table.resolve()
    removed: dict[Path, int] = {}
    for action in _actions(root / LOG):
        for name in ("add", "remove"):
            entry = action.get(name)
            if entry and entry.get("path"):
                path = _absolute(root, entry["path"])
                when = int(entry.get("deletionTimestamp") or 0)
                removed[path] = max(removed.get(path, 0), when)
    return removed


def data_files(table: Path) -> Iterator[Path]:
    """Yield files with a data file's name from the table's folder and its partitions' folders; links are left out."""
    if isinstance(table, RemotePath):
        below = (table / name for name in open_place(str(table)).names())
        yield from (path for path in below if DATA_FILE.fullmatch(path.name) and _is_partition(path.parent, table))
        return
    for folder, subfolders, names in os.walk(table.resolve()):
        subfolders[:] = [name for name in subfolders if _is_value(name)]
        for name in names:
            path = Path(folder) / name
            if DATA_FILE.fullmatch(name) and not path.is_symlink():
                yield path


def _is_partition(folder: Path, table: Path) -> bool:
    return all(map(_is_value, folder.relative_to(table).parts))


def _is_value(name: str) -> bool:
    """Return whether a folder of this name is of a partition's value."""
    return "=" in name and not name.startswith((".", "_"))


def data_file_of(path: Path) -> Path:
    """Return the data file that `path` is, or whose checksum it holds (`.<name>.crc`)."""
    return path.with_name(path.name[1:].removesuffix(".crc")) if path.name.startswith(".") else path


def _actions(log: Path) -> Iterator[Mapping[str, Any]]:
    try:
        for path in sorted(log.iterdir()):
            if JSON_ENTRY.fullmatch(path.name):
                yield from (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip())
        for path in [*log.glob("*.checkpoint*.parquet"), *log.glob("_sidecars/*.parquet")]:
            if not path.name.startswith("."):
                yield from _checkpoint_actions(path)
    except (OSError, ValueError) as error:
        raise MaintenanceError(f"the log at {log} cannot be read ({error}); if a job is writing, run again") from None


def _checkpoint_actions(path: Path) -> Iterable[Mapping[str, Any]]:
    wanted = ("add.path", "remove.path", "remove.deletionTimestamp")
    with open_storage(str(path)).parquet(str(path)) as file:
        there = {file.schema.column(index).path for index in range(len(file.schema))}
        columns = [name for name in wanted if name in there]
        for batch in file.iter_batches(columns=columns) if columns else ():
            yield from pa.Table.from_batches([batch]).to_pylist()


def _absolute(root: Path, path: str) -> Path:
    if ":" in path.split("/", maxsplit=1)[0] or path.startswith("/"):
        raise MaintenanceError(f"the log of {root} names {path}, as a shallow clone does; such a table is left alone")
    return root / unquote(path)
