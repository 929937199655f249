"""What can go wrong while a stream reads: one clear error, no hang, no thread left."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from camoe.contracts.errors import StreamError
from camoe.stream.ledger import Ledger
from camoe.stream.stream import Reading, stream
from tests.stream.lake import COLUMNS, write_table
from tests.stream.reading import ONE, blocks, delivered, plan_of

FILES = [(0, day, [50]) for day in range(6)]


@pytest.fixture(autouse=True)
def no_thread_left():
    before = threading.active_count()
    yield
    assert threading.active_count() == before


@pytest.fixture
def plan(tmp_path):
    return plan_of(write_table(tmp_path / "t", FILES), batch_size=10)


def victim(plan, number=3):
    return Path(plan.snapshot.files[number].path)


def rewrite(path, table):
    pq.write_table(table, path)


def test_a_file_with_fewer_rows_than_planned(plan):
    rewrite(victim(plan), pq.ParquetFile(victim(plan)).read().slice(1))
    with pytest.raises(StreamError, match=r"part-0003.parquet, row group 0: 49 rows where the plan has 50"):
        delivered(plan)


def test_a_file_without_a_column(plan):
    rewrite(victim(plan), pq.ParquetFile(victim(plan)).read().drop(["cat_a"]))
    with pytest.raises(StreamError, match=r"part-0003.parquet, row group 0: no column cat_a"):
        delivered(plan)


def test_a_column_whose_values_would_not_fit(plan):
    table = pq.ParquetFile(victim(plan)).read()
    position = table.column_names.index("cat_a")
    rewrite(victim(plan), table.set_column(position, "cat_a", table["cat_a"].cast("int64")))
    with pytest.raises(StreamError, match=r"part-0003.parquet, row group 0: column cat_a is int64"):
        delivered(plan)


def test_an_index_that_is_null(plan):
    table = pq.ParquetFile(victim(plan)).read()
    position = table.column_names.index("cat_a")
    rewrite(victim(plan), table.set_column(position, "cat_a", pa.nulls(50, "int32")))
    with pytest.raises(StreamError, match=r"part-0003.parquet, row group 0: column cat_a has 50 nulls"):
        delivered(plan)


@pytest.mark.parametrize("number", [0, 3])
def test_a_file_that_vanishes(plan, number):
    victim(plan, number).unlink()
    with pytest.raises(StreamError, match=rf"part-000{number}.parquet.* cannot be read"):
        delivered(plan)


@pytest.mark.parametrize("number", [0, 3])
def test_a_file_that_is_cut_short(plan, number):
    victim(plan, number).write_bytes(victim(plan, number).read_bytes()[:100])
    with pytest.raises(StreamError, match=rf"part-000{number}.parquet.* cannot be read"):
        delivered(plan)


def test_a_page_that_is_damaged_behind_a_good_footer(tmp_path):
    plan = plan_of(write_table(tmp_path / "t", [(0, 0, [5000])]))
    content = bytearray(victim(plan, 0).read_bytes())
    content[4:2000] = bytes(1996)
    victim(plan, 0).write_bytes(content)
    with pytest.raises(StreamError, match=r"part-0000.parquet, row group 0 cannot be read"):
        delivered(plan)


def test_a_consumer_that_stops_early(plan):
    before = threading.active_count()
    running = blocks(plan)
    next(running)
    assert threading.active_count() > before
    running.close()


def test_a_consumer_that_fails(plan):
    with pytest.raises(ZeroDivisionError):
        for block in blocks(plan):
            block.rows / 0
    # The frame of the failed loop is gone with the exception, and the stream with it.


def test_a_consumer_that_never_starts(plan):
    blocks(plan)


def test_a_file_that_does_not_answer_is_named_while_the_worker_waits(plan):
    """The file is a pipe that nobody writes to, so that opening it blocks, until the worker has said so."""
    path = victim(plan)
    path.unlink()
    os.mkfifo(path)
    said = []

    def say(text):
        said.append(text)
        os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))

    with pytest.raises(StreamError, match=r"part-0003.parquet, row group 0 cannot be read"):
        for _ in stream(plan, COLUMNS, ONE, Reading(2, 0.3, say), ledger=Ledger()):
            pass
    assert said[0].startswith("worker 0 has waited ")
    assert said[0].endswith("part-0003.parquet, row group 0")
