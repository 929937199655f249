"""Each worker's share of a batch: rows by row group."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from camoe.stream.planning.plan import BatchPlan, Piece
from camoe.stream.planning.world import World

# Steps that are worked out together: numpy's cost of a call is shared by them.
RUN = 64


def split(plan: BatchPlan, step: int, world: World) -> list[Piece]:
    """Return the part of the global batch of `step` that belongs to one worker: sizes differ by one row at the most."""
    return next(_of_run(plan, range(step, step + 1), world))


def walk(plan: BatchPlan, world: World, first_step: int = 0) -> Iterator[list[Piece]]:
    """Yield one worker's part of each global batch from `first_step` on."""
    for first in range(first_step, plan.steps, RUN):
        yield from _of_run(plan, range(first, min(first + RUN, plan.steps)), world)


def _of_run(plan: BatchPlan, steps: range, world: World) -> Iterator[list[Piece]]:
    batches = plan.batches(steps)
    rows = np.array([plan.batch_rows(step) for step in steps])
    first, last = world.share(rows)
    size = batches.stop - batches.start
    # Rows of the batch before the piece.
    offset = np.cumsum(size) - size - (np.cumsum(rows) - rows)[batches.step]
    start = batches.start + np.maximum(first[batches.step] - offset, 0)
    stop = batches.stop - np.maximum(offset + size - last[batches.step], 0)
    mine = start < stop
    columns = (batches.stratum, batches.lane, batches.cycle, batches.source, start, stop)
    pieces = list(map(Piece._make, zip(*(column[mine].tolist() for column in columns), strict=True)))
    bounds = np.searchsorted(batches.step[mine], np.arange(len(steps) + 1)).tolist()
    for begin, end in pairwise(bounds):
        yield pieces[begin:end]
