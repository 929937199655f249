"""A pinned table version: the exact files, row groups and row counts that a reader may touch.

A table is given as a path or as an address in an object store (`camoe.contracts.storage`). Petastorm and pyarrow do not
read the Delta log: opened at the table's root they would also read files that a later version removed. So every reader
here gets the file list of one version, resolved by delta-rs without a JVM.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError

from camoe.contracts.errors import SnapshotError
from camoe.contracts.hashing import short_hash
from camoe.contracts.schema import RUN_ID
from camoe.contracts.storage import (
    RETRIES,
    Storage,
    delta_options,
    delta_table,
    error_detail,
    folders_above,
    is_remote,
    location_of,
    open_storage,
    path_of,
    remedy,
)

SUPPORTED_READER_VERSION = 2
FOOTERS_AT_ONCE = 16
# A path that is not relative to the table.
ELSEWHERE = re.compile(r"/|[a-z][a-z0-9+.-]*:/")
PARTITION_DATE = "partition.date"
# What a snapshot takes from the log's entry of a file.
OF_A_FILE = (
    "path", "num_records", "size_bytes", "partition.modality", "partition.slot", PARTITION_DATE, f"min.{RUN_ID}",
    f"max.{RUN_ID}",
)  # fmt: skip


@dataclass(frozen=True)
class DataFile:
    """One active file: path, partition, the rows of each of its row groups, the run that wrote its rows, its bytes.

    `run_id` is empty where the table does not tell.
    """

    path: str
    modality: str
    slot: str
    day: date
    row_groups: tuple[int, ...]
    run_id: str = ""
    size: int = 0

    @property
    def rows(self) -> int:
        """Rows of the file."""
        return sum(self.row_groups)


@dataclass(frozen=True)
class Snapshot:
    """The files of one table version, in path order, and the table's properties and columns."""

    table: str
    version: int
    files: tuple[DataFile, ...]
    properties: Mapping[str, str]
    columns: tuple[str, ...]

    @property
    def rows(self) -> int:
        """Rows of all files."""
        return sum(file.rows for file in self.files)

    def rows_by_cell(self) -> dict[tuple[date, str], int]:
        """Return the rows of each (day, slot)."""
        cells: Counter[tuple[date, str]] = Counter()
        for file in self.files:
            cells[file.day, file.slot] += file.rows
        return dict(sorted(cells.items()))

    def on(self, days: Collection[date]) -> Snapshot:
        """Return the part of the snapshot that lies on `days`.

        Raises:
            SnapshotError: one of the days has no rows.
        """
        wanted = frozenset(days)
        files = tuple(file for file in self.files if file.day in wanted)
        empty = sorted(wanted - {file.day for file in files if file.rows})
        if empty:
            names = ", ".join(day.isoformat() for day in empty)
            raise SnapshotError(
                f"{self.table} version {self.version} has no rows on {names}; "
                "build the features of these days or change the days in the configuration"
            )
        return replace(self, files=files)

    def content_hash(self) -> str:
        """Return the `short_hash` of version, file names and rows; the same wherever the table lies."""
        names = [[file.path.removeprefix(f"{self.table}/"), list(file.row_groups)] for file in self.files]
        return short_hash(json.dumps([self.version, names]))


def is_delta_table(table: Path | str) -> bool:
    """Return whether a Delta table lies at `table`, a path or an address: a log with a commit in it.

    Raises:
        SnapshotError: an object store does not say.
    """
    location = location_of(table)
    if not is_remote(location):
        return not Path(location).is_file() and DeltaTable.is_deltatable(location)
    try:
        # `is_deltatable` holds all other threads up while it waits for the store.
        open_storage(location).tried(lambda: DeltaTable(location, storage_options=delta_options(location)), location)
    except TableNotFoundError:
        return False
    except OSError as error:
        advice = remedy(error) or "look at the address and at what the store tells"
        raise SnapshotError(f"{location} cannot be read ({error_detail(error)}); {advice}") from None
    return True


def pin(table: Path | str, version: int | None = None, retries: int = RETRIES) -> Snapshot:
    """Resolve `table` at `version` (default: the newest now) to its active files and their row groups.

    Raises:
        SnapshotError: as `logged` does, or a file of the version is gone, damaged, or of other rows than the log says.
    """
    return opened(logged(table, version, retries), retries=retries)


def opened(named: Snapshot, days: Collection[date] | None = None, retries: int = RETRIES) -> Snapshot:
    """Return the snapshot of `days` (default: all) as `logged` does, with the row groups in the footers of their files.

    Raises:
        SnapshotError: one of these files is gone, damaged, out of reach, or of other rows than the log says.
    """
    files = [file for file in named.files if days is None or file.day in days]
    where = f"{named.table} version {named.version}"
    storage = open_storage(named.table, retries)
    # Footers are small, so it is the waiting for them that takes the time.
    with ThreadPoolExecutor(FOOTERS_AT_ONCE) as pool:
        return replace(named, files=tuple(pool.map(lambda file: _opened(file, where, storage), files)))


