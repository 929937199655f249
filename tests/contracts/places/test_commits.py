"""Commits to a table in an object store: none is lost, none counts twice, and who ends early changes nothing."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake

from camoe.contracts.places.commits import CommittedTable
from camoe.contracts.places.counts import CountError
from camoe.contracts.places.entries import name_of, told_by
from camoe.contracts.places.store import PlaceError, open_place
from camoe.contracts.runs import RunError
from camoe.contracts.storage import open_storage, path_of
from tests.object_store import SECRET, always, nth
from tests.paths import ROOT
from tests.waiting import wait_until

SCHEMA = pa.schema([("slot", pa.string()), ("id", pa.int64()), ("model", pa.string())])
PARTITIONS = ("slot", "model")
ROUNDS = 3


@pytest.fixture
def table(store, request):
    return CommittedTable(f"s3://lake/{request.node.originalname}", SCHEMA, PARTITIONS)


def rows(ids, model="m", slot="a"):
    return pa.table({"slot": [slot] * len(ids), "id": ids, "model": [model] * len(ids)}, schema=SCHEMA)


def replaced(table, ids, model="m", slot="a"):
    table.replace({"slot": {slot}, "model": {model}}, lambda: table.write([rows(ids, model, slot)]))


def found(table):
    """(model, slot, id) with how often each is in the newest version."""
    delta = DeltaTable(table.location)
    files = open_storage(table.location).filesystem
    counted = Counter()
    for action in pa.table(delta.get_add_actions(flatten=True)).to_pylist():
        ids = pq.read_table(f"{path_of(table.location)}/{action['path']}", filesystem=files)["id"].to_pylist()
        assert action["num_records"] == len(ids)
        assert (action["min.id"], action["max.id"]) == (min(ids), max(ids))
        counted.update((action["partition.model"], action["partition.slot"], number) for number in ids)
    return counted


@pytest.mark.slow
def test_a_partition_is_replaced_and_others_stay(table):
    replaced(table, [1, 2])
    replaced(table, [3], slot="in stream & 50%")
    replaced(table, [4], model="other")
    replaced(table, [5, 6, 7])
    replaced(table, [8], slot="in stream & 50%")
    expected = [("m", "a", 5), ("m", "a", 6), ("m", "a", 7), ("m", "in stream & 50%", 8), ("other", "a", 4)]
    assert found(table) == Counter(expected)
    replaced(table, [9], model="other")
    table.replace({"model": {"other"}}, lambda: ())
    assert found(table) == Counter(row for row in expected if row[0] == "m")


def test_a_named_commit_is_made_once_and_its_files_have_so_many_rows(store, request):
    schema = pa.schema([*SCHEMA, ("run", pa.string())])
    address = f"s3://lake/{request.node.originalname}"
    table = CommittedTable(address, schema, PARTITIONS, {"camoe.settings": "s"}, 4, ("run",))

    def commit(table, name, ids):
        batches = [rows([number]).append_column("run", pa.array([name])) for number in ids]
        table.replace({"model": {"m"}}, lambda: table.write(batches), name, userMetadata="told")

    for _ in range(2):
        commit(table, "r1", range(10))
    delta = DeltaTable(address)
    files = pa.table(delta.get_add_actions(flatten=True)).to_pylist()
    kept = sorted((file["min.id"], file["max.id"], file["min.run"], file["max.run"]) for file in files)
    assert kept == [(0, 3, "r1", "r1"), (4, 7, "r1", "r1"), (8, 9, "r1", "r1")]
    last = told_by(open_place(address).read(name_of(1)).content)
    assert (delta.version(), last["userMetadata"], last["operationMetrics"]["numOutputRows"]) == (1, "told", "10")
    assert delta.metadata().configuration == {"camoe.settings": "s"}
    with pytest.raises(RunError, match="another job wrote to"):
        commit(replace(table, properties={"camoe.settings": "other"}), "r2", [1])
    assert DeltaTable(address).version() == 1


@pytest.mark.slow
def test_files_that_another_writer_has_made_are_replaced_too(table):
    first = pa.concat_tables([rows([1, 2], slot="in stream & 50%"), rows([3])])
    write_deltalake(table.location, first, partition_by=list(PARTITIONS))
    replaced(table, [4], slot="in stream & 50%")
    assert DeltaTable(table.location).version() == 1
    left = pa.table(DeltaTable(table.location).get_add_actions(flatten=True)).to_pylist()
    assert sorted((file["partition.slot"], file["num_records"]) for file in left) == [("a", 1), ("in stream & 50%", 1)]


def test_drivers_in_lockstep_lose_no_commit(table):
    """Two that replace partitions of their own at the same moments: each commit of each is in the log."""
    step = Barrier(2)

    def drive(model):
        for number in range(ROUNDS):
            step.wait()
            replaced(table, [number], model)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(drive, ("one", "two")))
    assert found(table) == Counter({("one", "a", ROUNDS - 1): 1, ("two", "a", ROUNDS - 1): 1})
    # The table's own entry, and one a commit.
    assert DeltaTable(table.location).version() == 2 * ROUNDS


@pytest.mark.slow
def test_of_drivers_that_replace_the_same_partition_at_once_one_does(table):
    step = Barrier(2)

    def drive(writer):
        kept = []
        for number in range(ROUNDS):
            ids = [10 * number + writer]

            def write(ids=ids):
                # Both have looked at the table, and neither has committed.
                step.wait()
                return table.write([rows(ids)])

            try:
                table.replace({"slot": {"a"}, "model": {"m"}}, write)
                kept.append(ids[0])
            except RunError as error:
                assert str(error).endswith("nothing of this one is there: run it again")
            step.wait()
        return kept

    with ThreadPoolExecutor(2) as pool:
        one, two = pool.map(drive, (1, 2))
    assert len(one) + len(two) == ROUNDS
    assert found(table) == Counter({("m", "a", max(one + two)): 1})


@pytest.mark.parametrize("fault", ["lost", "503 SlowDown"])
def test_a_commit_whose_answer_is_lost_counts_once(store, table, fault):
    replaced(table, [0])
    store.fault = nth(0, fault, "PUT /lake/" + table.location.rpartition("/")[2] + "/_delta_log")
    replaced(table, [1])
    assert store.done == [fault]
    assert found(table) == Counter({("m", "a", 1): 1})


@pytest.mark.slow
@pytest.mark.parametrize("part", ["/part-", "/_delta_log"])
def test_a_writer_that_the_store_refuses_changes_nothing(store, table, part):
    replaced(table, [0])
    store.fault = always("403 AccessDenied", f"PUT /lake/{table.location.rpartition('/')[2]}{part}")
    with pytest.raises(PlaceError, match="look at the address, region, credentials and rights") as caught:
        replaced(table, [1])
    assert SECRET not in str(caught.value)
    store.begin()
    assert found(table) == Counter({("m", "a", 0): 1})


@pytest.mark.slow
def test_a_writer_that_fails_on_its_way_changes_nothing(table):
    replaced(table, [0])

    def write():
        yield from table.write([rows([1])])
        raise ValueError("on the way")

    with pytest.raises(ValueError, match="on the way"):
        table.replace({"slot": {"a"}, "model": {"m"}}, write)
    assert found(table) == Counter({("m", "a", 0): 1})
    with pytest.raises(CountError, match=r"rows with slot, model, for s3://lake/.*: expected 2 rows, found 1"):
        table.replace({"model": {"m"}}, lambda: table.write([pa.concat_tables([rows([1]), rows([2], slot=None)])]))
    assert found(table) == Counter({("m", "a", 0): 1})


REPLACES = """
import sys
import pyarrow as pa
from camoe.contracts.places.commits import CommittedTable
schema = pa.schema([("slot", pa.string()), ("id", pa.int64()), ("model", pa.string())])
table = CommittedTable(sys.argv[1], schema, ("slot", "model"))
rows = pa.table({"slot": ["a"], "id": [1], "model": ["m"]}, schema=schema)
table.replace({"slot": {"a"}, "model": {"m"}}, lambda: table.write([rows]))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("part", "fault", "left"),
    [("/part-", "silence", 0), ("/_delta_log", "silence", 0), ("/_delta_log", "unanswered", 1)],
)
def test_a_driver_that_is_killed_has_committed_or_has_not(store, table, part, fault, left):
    """Killed while it writes a file, before the store has its commit, and after, before it hears of it."""
    replaced(table, [0])
    before = DeltaTable(table.location).version()
    store.fault = nth(0, fault, f"PUT /lake/{table.location.rpartition('/')[2]}{part}")
    process = subprocess.Popen([sys.executable, "-c", REPLACES, table.location], cwd=ROOT)
    wait_until(lambda: store.done == [fault])
    if fault == "unanswered":
        wait_until(lambda: DeltaTable(table.location).version() == before + 1, 30)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    store.begin()
    assert found(table) == Counter({("m", "a", left): 1})
    replaced(table, [2])
    assert found(table) == Counter({("m", "a", 2): 1})
