"""The states table: what an evaluation keeps of each group, day and predictor, and how it is read without Spark."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import date
from functools import partial
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from camoe.contracts.errors import InputError
from camoe.contracts.places.commits import table_at
from camoe.contracts.snapshot import is_delta_table
from camoe.contracts.storage import Storage, location_of, open_storage, path_of
from camoe.metrics.histogram import Histogram
from camoe.metrics.state import State, add_states
from camoe.metrics.table import StateKey

IDENTITY = ("objective", "group_kind", "group", "predictor")
COLUMNS = [*IDENTITY, "buckets", "unknown", "bins", "users"]
SUMS = ("count", "positives", "p_sum", "log_loss")


def read_states(
    path: Path, model_version: str, days: Collection[date], kinds: Collection[str] | None = None
) -> dict[StateKey, State]:
    """Return what the states table at `path` keeps of a model on `days`, added up over them.

    `kinds` of groups alone are read, where given: a field may have a hundred thousand.

    Raises:
        InputError: there is no table, or it has nothing of the model on one of the days.
    """
    require_kept(path, model_version, days)
    of_kinds = None if kinds is None else pc.field("group_kind").isin(sorted(kinds))
    found: dict[StateKey, list[State]] = {}
    location = location_of(path)
    storage = open_storage(location)
    for file in _files(path):
        if file["model_version"] == model_version and date.fromisoformat(file["date"]) in days:
            # The folders' names are no columns here: the file is read for what it holds.
            at = f"{location}/{file['path']}"
            table = storage.tried(partial(_read, storage, at, of_kinds), at)
            for key, state in states_of(table):
                found.setdefault(key, []).append(state)
    return {key: add_states(parts) for key, parts in found.items()}


def _read(storage: Storage, file: str, kinds: pc.Expression | None) -> pa.Table:
    return pq.read_table(
        path_of(file), columns=COLUMNS, filters=kinds, partitioning=None, filesystem=storage.filesystem
    )


def require_kept(path: Path, model_version: str, days: Collection[date], command: str = "jobs/evaluate.py") -> None:
    """Raise `InputError` unless the states of the model are kept for each of `days`; `command` keeps them."""
    files = _files(path) if is_delta_table(path) else []
    present = {file["date"] for file in files if file["model_version"] == model_version}
    absent = [day.isoformat() for day in sorted(days) if day.isoformat() not in present]
    if absent:
        known = ", ".join(sorted({file["model_version"] for file in files})) or "none"
        raise InputError(
            f"{path} has no states of model {model_version} on {', '.join(absent)} (models there: {known}); score "
            f"these days with it and keep its states: {command}"
        )


def states_of(table: pa.Table) -> Iterator[tuple[StateKey, State]]:
    """Yield each row's key and state; `table` has the columns `IDENTITY`, buckets, unknown, bins and users."""
    bins, users = (_Cells(table[name]) for name in ("bins", "users"))
    for place, row in enumerate(table.select([*IDENTITY, "buckets", "unknown"]).to_pylist()):
        unknown = int(row["unknown"])
        narrow = bins.histogram(place, 1, unknown)
        yield (
            StateKey(*(str(row[name]) for name in IDENTITY)),
            State(narrow, users.histogram(place, int(row["buckets"]), unknown) or Histogram.empty(int(row["buckets"]))),
        )


class _Cells:
    """A column of lists of cells, with each field as one array."""

    def __init__(self, column: pa.ChunkedArray) -> None:
        lists = column.combine_chunks()
        lists = lists.chunk(0) if isinstance(lists, pa.ChunkedArray) else lists
        self.valid = np.asarray(lists.is_valid())
        self.offsets = np.asarray(lists.offsets)
        cells = lists.values
        self.fields = {name: cells.field(name).to_numpy(zero_copy_only=False) for name in _names(cells.type)}

    def histogram(self, place: int, buckets: int, unknown: int) -> Histogram | None:
        """Return the list at `place`; None where it is null."""
        if not self.valid[place]:
            return None
        own = slice(self.offsets[place], self.offsets[place + 1])
        bins = self.fields["bin"][own].astype(np.int64)
        bucket = self.fields["bucket"][own].astype(np.int64) if "bucket" in self.fields else np.zeros_like(bins)
        sums = {name: self.fields[name][own] for name in SUMS}
        return Histogram(buckets=buckets, bucket=bucket, bin=bins, unknown=unknown, **sums)


def _names(kind: pa.StructType) -> list[str]:
    return [kind.field(place).name for place in range(kind.num_fields)]


def _files(path: Path) -> list[dict[str, str]]:
    actions = pa.table(table_at(location_of(path)).get_add_actions(flatten=True)).to_pylist()
    return [
        {
            "path": unquote(str(action["path"])),
            **{name: str(action[f"partition.{name}"]) for name in ("date", "model_version")},
        }
        for action in actions
    ]