def logged(
    table: Path | str, version: int | None = None, retries: int = RETRIES, days: Collection[date] | None = None
) -> Snapshot:
    """Return `table` at `version` from its log alone: no file is opened, so each counts as one row group.

    With `days` only their files are there, which saves time where a table has many.

    Raises:
        SnapshotError: no Delta table there, out of reach, a protocol feature that file readers would get wrong, or a
            file whose rows the log does not count.
    """
    root = location_of(table)
    storage = open_storage(root, retries)
    try:
        if not storage.tried(lambda: storage.is_folder(f"{root}/_delta_log"), root):
            raise SnapshotError(f"no Delta table at {root}; {_where_to_find_one(storage, root)}")
        delta, actions = storage.tried(lambda: _log(root, version, days), root)
    except (TableNotFoundError, DeltaError, OSError) as error:
        wanted = "" if version is None else f" version {version}"
        advice = remedy(error) or (
            "choose a version that the log still has, or rebuild the table without the feature named here"
        )
        raise SnapshotError(f"{root}{wanted} cannot be read ({error_detail(error)}); {advice}") from None
    _refuse_unsafe(delta, root)
    where = f"{root} version {delta.version()}"
    ordered = tuple(sorted((_named(root, where, action) for action in actions), key=lambda file: file.path))
    columns = tuple(field.name for field in delta.schema().fields)
    return Snapshot(root, delta.version(), ordered, dict(delta.metadata().configuration), columns)


def _log(root: str, version: int | None, days: Collection[date] | None) -> tuple[DeltaTable, list[dict[str, object]]]:
    delta = delta_table(root, version)
    actions = pa.table(delta.get_add_actions(flatten=True))
    # As Python's values the statistics of all columns would take most of the time, and of the memory.
    actions = actions.select([name for name in OF_A_FILE if name in actions.column_names])
    if days is not None and PARTITION_DATE in actions.column_names:
        wanted = pa.array([day.isoformat() for day in days], pa.string())
        actions = actions.filter(pc.is_in(actions[PARTITION_DATE].cast(pa.string()), value_set=wanted))
    return delta, actions.to_pylist()


def _where_to_find_one(storage: Storage, root: str) -> str:
    above = (folder for folder in folders_above(root) if storage.is_folder(f"{folder}/_delta_log"))
    found = next(above, None)
    return "run jobs/build_features.py first" if found is None else f"it is a part of {found}: give that table"


def _refuse_unsafe(delta: DeltaTable, root: str) -> None:
    protocol = delta.protocol()
    properties = delta.metadata().configuration
    where = f"{root} version {delta.version()}"
    if protocol.min_reader_version > SUPPORTED_READER_VERSION or protocol.reader_features:
        features = ", ".join(protocol.reader_features or ()) or f"reader version {protocol.min_reader_version}"
        raise SnapshotError(f"{where} needs {features}, which file readers would get wrong; rebuild it without")
    if properties.get("delta.enableDeletionVectors") == "true":
        raise SnapshotError(f"{where} has deletion vectors on: deleted rows would come back; rebuild it without")
    if properties.get("delta.columnMapping.mode", "none") != "none":
        raise SnapshotError(f"{where} uses column mapping, so its files' columns have other names; rebuild it without")


def _named(root: str, where: str, action: Mapping[str, object]) -> DataFile:
    path, rows = unquote(str(action["path"])), action.get("num_records")
    if ELSEWHERE.match(path):
        raise SnapshotError(
            f"{root} names {path}, which lies outside of it (a shallow clone?); give a table of its own"
        )
    if not isinstance(rows, int):
        raise SnapshotError(
            f"the log of {where} does not say how many rows {path} has, so nothing tells whether all of them come; "
            "write its day again with statistics on"
        )
    return DataFile(
        path=f"{root}/{path}",
        modality=str(action["partition.modality"]),
        slot=str(action["partition.slot"]),
        day=date.fromisoformat(str(action[PARTITION_DATE])),
        row_groups=(rows,),
        run_id=_only_run(action),
        size=int(str(action.get("size_bytes") or 0)),
    )


def _only_run(action: Mapping[str, object]) -> str:
    smallest, greatest = action.get(f"min.{RUN_ID}"), action.get(f"max.{RUN_ID}")
    return smallest if isinstance(smallest, str) and smallest == greatest else ""


def _opened(file: DataFile, where: str, storage: Storage) -> DataFile:
    try:
        footer = storage.tried(
            lambda: pq.read_metadata(path_of(file.path), filesystem=storage.filesystem), f"the footer of {file.path}"
        )
    except FileNotFoundError:
        raise SnapshotError(
            f"{where} names {Path(file.path).name}, which is gone (vacuumed?); pin a newer version"
        ) from None
    except (OSError, ValueError) as error:
        advice = remedy(error)
        fault = "cannot be read" if advice else "is damaged"
        raise SnapshotError(
            f"{file.path} of {where} {fault} ({error_detail(error)}); {advice or 'rebuild its day'}"
        ) from None
    groups = tuple(footer.row_group(index).num_rows for index in range(footer.num_row_groups))
    if file.rows != sum(groups):
        raise SnapshotError(
            f"{file.path} holds {sum(groups)} rows, the log of {where} says {file.rows}; rebuild its day"
        )
    return replace(file, row_groups=groups)
