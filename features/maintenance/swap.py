"""One commit that puts new files of the same rows in the place of old ones, or none."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from deltalake import CommitProperties, DeltaTable
from deltalake.exceptions import CommitFailedError
from deltalake.transaction import AddAction, RemoveAction

from camoe.contracts.errors import MaintenanceError
from camoe.contracts.layout import Layout
from camoe.contracts.runs import read_record
from camoe.contracts.schema import TRAINING_PARTITIONS
from camoe.contracts.snapshot import DataFile, Snapshot
from features.delta.log import LOG, active_files, named_files, open_table
from features.maintenance.committed import LEAVE_LOG, signature, uncommitted

ATTEMPTS = 5


def swap_files(layout: Layout, snapshot: Snapshot, old: Sequence[DataFile], scratch: Path) -> int:
    """Move the files of the table at `scratch` into the training table and commit them instead of `old`.

    The rows are said not to have changed (dataChange false). Returns the version of the commit.

    Raises:
        MaintenanceError: a feature run replaced or is about to replace a day of `old`, or the table changed otherwise.
    """
    table = Path(snapshot.table)
    added = [entry["add"] for entry in _entries(scratch) if "add" in entry]
    with ExitStack() as undo:
        undo.callback(_drop_unnamed, table, [table / unquote(entry["path"]) for entry in added])
        for entry in added:
            target = table / unquote(entry["path"])
            target.parent.mkdir(parents=True, exist_ok=True)
            (scratch / unquote(entry["path"])).rename(target)
        version = _commit(layout, table, snapshot, old, added)
        undo.pop_all()
    return version


def _commit(
    layout: Layout, table: Path, snapshot: Snapshot, old: Sequence[DataFile], added: Sequence[Mapping[str, Any]]
) -> int:
    days = sorted({file.day for file in old})
    listed = ", ".join(day.isoformat() for day in days)
    gone = [str(Path(file.path).relative_to(table)) for file in old]
    for _ in range(ATTEMPTS):
        newest = open_table(table)
        _require_unchanged(newest, snapshot, old, listed)
        require_no_run(layout, days)
        now = int(datetime.now(UTC).timestamp() * 1000)
        actions: list[AddAction | RemoveAction] = [RemoveAction(path, False, now) for path in gone]
        actions += [_add(entry) for entry in added]
        # delta-rs looks for conflicts only among commits that change rows. So no retry by itself: the commit is for
        # the version that was looked at, or for none.
        properties = CommitProperties(max_commit_retries=0, custom_metadata=signature("compact"))
        try:
            newest.create_write_transaction(
                actions,
                mode="append",
                schema=newest.schema(),
                partition_by=list(TRAINING_PARTITIONS),
                commit_properties=properties,
                post_commithook_properties=LEAVE_LOG,
            )
        except CommitFailedError:
            continue
        return newest.version() + 1
    raise MaintenanceError(f"{table}: other jobs kept committing while {listed} was compacted; run it again")


def _require_unchanged(newest: DeltaTable, snapshot: Snapshot, old: Sequence[DataFile], listed: str) -> None:
    active = {str(file["path"]) for file in active_files(Path(snapshot.table), newest.version())}
    columns = tuple(field.name for field in newest.schema().fields)
    if columns != snapshot.columns or not active.issuperset(file.path for file in old):
        raise MaintenanceError(
            f"{snapshot.table}: another job rewrote {listed} while it was compacted; its rows stand, "
            "the compaction changed nothing; run it again"
        )


def require_no_run(layout: Layout, days: Sequence[date]) -> None:
    """Raise `MaintenanceError` where a run's record has no commit: it is written first, so a commit may follow."""
    runs = [path.stem for path in layout.runs.glob("*.json")]
    for run in sorted(uncommitted(layout.table, runs)):
        hit = sorted(set(days) & set(read_record(layout.runs, run).days))
        if hit:
            raise MaintenanceError(
                f"feature run {run} is about to commit {hit[0]}, or was killed before it did: compaction leaves that "
                "day to it; wait for it, or clear it with jobs/maintain.py orphans --delete if it was killed"
            )


def _drop_unnamed(table: Path, files: Sequence[Path]) -> None:
    # Asked of the whole log, because a commit may have succeeded although it was reported as failed, and an older
    # version needs its files also when a run has replaced the day since.
    named = named_files(table)
    for path in files:
        if path not in named:
            path.unlink(missing_ok=True)


def _entries(scratch: Path) -> list[dict[str, Any]]:
    log = (scratch / LOG / f"{0:020}.json").read_text(encoding="utf-8")
    return [json.loads(line) for line in log.splitlines() if line]


def _add(entry: Mapping[str, Any]) -> AddAction:
    return AddAction(
        path=entry["path"],
        size=entry["size"],
        partition_values=entry["partitionValues"],
        modification_time=entry["modificationTime"],
        data_change=False,
        stats=entry["stats"],
    )
