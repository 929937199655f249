"""Real streams in tests: all workers' rows, with their ledgers checked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np

from camoe.contracts.snapshot import pin
from camoe.stream.api import BatchPlan, Block, Ledger, ReadOptions, World, make_plan, require_complete, stream
from camoe.stream.reading.buffers import Buffers
from tests.stream.lake import COLUMNS

ONE = World(0, 1)


def plan_of(table: Path, **changes: Any) -> BatchPlan:
    """A plan of the table's newest version."""
    asked: dict[str, Any] = {"seed": 1, "epoch": 0, "batch_size": 64, "lanes": 4, **changes}
    return make_plan(pin(table), **asked)


def blocks(
    plan: BatchPlan,
    world: World = ONE,
    threads: int = 2,
    ledger: Ledger | None = None,
    first_step: int = 0,
    buffers: Buffers | None = None,
) -> Generator[Block, None, None]:
    """One worker's stream."""
    booked = Ledger() if ledger is None else ledger
    reading = ReadOptions(threads, buffers=buffers or Buffers())
    return stream(plan, COLUMNS, world, reading, ledger=booked, first_step=first_step)


def delivered(plan: BatchPlan, workers: int = 1, threads: int = 2, first_step: int = 0) -> Counter[int]:
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
