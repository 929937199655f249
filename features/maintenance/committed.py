"""Runs that never committed to the training table, and their rows in the side tables."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa
from deltalake import CommitProperties, PostCommitHookProperties
from deltalake.exceptions import DeltaError
from pydantic import TypeAdapter, ValidationError

from camoe.contracts.errors import MaintenanceError, error_text
from camoe.contracts.layout import Layout
from camoe.contracts.runs import RunId
from camoe.contracts.schema import RUN_ID
from camoe.contracts.snapshot import is_delta_table
from camoe.contracts.storage import is_remote
from features.delta.commit import open_delta
from features.delta.log import active_files, has_delta_log, open_table

# Checkpoints and the clean-up of the log are left to Spark, which writes these tables.
LEAVE_LOG = PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)


@dataclass(frozen=True)
class OrphanRows:
    """Rows of a side table by run that nobody reads, and the `condition` that holds for them alone."""

    table: Path
    rows: Mapping[str, int]
    condition: str


def signature(command: str) -> dict[str, str]:
    """Return the history's entries for a commit of `command`. Spark fails on other names, as `job`: structures."""
    return {"userMetadata": json.dumps({"job": "maintain", "command": command})}


def uncommitted(training: Path | str, runs: Iterable[str]) -> frozenset[str]:
    """Return those of `runs` that never committed to the training table: no transaction of theirs, none of its files.

    A table without the column `run_id` cannot tell, so none of its runs counts as uncommitted.
    """
    remote = is_remote(str(training))
    if not (is_delta_table(training) if remote else has_delta_log(Path(training))):
        return frozenset(runs)
    table = open_delta(training) if remote else open_table(Path(training))
    if RUN_ID not in {field.name for field in table.schema().fields}:
        return frozenset()
    active = {file.get(f"min.{RUN_ID}") for file in pa.table(table.get_add_actions(flatten=True)).to_pylist()}
    return frozenset(run for run in runs if run not in active and table.transaction_version(run) is None)


def orphan_rows(layout: Layout, before: datetime) -> tuple[OrphanRows, ...]:
    """Return the rows of quarantine and profiles that were written before `before` by runs that never committed."""
    found = []
    for table in (layout.quarantine, layout.profiles):
        if has_delta_log(table):
            rows = _rows_by_run(table, before)
            never = uncommitted(layout.table, rows)
            listed = ", ".join(f"'{run}'" for run in sorted(never))
            found.append(OrphanRows(table, {run: rows[run] for run in sorted(never)}, f"{RUN_ID} IN ({listed})"))
    return tuple(item for item in found if item.rows)


def clear_rows(found: Iterable[OrphanRows]) -> None:
    """Delete the rows, one commit a table. Raises `MaintenanceError` when another job wrote a table meanwhile."""
    for orphans in found:
        delete_rows(orphans.table, orphans.condition, "orphans")


def delete_rows(table: Path, condition: str, command: str) -> int:
    """Delete the rows for which `condition` holds, in one commit that names the maintenance `command`; return how many.

    Raises:
        MaintenanceError: another job wrote the table meanwhile.
    """
    properties = CommitProperties(custom_metadata=signature(command))
    try:
        done = open_table(table).delete(condition, commit_properties=properties, post_commithook_properties=LEAVE_LOG)
    except DeltaError as error:
        raise MaintenanceError(
            f"{table}: the rows that were to go are still there ({error_text(error)}); run again"
        ) from None
    return int(done["num_deleted_rows"])


def _rows_by_run(table: Path, before: datetime) -> dict[str, int]:
    """Return the rows of each run whose files are all older than `before`; a run with a younger file may be at work."""
    rows: Counter[str] = Counter()
    young: set[str] = set()
    for file in active_files(table):
        run = file.get(f"partition.{RUN_ID}")
        if run is None:
            continue
        rows[run] += file["num_records"]
        if file["modification_time"] >= before.timestamp() * 1000:
            young.add(run)
    return {run: count for run, count in rows.items() if run not in young and _is_run_id(run)}


def _is_run_id(text: str) -> bool:
    try:
        TypeAdapter(RunId).validate_python(text)
    except ValidationError:
        return False
    return True
