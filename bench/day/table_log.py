"""What a snapshot of a training table of many files costs: its log alone, of all days and of one."""

from __future__ import annotations

import json
import multiprocessing
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

from deltalake import Field, Schema, transaction
from deltalake.schema import PrimitiveType

from camoe.contracts.schema import RUN_ID, TRAINING_PARTITIONS
from camoe.contracts.snapshot import logged
from features.delta.commit import has_committed, latest_version

Look = Callable[[Path, list[date] | None], None]
FIRST = date(2026, 1, 1)
SLOTS, COLUMNS, ROWS = 7, 40, 60_000


def write_log(table: Path, files: int, days: int) -> None:
    """Write the log of a table of so many files without writing these; each file's 40 columns have statistics."""
    names = [f"cat_{number}" for number in range(COLUMNS)]
    # The run stands first, as statistics are kept of the first columns.
    fields = [Field(RUN_ID, PrimitiveType("string")), *(Field(name, PrimitiveType("integer")) for name in names)]
    fields += [Field(name, PrimitiveType("string")) for name in ("modality", "slot")]
    schema = Schema([*fields, Field("date", PrimitiveType("date"))])
    actions = [_action(number, FIRST + timedelta(days=number % days), names) for number in range(files)]
    transaction.create_table_with_add_actions(str(table), schema, actions, partition_by=list(TRAINING_PARTITIONS))


def _action(number: int, day: date, names: list[str]) -> transaction.AddAction:
    slot, run = f"slot{number % SLOTS}", f"run-{day}"
    least, greatest = dict.fromkeys(names, 1), dict.fromkeys(names, 1_000)
    statistics = {
        "numRecords": ROWS,
        "minValues": {**least, RUN_ID: run},
        "maxValues": {**greatest, RUN_ID: run},
        "nullCount": dict.fromkeys([*names, RUN_ID], 0),
    }
    return transaction.AddAction(
        path=f"modality=audio/slot={slot}/date={day}/part-{number:06d}.parquet",
        size=5_000_000,
        partition_values={"modality": "audio", "slot": slot, "date": day.isoformat()},
        modification_time=1_772_409_600_000,
        data_change=True,
        stats=json.dumps(statistics),
    )


def cost_of_a_look(table: Path, days: list[date] | None) -> dict[str, float]:
    """Return the processor seconds of one look in a process of its own, and by how many MB that one grows."""
    return _alone(_snapshot, table, days)


def cost_of_a_runs_looks(table: Path, day: date) -> dict[str, float]:
    """Return the same of all looks of a feature run of `day`."""
    return _alone(_looks_of_a_run, table, [day])


def _alone(look: Look, table: Path, days: list[date] | None) -> dict[str, float]:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        seconds, grown = pool.apply(_measured, (look, table, days))
    return {"cpu_s": round(seconds, 2), "grown_mb": round(grown)}


def _measured(look: Look, table: Path, days: list[date] | None) -> tuple[float, float]:
    before, started = _peak_mb(), time.process_time()
    look(table, days)
    return time.process_time() - started, _peak_mb() - before


def _snapshot(table: Path, days: list[date] | None) -> None:
    logged(table, days=days)


def _looks_of_a_run(table: Path, days: list[date] | None) -> None:
    """Look as a run does: has it committed, what is there, is it still, what was replaced, is it written, what is left.

    The table does not change here, where a run's commit makes a second version of it.
    """
    has_committed(table, "run")
    logged(table)
    for _ in range(2):
        latest_version(table)
    for _ in range(3):
        logged(table, days=days)
    logged(table)


def _peak_mb() -> float:
    # Not by getrusage, which begins with what the parent held.
    told = Path("/proc/self/status").read_text()
    return int(told.partition("VmHWM:")[2].split()[0]) / 1024
