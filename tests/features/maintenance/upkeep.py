"""Tables for the tests of maintenance, written by delta-rs as the jobs write them with Spark: by day and by run."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake

from camoe.contracts.layout import Layout
from camoe.contracts.runs import RunRecord, write_record
from camoe.contracts.schema import TRAINING_PARTITIONS
from tests.paths import ROOT

CELL = "training/modality=m/slot=feed/date=2026-01-01"
OLD = timedelta(hours=30)
DAYS = (date(2026, 1, 1), date(2026, 1, 2))
SLOTS = ("feed", "break")
HOLD_DAYS = """
import sys
from datetime import date
from pathlib import Path
from features.tables.locks import days_alone
with days_alone(Path(sys.argv[1]), [date.fromisoformat(text) for text in sys.argv[2:]] or None):
    print("held", flush=True)
    sys.stdin.read()
"""


def training_rows(run: str, day: date, rows: int = 5) -> pa.Table:
    """`rows` rows a slot of `day`, made by `run`."""
    count = rows * len(SLOTS)
    return pa.table(
        {
            "impression_id": [f"{run}-{day}-{number}" for number in range(count)],
            "run_id": [run] * count,
            "x": pa.array([number / 7 if number % 3 else None for number in range(count)], pa.float32()),
            "modality": ["m"] * count,
            "slot": [SLOTS[number % len(SLOTS)] for number in range(count)],
            "date": pa.array([day] * count),
        }
    )


def build_day(layout: Layout, run: str, day: date, rows: int = 5) -> int:
    """Let `run` build `day`: its record, then one commit that replaces the day; returns the version."""
    leave_record(layout, run, day)
    made = CommitProperties(app_transactions=[Transaction(run, 1)])
    data = training_rows(run, day, rows)
    if not (layout.training / "_delta_log").is_dir():
        write_deltalake(layout.training, data, partition_by=list(TRAINING_PARTITIONS), commit_properties=made)
    else:
        predicate = f"date = '{day}'"
        write_deltalake(layout.training, data, mode="overwrite", predicate=predicate, commit_properties=made)
    return DeltaTable(layout.training).version()


def leave_record(layout: Layout, run: str, day: date) -> Path:
    """The record of a run that builds `day`, as it stands before the commit."""
    now = datetime.now(UTC)
    record = RunRecord(
        run_id=run, built=now, settings_hash="s", input="raw", as_of=now, encoder_version=1, days={day: {"feed": 5}}
    )
    write_record(record, layout.runs)
    return layout.runs / f"{run}.json"


def add_side_rows(table: Path, run: str, day: date, rows: int) -> None:
    """Add `rows` rows of `run` to a side table."""
    data = pa.table({"raw": ["{}"] * rows, "date": pa.array([day] * rows), "run_id": [run] * rows})
    write_deltalake(table, data, mode="append", partition_by=["date", "run_id"])


def content(table: Path, version: int | None = None) -> list[tuple[str, ...]]:
    """All rows of one version, sorted; raises as a reader would when a file is gone."""
    found: list[tuple[str, ...]] = []
    for path in DeltaTable(table, version=version).file_uris():
        rows = pq.read_table(path, partitioning=None).to_pylist()
        found += [(Path(path).parent.name, *map(str, row.values())) for row in rows]
    return sorted(found)


def versions(table: Path) -> dict[int, list[tuple[str, ...]]]:
    """The content of every version."""
    return {version: content(table, version) for version in range(DeltaTable(table).version() + 1)}


def everything(folder: Path) -> set[Path]:
    """Every file under `folder`."""
    return {path for path in folder.rglob("*") if path.is_file()}


def three_runs(root: Path) -> Layout:
    """An output folder after three runs: r1 and r2 built a day each, r3 built the first again."""
    layout = Layout(root)
    for run, day in (("r1", DAYS[0]), ("r2", DAYS[1]), ("r3", DAYS[0])):
        build_day(layout, run, day)
        add_side_rows(layout.quarantine, run, day, 2)
        add_side_rows(layout.profiles, run, day, 3)
    return layout


def aged(path: Path, by: timedelta = OLD) -> Path:
    """Let `path`, and what is in it, be `by` old."""
    then = time.time() - by.total_seconds()
    for item in [path, *path.rglob("*")] if path.is_dir() else [path]:
        os.utime(item, (then, then))
    return path


def put(path: Path, text: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def now() -> datetime:
    return datetime.now(UTC)


def command(name: str, layout: Layout) -> list[str]:
    """The arguments of a maintenance command over `layout`."""
    return [name, "--config", str(ROOT / "conf/synthetic.yaml"), f"out={layout.root}"]


def hold_days(runs: Path, *days: date) -> subprocess.Popen[str]:
    """Start a process that holds `days`, or all, until it reads the end of its input."""
    arguments = [sys.executable, "-c", HOLD_DAYS, str(runs), *map(str, days)]
    process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout and process.stdout.readline() == "held\n"
    return process
