"""Delta commits that name the run that made them, and their record in the table's log."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from delta.exceptions import (
    ConcurrentAppendException,
    ConcurrentDeleteDeleteException,
    ConcurrentDeleteReadException,
    ConcurrentTransactionException,
    ConcurrentWriteException,
    DeltaConcurrentModificationException,
    MetadataChangedException,
    ProtocolChangedException,
)
from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError
from pyspark.sql import SparkSession

from camoe.contracts.places.commits import table_at
from camoe.contracts.places.entries import name_of, told_by
from camoe.contracts.places.store import open_place
from camoe.contracts.snapshot import is_delta_table
from camoe.contracts.storage import delta_table, is_remote, location_of

USER_METADATA = "spark.databricks.delta.commitInfo.userMetadata"
# Errors of Delta when another commit came first and the two cannot both hold.
CONFLICTS = (
    ConcurrentAppendException,
    ConcurrentDeleteDeleteException,
    ConcurrentDeleteReadException,
    ConcurrentTransactionException,
    ConcurrentWriteException,
    DeltaConcurrentModificationException,
    MetadataChangedException,
    ProtocolChangedException,
)
# A run commits to a table once.
ONCE = 1


@dataclass(frozen=True)
class CommitMetadata:
    """The run that makes a commit, its input and its settings."""

    run_id: str
    config_hash: str
    input: str
    input_versions: Mapping[str, str] = field(default_factory=dict)

    def metadata(self) -> str:
        """Return the run as the JSON that its commits carry."""
        return json.dumps(asdict(self))

    def transaction(self) -> dict[str, str | int]:
        """Return writer options under which Delta takes the run's commit to a table once, however often it is tried."""
        return {"txnAppId": self.run_id, "txnVersion": ONCE}


@dataclass(frozen=True)
class Commit:
    """A table version and the rows that its commit wrote."""

    version: int
    rows: int


@contextmanager
def signed(spark: SparkSession, run: CommitMetadata) -> Iterator[None]:
    """Let every commit inside the block carry the run in its userMetadata, a table's first one included."""
    spark.conf.set(USER_METADATA, run.metadata())
    try:
        yield
    finally:
        spark.conf.unset(USER_METADATA)


def open_delta(table: Path | str, version: int | None = None) -> DeltaTable:
    """Open `table`, a path or an address, at `version`, by default the newest.

    Raises:
        PlaceError: an object store does not give its log.
    """
    location = location_of(table)
    return table_at(location, version) if is_remote(location) else delta_table(location, version)


def latest_version(table: Path | str) -> int:
    """Return the newest version of `table`, -1 when there is no table."""
    if not is_remote(location_of(table)):
        return int(open_delta(table).version()) if is_delta_table(table) else -1
    try:
        return int(open_delta(table).version())
    except TableNotFoundError:
        return -1


def has_committed(table: Path | str, run_id: str) -> bool:
    """Return whether `run_id` has committed to `table`, at any time."""
    return is_delta_table(table) and open_delta(table).transaction_version(run_id) is not None


def commit_after(table: Path | str, version: int, run: CommitMetadata) -> Commit | None:
    """Return the newest commit of `run` later than `version`; None when it made none."""
    for entry in _entries(table, version):
        if entry.get("userMetadata") == run.metadata():
            return Commit(int(entry["version"]), int(entry.get("operationMetrics", {}).get("numOutputRows", 0)))
    return None


def _entries(table: Path | str, version: int) -> Iterator[Mapping[str, Any]]:
    """Yield what the log tells of the commits later than `version`, the newest first."""
    there = open_delta(table)
    location, newest = location_of(table), int(there.version())
    if not is_remote(location):
        yield from there.history(newest - version)
        return
    # delta-rs would hold all other threads up while it waits for the store.
    place = open_place(location)
    for number in range(newest, version, -1):
        found = place.read(name_of(number))
        if found is not None:
            yield {**told_by(found.content), "version": number}
