"""Forgetting users in the history: their events, and the sums of key sets that rest on the user, are deleted."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import pyarrow.dataset as ds
from xxhash import xxh64_digest

from camoe.contracts.errors import MaintenanceError
from camoe.contracts.history import History
from camoe.contracts.layout import Layout
from camoe.contracts.storage import location_of, open_storage, path_of
from features.delta.log import active_files
from features.history.events import SET
from features.history.keys import OWNER
from features.history.keys import Layout as Counted
from features.history.kinds import STATES
from features.maintenance.committed import delete_rows
from features.maintenance.history import history_folders, history_tables

# With which Spark hashes a value that is hashed alone.
SEED = 42
# So that no condition is too long.
USERS_A_DELETE = 1_000


@dataclass(frozen=True)
class Forgetting:
    """The history's tables, and the numbers under which they keep the rows of the users to forget."""

    tables: tuple[Path, ...]
    owners: tuple[int, ...]


@dataclass(frozen=True)
class Forgotten:
    """Rows of users in one table of the history."""

    table: Path
    rows: int


def read_users(path: Path) -> tuple[str, ...]:
    """Return the ids in a file of UTF-8, one a line. Raises `MaintenanceError` when it is no such file, or empty."""
    try:
        users = tuple(line for line in path.read_text(encoding="utf-8").splitlines() if line)
    except (OSError, UnicodeDecodeError) as error:
        raise MaintenanceError(f"{path} cannot be read as UTF-8 text with one user id a line ({error})") from None
    if not users:
        raise MaintenanceError(f"{path} names no user; give one id a line, as the training table's user_id has it")
    return users


def owner_of(user: str) -> int:
    """Return the number under which the history keeps a user's rows: Spark's `xxhash64(user)`."""
    return int.from_bytes(xxh64_digest(user.encode(), seed=SEED), "big", signed=True)


def plan_forget(
    layout: Layout, own: Path, history: History | None, users: Collection[str], keep: Collection[str]
) -> Forgetting:
    """Plan to forget `users`; `own` is the folder of the known settings, `keep` names key sets that stay as they are.

    Raises:
        MaintenanceError: a folder is that of other settings, or the sums of a key set cannot be told apart by user and
            it is not among `keep`.
    """
    for folder in history_folders(layout):
        if folder != own or history is None:
            raise MaintenanceError(
                f"{folder} is the history of other settings than these, whose key sets are not known; remove it (a run "
                "that needs it makes it again), as orphans does where no run's record has them"
            )
        _require_told_apart(folder, history, keep)
    tables = (table for folder in history_folders(layout) for table in history_tables(folder))
    return Forgetting(tuple(tables), tuple(sorted(map(owner_of, users))))


def forget(plan: Forgetting, delete: bool) -> tuple[Forgotten, ...]:
    """Return, and with `delete` remove, the rows of the users, by table.

    Raises:
        MaintenanceError: another job wrote a table meanwhile.
    """
    parts = [plan.owners[first : first + USERS_A_DELETE] for first in range(0, len(plan.owners), USERS_A_DELETE)]
    return tuple(Forgotten(table, sum(_forget(table, part, delete) for part in parts)) for table in plan.tables)


def _require_told_apart(folder: Path, history: History, keep: Collection[str]) -> None:
    """Raise `MaintenanceError` unless each key set is that of users, holds all impressions, or is among `keep`."""
    owned: set[int] = set()
    for table in history_tables(folder):
        if table.name.startswith(STATES.name):
            rows = _dataset(table).scanner(columns=[SET], filter=ds.field(OWNER).is_valid())
            owned |= {place for batch in rows.to_batches() for place in batch[SET].unique().to_pylist()}
    mixed = [
        name
        for place, name in enumerate(Counted(history, {}).key_sets)
        if history.keys[name].by and place not in owned and name not in keep
    ]
    if mixed:
        raise MaintenanceError(
            f"the sums of the key sets {', '.join(mixed)} in {folder} cannot be told apart by user; where they are "
            f"sums over many users, say --keep {','.join(mixed)}, and they stay as they are; else remove {folder}, and "
            "build from a log without these users"
        )


def _forget(table: Path, owners: Collection[int], delete: bool) -> int:
    if delete:
        return delete_rows(table, f"{OWNER} IN ({', '.join(map(str, owners))})", "forget")
    mine = ds.field(OWNER).isin(list(owners))
    return int(_dataset(table).count_rows(filter=mine))


def _dataset(table: Path) -> ds.Dataset:
    """Return the rows of the table without its partitions' columns."""
    files = [path_of(str(file["path"])) for file in active_files(table)]
    return ds.dataset(files, format="parquet", filesystem=open_storage(location_of(table)).filesystem)
