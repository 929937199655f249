"""What can go wrong while a stream reads: one clear error, no hang, no thread left."""

from __future__ import annotations

import os
import re
import threading
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from petastorm.workers_pool.thread_pool import WorkerThread

from camoe.contracts.errors import StreamError
from camoe.stream.ledger import Ledger
from camoe.stream.reading import pool
from camoe.stream.reading.pool import OrderedPool
from camoe.stream.stream import ReadOptions, stream
from tests.stream.blocks import ONE, blocks, delivered, plan_of
from tests.stream.lake import COLUMNS, write_table

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
    remedy = "the file changed after version 0 of the table was pinned: build the features of its day again"
    with pytest.raises(StreamError, match=rf"part-0003.parquet, row group 0: 49 rows where the plan has 50; {remedy}"):
        delivered(plan)


def test_a_file_without_a_column(plan):
    rewrite(victim(plan), pq.ParquetFile(victim(plan)).read().drop(["cat_a"]))
    with pytest.raises(
        StreamError, match=r"part-0003.parquet, row group 0: no column cat_a; the file changed after version 0"
    ):
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


def test_row_groups_that_come_in_another_order(plan, monkeypatch):
    """The first two change places; they are of equal size, and in the end all rows have come."""
    submit, asked = OrderedPool.submit, []

    def swapped(pool, item):
        asked.append(item)
        for one in {1: (), 2: reversed(asked)}.get(len(asked), (item,)):
            submit(pool, one)

    monkeypatch.setattr(OrderedPool, "submit", swapped)
    name = r"part-000\d.parquet, row group 0 \(pass 1\)"
    with pytest.raises(StreamError, match=rf"{name} came where \S*{name} was due") as caught:
        delivered(plan)
    assert len(set(re.findall(r"part-000\d", str(caught.value)))) == 2


def test_a_thread_that_does_not_end_does_not_hide_what_ended_the_stream(plan, monkeypatch):
    """A file that cannot be read, and another that is a pipe which nobody writes to."""
    asked = [int(plan.row_groups.file[piece.source]) for piece in plan.batch(0)]
    # Two that the two threads read at the same time, and not the one that tells the schema.
    lost, stuck = (victim(plan, number) for number in (asked[2:4] if 0 in asked[:2] else asked[:2]))
    lost.unlink()
    stuck.unlink()
    os.mkfifo(stuck)
    monkeypatch.setattr(pool, "JOIN_TIMEOUT_S", 0.2)
    with pytest.raises(StreamError, match=rf"{lost.name}, row group 0 cannot be read") as caught:
        list(blocks(plan))
    assert [stuck.name in note for note in caught.value.__notes__] == [True]
    os.close(os.open(stuck, os.O_WRONLY))
    for thread in threading.enumerate():
        if isinstance(thread, WorkerThread):
            thread.join(10)


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
        for _ in stream(plan, COLUMNS, ONE, ReadOptions(2, 0.3, say), ledger=Ledger()):
            pass
    assert said[0].startswith("worker 0 has waited ")
    assert said[0].endswith("part-0003.parquet, row group 0")
