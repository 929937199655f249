"""The writes of a run, in an order that leaves every reader a consistent table whenever the run is killed.

Quarantine and profiles, the run record, then ONE commit that replaces the run's days in the training table, then the
rows of the side tables that this commit superseded go. Until that commit nobody looks at what the run has written.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession

from camoe.contracts.layout import Layout
from camoe.contracts.places.counts import require_equal
from camoe.contracts.places.leases import held_elsewhere
from camoe.contracts.runs import RunRecord, active_records, lock_of, write_record
from camoe.contracts.snapshot import Snapshot, is_delta_table, logged
from camoe.contracts.storage import is_remote
from features.delta.commit import Commit, CommitMetadata, has_committed, open_delta, signed
from features.spark.together import both
from features.tables.remote import replace_remote_days
from features.tables.replace import DayReplacement, replace_days
from features.tables.side import days_of_runs, prune, put, superseded


@dataclass(frozen=True)
class PendingWrite:
    """A run's unpublished results: rows for the three tables, and its record."""

    rows: DataFrame
    quarantine: DataFrame | None
    rows_quarantined: int
    profiles: DataFrame
    record: RunRecord


def publish(pending: PendingWrite, replacement: DayReplacement, layout: Layout, run: CommitMetadata) -> Commit:
    """Write a run's pending rows and its record. When it fails before its commit, nothing of it is left.

    Raises:
        ConcurrentRunError, InputError: as `replace_days` and `replace_remote_days` do.
        CountError: the quarantine holds other rows than were counted.
    """
    with ExitStack() as undo:
        undo.callback(_withdraw, pending.rows.sparkSession, layout, run)
        spark = pending.rows.sparkSession
        with signed(spark, run):
            refused, _ = both(
                spark,
                partial(_put_quarantine, pending, layout, run),
                partial(put, pending.profiles, layout.profiles, run),
            )
        require_equal("rows of the quarantine table", pending.rows_quarantined, refused)
        write_record(pending.record, layout.runs)
        replaced = replace_remote_days if is_remote(str(layout.table)) else replace_days
        commit = replaced(pending.rows, replacement, run)
        undo.pop_all()
    return commit


def _put_quarantine(pending: PendingWrite, layout: Layout, run: CommitMetadata) -> int:
    none = not pending.rows_quarantined and not _may_hold(layout.quarantine, run)
    if none or pending.quarantine is None:
        return 0
    return put(pending.quarantine, layout.quarantine, run)


def prune_superseded(spark: SparkSession, layout: Layout, run: CommitMetadata) -> dict[date, RunRecord]:
    """Prune superseded rows from the side tables; return the record of each built day's run.

    Rows that an earlier run left because it was killed after its commit go as well.
    """
    # Listed before the training table is read: a run that commits after that is not taken for a superseded one.
    listed = {table: days_of_runs(table) for table in (layout.quarantine, layout.profiles)}
    snapshot = logged(layout.table)
    active = active_records(snapshot, layout.runs)
    for table, found in listed.items():
        prune(spark, table, superseded(found, active, committed_at(snapshot, {maker for _, maker in found})), run)
    return active


def committed_at(snapshot: Snapshot, runs: Collection[str]) -> set[str]:
    """Return those of `runs` that had committed by the version of `snapshot`; later versions are not looked at."""
    training = open_delta(snapshot.table, snapshot.version)
    return {name for name in runs if training.transaction_version(name) is not None}


def _may_hold(table: Path, run: CommitMetadata) -> bool:
    """Return whether `table` is yet to be made, or has rows of an earlier attempt of the run."""
    return not is_delta_table(table) or any(maker == run.run_id for _, maker in days_of_runs(table))


def _withdraw(spark: SparkSession, layout: Layout, run: CommitMetadata) -> None:
    # Another attempt may have taken over, and what lies under the run's name is its own then.
    if has_committed(layout.table, run.run_id) or held_elsewhere(lock_of(layout.runs, run.run_id)):
        return
    for table in (layout.quarantine, layout.profiles):
        prune(spark, table, {found for found in days_of_runs(table) if found[1] == run.run_id}, run)
    (layout.runs / f"{run.run_id}.json").unlink(missing_ok=True)
