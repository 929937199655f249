"""Delta commits that name the run that made them, and their record in the table's log."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

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
from pyspark.sql import SparkSession

from camoe.contracts.snapshot import is_delta_table
from camoe.contracts.storage import delta_table

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


def latest_version(table: Path) -> int:
    """Return the newest version of `table`, -1 when there is no table."""
    return int(delta_table(str(table.resolve())).version()) if is_delta_table(table) else -1


def has_committed(table: Path, run_id: str) -> bool:
    """Return whether `run_id` has committed to `table`, at any time."""
    return is_delta_table(table) and delta_table(str(table.resolve())).transaction_version(run_id) is not None


def commit_after(table: Path, version: int, run: CommitMetadata) -> Commit | None:
    """Return the newest commit of `run` later than `version`; None when it made none."""
    there = delta_table(str(table.resolve()))
    for entry in there.history(int(there.version()) - version):
        if entry.get("userMetadata") == run.metadata():
            return Commit(int(entry["version"]), int(entry.get("operationMetrics", {}).get("numOutputRows", 0)))
    return None
