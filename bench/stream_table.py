"""Tables for the benchmarks of the stream: real Delta tables of made-up rows, and snapshots without data."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import Field, Schema, transaction
from deltalake.schema import PrimitiveType

from camoe.contracts.snapshot import DataFile, Snapshot, pin
from camoe.stream.reading.columns import Columns

CATEGORICALS = 26
NUMERICS = 13
# The feature job's default.
ROWS_PER_FILE = 65_536
DAYS = 4
FIRST_DAY = date(2026, 1, 1)
# Slots and their part of the rows: most are audio, as on an audio-first service.
SLOTS = {"s0": 0.46, "s1": 0.22, "s2": 0.12, "s3": 0.08, "s4": 0.05, "s5": 0.04, "s6": 0.03}
VIDEO = {"s4", "s5"}

COLUMNS = Columns(
    categorical=tuple(f"cat_{number}" for number in range(CATEGORICALS)),
    numeric=tuple(f"num_{number}" for number in range(NUMERICS)),
    labels=("label_click", "label_complete"),
)


def modality(slot: str) -> str:
    """Return the slot's modality."""
    return "video" if slot in VIDEO else "audio"


def cells(rows: int, days: int) -> list[tuple[str, date, int]]:
    """Return (slot, day, rows) of a table of about `rows` rows."""
    return [
        (slot, FIRST_DAY + timedelta(days=day), round(rows * part / days))
        for slot, part in SLOTS.items()
        for day in range(days)
    ]


def snapshot_of(rows: int, days: int) -> Snapshot:
    """Return a snapshot without data, of files as the feature job writes them."""
    files = []
    for slot, day, size in cells(rows, days):
        for number, first in enumerate(range(0, size, ROWS_PER_FILE)):
            path = f"/lake/modality={modality(slot)}/slot={slot}/date={day}/part-{number:05d}.parquet"
            files.append(DataFile(path, modality(slot), slot, day, (min(ROWS_PER_FILE, size - first),)))
    return Snapshot("/lake", 1, tuple(sorted(files, key=lambda file: file.path)), {}, ())


def table_of(rows: int, cache: Path, days: int = DAYS) -> Snapshot:
    """Return the table of `rows` rows under `cache`, written once."""
    root = cache / f"table-{rows}-{days}"
    if not (root / "_delta_log").exists():
        _write(root, rows, days)
    return pin(root)


def _write(root: Path, rows: int, days: int) -> None:
    random = np.random.default_rng(7)
    actions = []
    for slot, day, size in cells(rows, days):
        for number, first in enumerate(range(0, size, ROWS_PER_FILE)):
            path = f"modality={modality(slot)}/slot={slot}/date={day}/part-{number:05d}.parquet"
            table = _rows(random, min(ROWS_PER_FILE, size - first), list(SLOTS).index(slot))
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(table, root / path)
            actions.append(_action(root / path, path, slot, day, table.num_rows))
    kinds = {"int32": "integer", "float": "float", "int8": "byte"}
    fields = [Field(field.name, PrimitiveType(kinds[str(field.type)])) for field in table.schema]
    partitions = {"modality": "string", "slot": "string", "date": "date"}
    fields += [Field(name, PrimitiveType(kind)) for name, kind in partitions.items()]
    transaction.create_table_with_add_actions(str(root), Schema(fields), actions, partition_by=list(partitions))


def _rows(random: np.random.Generator, rows: int, slot: int) -> pa.Table:
    columns: dict[str, pa.Array] = {}
    for number, name in enumerate(COLUMNS.categorical):
        size = int(10 ** (1 + 5 * number / CATEGORICALS))
        columns[name] = pa.array((random.zipf(1.2, rows) % size).astype(np.int32))
    for name in COLUMNS.numeric:
        columns[name] = pa.array(random.exponential(size=rows).astype(np.float32), mask=random.random(rows) < 0.02)
    for name in COLUMNS.labels:
        columns[name] = pa.array((random.random(rows) < 0.03).astype(np.int8), mask=random.random(rows) < 0.01)
    columns["modality_id"] = pa.array(np.full(rows, int(f"s{slot}" in VIDEO), dtype=np.int32))
    columns["slot_id"] = pa.array(np.full(rows, slot, dtype=np.int32))
    return pa.table(columns)


def _action(file: Path, path: str, slot: str, day: date, rows: int) -> transaction.AddAction:
    return transaction.AddAction(
        path=path,
        size=file.stat().st_size,
        partition_values={"modality": modality(slot), "slot": slot, "date": day.isoformat()},
        modification_time=int(file.stat().st_mtime * 1000),
        data_change=True,
        stats=json.dumps({"numRecords": rows}),
    )
