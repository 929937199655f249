"""A table in an object store as a frame of Spark: the rows of its files, each once, with the table's types."""

from __future__ import annotations

import os
from datetime import date

import pyarrow as pa
import pytest
from deltalake import write_deltalake

import camoe
from camoe.contracts.snapshot import DataFile, pin
from camoe.stream.frame import remote_frame, shared_out
from tests.object_store import nth

DAYS = [date(2026, 1, 1), date(2026, 1, 2)]
PARTITIONS = ["modality", "slot", "date"]


def rows(day, **more):
    number = 5
    named = {"modality": ["audio"] * number, "slot": ["in stream"] * number, "date": [day] * number}
    kinds = {"list": pa.array([[1, 2]] * number), "score": pa.array([0.5, None, 1, 2, 3], pa.float32())}
    return pa.table({"id": [f"{day}-{row}" for row in range(number)], **named, **kinds, **more})


def test_row_groups_are_shared_out_to_tasks_in_order_each_once():
    files = [
        DataFile(path, "audio", "s", DAYS[0], groups) for path, groups in (("a", (5,)), ("b", (4, 4, 4)), ("c", (9,)))
    ]
    tasks = [[(piece.path, list(piece.row_groups)) for piece in task] for task in shared_out(files, 8)]
    assert tasks == [[("a", [0]), ("b", [0])], [("b", [1, 2])], [("c", [0])]]


@pytest.mark.slow
def test_the_rows_of_the_days_come_each_once_whatever_columns_a_file_lacks(spark, store, tmp_path, monkeypatch):
    # The session may be older than the server's settings, as executors have an environment of their own.
    for name in filter(lambda name: name.startswith("AWS_"), os.environ):
        monkeypatch.setitem(spark.sparkContext.environment, name, os.environ[name])
    address = f"s3://lake/{tmp_path.name}"
    write_deltalake(address, rows(DAYS[0]), partition_by=PARTITIONS)
    late = {"label": pa.array([1, 0, None, 1, 1], pa.int32())}
    for day in (DAYS[1], date(2026, 1, 3)):
        write_deltalake(address, rows(day, **late), partition_by=PARTITIONS, mode="append", schema_mode="merge")
    snapshot = pin(address)
    columns = ("id", "label", "slot", "score", "date", "list")
    store.fault = nth(0, "cut", "GET /lake/" + tmp_path.name + "/modality")
    found = sorted(map(tuple, remote_frame(spark, snapshot, columns, {"date": DAYS}).collect()))
    assert store.done == ["cut"]
    expected = [
        (f"{day}-{row}", label, "in stream", score, day, [1, 2])
        for day, labels in zip(DAYS, ([None] * 5, late["label"].to_pylist()), strict=True)
        for row, (label, score) in enumerate(zip(labels, [0.5, None, 1, 2, 3], strict=True))
    ]
    assert found == expected
    assert remote_frame(spark, snapshot, ("id",), {"slot": ["none"]}).count() == 0


def test_days_come_as_arrow_from_the_address(server):
    assert camoe.read_days("s3://lake/tables/t", ["2026-01-01"]).num_rows == pin("s3://lake/tables/t").on(DAYS[:1]).rows
