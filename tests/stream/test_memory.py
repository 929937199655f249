"""The stream's memory depends on row groups, not on the table, and has a bound that is known before it begins."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass

import pytest

from camoe.stream.planning.mixing import Shares
from camoe.stream.planning.world import World
from camoe.stream.reading.buffers import Buffers
from camoe.stream.reading.columns import WORD
from camoe.stream.reading.held import most_bytes
from tests.paths import ROOT
from tests.stream.blocks import blocks, plan_of
from tests.stream.lake import COLUMNS, write_table

pytestmark = pytest.mark.lengthy

EVEN = [(slot, day, [100] * 4) for slot in range(3) for day in range(4)]
UNEVEN = [(slot, day, [300, 7, 60 + 40 * day, 1, 180]) for slot in range(3) for day in range(4)]
# Without keys, which come beside the buffers.
STREAM_ALL = """
import resource, sys
from dataclasses import replace
from pathlib import Path
from camoe.contracts.snapshot import pin
from camoe.stream.reading.held import most_bytes
from camoe.stream.ledger import Ledger
from camoe.stream.planning.plan import make_plan
from camoe.stream.stream import ReadOptions, stream
from tests.stream.lake import COLUMNS
from tests.stream.blocks import ONE

plan, columns = make_plan(pin(Path(sys.argv[1])), seed=1, epoch=0, batch_size=4096, lanes=2), replace(COLUMNS, keys=())
rows = sum(block.rows for block in stream(plan, columns, ONE, ReadOptions(2), ledger=Ledger()))
print(rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, most_bytes(plan, columns, 2) // 1024)
"""
# The allocator's slack, and what the reader threads decode.
SLACK_KIB = 40 * 1024


def rows_peak_and_bound_kib(table):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", STREAM_ALL, table],
        capture_output=True, text=True, check=True, cwd=ROOT, env={"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    rows, peak, bound = map(int, done.stdout.split()[-3:])
    return rows, peak, bound


def test_a_table_twenty_times_as_long_takes_no_more_memory(tmp_path):
    """The long table's packed rows alone are 80 MB."""
    short = write_table(tmp_path / "short", [(slot, 0, [10_000] * 5) for slot in range(4)])
    uneven = [30_000, 1_000, 30_000, 9_000, 30_000]
    long = write_table(tmp_path / "long", [(slot, day, uneven) for slot in range(4) for day in range(10)])
    short_rows, short_peak, _ = rows_peak_and_bound_kib(short)
    long_rows, long_peak, bound = rows_peak_and_bound_kib(long)
    assert (short_rows, long_rows) == (200_000, 4_000_000)
    assert bound < 20 * 1024
    assert long_peak - short_peak < bound + SLACK_KIB


@dataclass
class Held:
    """Bytes of the buffers that are in use now, and the most that were."""

    now: int = 0
    most: int = 0


@pytest.fixture
def held(monkeypatch):
    """What the streams of the test hold."""
    found, take, give = Held(), Buffers.take, Buffers.give

    def taken(buffers, size):
        buffer = take(buffers, size)
        found.now += buffer.nbytes
        found.most = max(found.most, found.now)
        return buffer

    def given(buffers, part):
        found.now -= (part if part.base is None else part.base).nbytes
        give(buffers, part)

    monkeypatch.setattr(Buffers, "take", taken)
    monkeypatch.setattr(Buffers, "give", given)
    return found


@pytest.mark.parametrize(("workers", "threads"), [(1, 1), (1, 3), (3, 2)])
@pytest.mark.parametrize(
    ("files", "changes"),
    [
        (EVEN, {}),
        (UNEVEN, {}),
        (UNEVEN, {"batch_size": 1000, "lanes": 2}),
        (UNEVEN, {"batch_size": 700, "mixing": Shares(by="slot", of={"s0": 5, "s1": 1, "s2": 1})}),
    ],
    ids=["even", "uneven", "batches of whole row groups", "passes"],
)
def test_no_more_is_held_than_is_said(tmp_path, held, workers, threads, files, changes):
    plan = plan_of(write_table(tmp_path / "t", files), **changes)
    for rank in range(workers):
        assert sum(block.rows for block in blocks(plan, World(rank, workers), threads)) > 0
        assert held.now == 0
    assert 0 < held.most <= most_bytes(plan, COLUMNS, threads)


def test_lanes_that_move_on_together_hold_two_row_groups_each(tmp_path, held):
    plan = plan_of(write_table(tmp_path / "t", EVEN))
    assert sum(block.rows for block in blocks(plan, threads=1)) == plan.rows
    assert held.most > 0.8 * most_bytes(plan, COLUMNS, threads=1) > 2 * 12 * 100 * WORD * COLUMNS.words


def test_an_epoch_that_is_opened_during_validation_is_counted(tmp_path, held):
    table, buffers = write_table(tmp_path / "t", EVEN), Buffers()
    checked = plan_of(write_table(tmp_path / "checked", UNEVEN), lanes=1)
    assert all(block.rows for block in blocks(plan_of(table), buffers=buffers))
    coming = blocks(plan_of(table, epoch=1), buffers=buffers)
    assert all(block.rows for block in blocks(checked, buffers=buffers))
    assert all(block.rows for block in coming)
    assert most_bytes(plan_of(table), COLUMNS, 2) < held.most <= most_bytes(plan_of(table), COLUMNS, 2, checked)
