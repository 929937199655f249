"""Small real Delta tables, written without Spark, for tests of the stream."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import Field, Schema, transaction
from deltalake.schema import PrimitiveType

from camoe.contracts.storage import location_of, open_storage, path_of
from camoe.stream.reading.columns import Columns

COLUMNS = Columns(categorical=("cat_a", "cat_b"), numeric=("num_x",), labels=("label_click",), keys=("row_id",))
FIRST_DAY = date(2026, 1, 1)
TYPES = {
    "row_id": "long", "cat_a": "integer", "cat_b": "integer", "num_x": "float", "label_click": "byte",
    "modality_id": "integer", "slot_id": "integer", "modality": "string", "slot": "string", "date": "date",
}  # fmt: skip


def write_table(root: Path | str, files: list[tuple[int, int, list[int]]], seed: int = 0) -> Path | str:
    """A Delta table at `root`, a path or `s3://bucket/path`, from (slot, day, rows of each row group) per file.

    `row_id` numbers all rows.
    """
    location = location_of(root)
    random = np.random.default_rng(seed)
    next_id = 0
    actions = []
    for number, (slot, day, groups) in enumerate(files):
        when = (FIRST_DAY + timedelta(days=day)).isoformat()
        path = f"modality=m{slot % 2}/slot=s{slot}/date={when}/part-{number:04d}.parquet"
        tables = []
        for rows in groups:
            tables.append(_rows(random, next_id, rows, slot))
            next_id += rows
        _write_file(f"{location}/{path}", _rows(random, 0, 0, slot).schema, tables)
        actions.append(_add_action(f"{location}/{path}", path, slot, when, sum(groups)))
    schema = Schema([Field(name, PrimitiveType(kind)) for name, kind in TYPES.items()])
    transaction.create_table_with_add_actions(
        location, schema, actions, mode="error", partition_by=["modality", "slot", "date"]
    )
    return root


def _write_file(location: str, schema: pa.Schema, tables: list[pa.Table]) -> None:
    files, path = open_storage(location).filesystem, path_of(location)
    files.create_dir(path.rpartition("/")[0])
    with pq.ParquetWriter(path, schema, filesystem=files) as writer:
        for table in tables:
            writer.write_table(table)


def _rows(random: np.random.Generator, first_id: int, rows: int, slot: int) -> pa.Table:
    numbers = np.arange(first_id, first_id + rows, dtype=np.int64)
    label = pa.array(random.integers(0, 2, rows).astype(np.int8), mask=random.random(rows) < 0.1)
    return pa.table(
        {
            "row_id": numbers,
            "cat_a": (numbers % 7).astype(np.int32),
            "cat_b": random.integers(0, 5, rows).astype(np.int32),
            "num_x": pa.array(random.normal(size=rows).astype(np.float32), mask=random.random(rows) < 0.1),
            "label_click": label,
            "modality_id": np.full(rows, slot % 2, dtype=np.int32),
            "slot_id": np.full(rows, slot, dtype=np.int32),
        }
    )


def _add_action(location: str, path: str, slot: int, when: str, rows: int) -> transaction.AddAction:
    written = open_storage(location).filesystem.get_file_info(path_of(location))
    return transaction.AddAction(
        path=path,
        size=written.size,
        partition_values={"modality": f"m{slot % 2}", "slot": f"s{slot}", "date": when},
        modification_time=written.mtime_ns // 1_000_000,
        data_change=True,
        stats=json.dumps({"numRecords": rows}),
    )
