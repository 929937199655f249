"""Real streams in tests: all workers' rows, with their ledgers checked."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from camoe.contracts.snapshot import pin
from camoe.stream.ledger import Ledger, require_complete
from camoe.stream.planning.plan import make_plan
from camoe.stream.planning.world import World
from camoe.stream.reading.buffers import Buffers
from camoe.stream.stream import ReadOptions, stream
from tests.stream.lake import COLUMNS

ONE = World(0, 1)


def plan_of(table: Path, **changes):
    """A plan of the table's newest version."""
    return make_plan(pin(table), **({"seed": 1, "epoch": 0, "batch_size": 64, "lanes": 4} | changes))


def blocks(plan, world=ONE, threads=2, ledger=None, first_step=0, buffers=None):
    """One worker's stream."""
    booked = Ledger() if ledger is None else ledger
    reading = ReadOptions(threads, buffers=buffers or Buffers())
    return stream(plan, COLUMNS, world, reading, ledger=booked, first_step=first_step)


def delivered(plan, workers=1, threads=2, first_step=0):
    """The row ids that all workers get, with how often; their ledgers must add up to the plan."""
    ledgers = [Ledger() for _ in range(workers)]
    seen = Counter(
        row
        for rank, ledger in enumerate(ledgers)
        for block in blocks(plan, World(rank, workers), threads, ledger, first_step)
        for row in block.keys[0].tolist()
    )
    require_complete(plan, np.sum([ledger.as_array(plan) for ledger in ledgers], axis=0), first_step)
    return seen
