"""Tables in an object store: the same batches as from the local disk, and lost connections are retried."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import date

import numpy as np
import pyarrow as pa
import pytest
from deltalake import write_deltalake

from camoe.contracts.errors import SnapshotError, StreamError
from camoe.contracts.snapshot import pin
from camoe.contracts.storage import path_of
from camoe.stream.ledger import Ledger
from camoe.stream.planning.world import World
from camoe.stream.stream import ReadOptions, stream
from tests.object_store import always, nth
from tests.stream.blocks import ONE, blocks, delivered, plan_of
from tests.stream.lake import COLUMNS, write_table

FILES = [(slot, day, [40, 30]) for slot in range(2) for day in range(2)]
ROWS = 280
# Holds these files.
REMOTE = "s3://lake/tables/t"
DATA = "GET /lake/tables/t/modality"


def read(plan, retries=3, threads=2):
    """The row ids of the whole plan with how often each came, and what was said meanwhile.

    On a busy machine the server itself may be late, which is another thing.
    """
    said = []
    seen = Counter()
    for block in stream(plan, COLUMNS, ONE, ReadOptions(threads, 30, said.append, retries), ledger=Ledger()):
        seen.update(block.keys[0].tolist())
    return seen, [text for text in said if "Timeout was reached" not in text]


@pytest.mark.parametrize("workers", [1, 3])
def test_the_same_batches_as_from_the_local_disk(store, tmp_path, workers):
    local, remote = plan_of(write_table(tmp_path / "t", FILES)), plan_of(REMOTE)
    assert local.content_hash() == remote.content_hash()
    for rank in range(workers):
        pairs = zip(blocks(local, World(rank, workers)), blocks(remote, World(rank, workers)), strict=True)
        for here, there in pairs:
            assert np.array_equal(here.records, there.records)
            assert np.array_equal(here.keys[0], there.keys[0])
    assert delivered(remote, workers) == Counter(range(ROWS))
    assert any(line.startswith(DATA) for line in store.lines)


@pytest.mark.parametrize("address", ["s3a://lake/tables/t", "s3://lake/tables/t/"])
def test_other_ways_to_write_the_address(store, address):
    assert pin(address).content_hash() == pin(REMOTE).content_hash()


@pytest.mark.parametrize("slot", ["in stream", "50%", "a=b", "a%20b", "ü"])
def test_names_that_must_be_quoted(server, tmp_path, slot):
    rows = pa.table({"modality": ["audio"], "slot": [slot], "date": [date(2026, 1, 1)], "slot_id": [1]})
    for location in (str(tmp_path / "t"), f"s3://lake/{tmp_path.name}"):
        write_deltalake(location, rows, partition_by=["modality", "slot", "date"])
        snapshot = pin(location)
        assert [(file.slot, file.rows) for file in snapshot.files] == [(slot, 1)]


@pytest.mark.parametrize(
    "fault", ["cut", "503 SlowDown", "500 InternalError", "500 Unheard-of", "429 TooManyRequests", "408 RequestTimeout"]
)
def test_a_read_that_fails_once_is_tried_again(store, fault):
    plan = plan_of(REMOTE)
    store.fault = nth(6, fault, DATA)
    seen, said = read(plan)
    assert store.done == [fault]
    assert seen == Counter(range(ROWS))
    assert len(said) == 1
    assert said[0].startswith(f"worker 0 lost the connection at try 1 of 4 to read {REMOTE}/modality=")


def test_a_connection_cut_at_any_read_of_the_stream(store, write):
    """From the first read, for the schema, to the last row group: each row comes once."""
    plan = plan_of(write([(0, 0, [30, 10]), (1, 0, [20])]))
    store.lines.clear()
    read(plan, threads=1)
    reads = sum("GET" in line for line in store.lines)
    assert reads >= 2 * 3
    for number in range(reads):
        store.done.clear()
        store.fault = nth(number, "cut", "GET")
        seen, said = read(plan, threads=1)
        assert (seen, store.done, len(said)) == (Counter(range(60)), ["cut"], 1)


def test_a_connection_cut_at_any_read_of_the_log_and_the_footers(store, capsys):
    whole = pin(REMOTE)
    reads = len(store.lines)
    for number in range(reads):
        store.done.clear()
        store.fault = nth(number, "cut", "GET ")
        assert pin(REMOTE) == whole
    assert "storage: lost the connection at try 1 of 4 to read s3://lake/tables/t" in capsys.readouterr().err


@pytest.mark.parametrize("retries", [0, 2])
def test_a_connection_that_is_always_cut_ends_in_one_error(store, write, retries):
    plan = plan_of(write([(0, day, [40]) for day in range(3)]), lanes=1)
    victim = plan.snapshot.files[plan.drawn(0, 0).lanes[0].sources[1]].path
    store.fault = always("cut", f"GET /{path_of(victim).replace('=', '%3D')}")
    with pytest.raises(StreamError) as caught:
        read(plan, retries, threads=1)
    tries = f"connection lost at each of {1 + retries} tries: AWS Error NETWORK_CONNECTION during GetObject operation"
    assert str(caught.value).startswith(f"{victim}, row group 0 cannot be read: {tries}")
    assert str(caught.value).endswith("; try again when the store answers")
    assert store.done == ["cut"] * (1 + retries)


@pytest.mark.parametrize(("part", "what"), [("_delta_log", REMOTE), ("part-0002", f"{REMOTE}/modality=m0/slot=s0/")])
def test_a_table_whose_store_stays_away_is_named(store, part, what):
    store.fault = always("503 SlowDown", part)
    with pytest.raises(SnapshotError) as caught:
        pin(REMOTE, retries=1)
    assert len(store.done) == 2
    assert "cannot be read (connection lost at each of 2 tries: " in str(caught.value)
    assert str(caught.value).endswith("; try again when the store answers")
    assert "\n" not in str(caught.value)


def test_nobody_listens(server, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(SnapshotError, match=f"{REMOTE} cannot be read .*each of 2 tries.*try again when the store"):
        pin(REMOTE, retries=1)


@pytest.mark.slow
def test_a_store_that_falls_silent(store):
    plan = plan_of(REMOTE)
    store.fault = nth(6, "silence", DATA)
    seen, said = read(plan)
    assert (store.done, seen, said) == (["silence"], Counter(range(ROWS)), [])


def test_a_consumer_that_leaves_while_a_reader_would_try_for_long(store, write):
    """The reader thread ends, or closing the stream would raise an error."""
    plan = plan_of(write([(0, day, [40]) for day in range(3)]), lanes=1, batch_size=10)
    second = plan.drawn(0, 0).lanes[0].sources[1]
    store.fault = always("cut", plan.snapshot.files[second].path[-12:])
    said = threading.Event()
    running = stream(plan, COLUMNS, ONE, ReadOptions(2, 30, lambda _text: said.set(), 10_000), ledger=Ledger())
    next(running)
    assert said.wait(60)
    running.close()
    assert "cut" in store.done
