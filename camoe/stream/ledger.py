"""Accounts of the rows that a stream delivers of each row group, checked against the plan and so the Delta log.

The rows of a row group are delivered as intervals of its order. A row group's account holds the rows, and the sum of
`h(stop) - h(start)` over the intervals, modulo 2**64, with a hash h. Intervals that follow each other without gap or
overlap add up to the hash of the last bound minus the hash of the first, whoever delivered them and in whichever
order; a gap that an overlap makes up for does not.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from camoe.contracts.errors import StreamError
from camoe.stream.planning.plan import BatchPlan, Piece
from camoe.stream.planning.quota import Counts

MASK = (1 << 64) - 1


@dataclass(frozen=True)
class Ledger:
    """Account of what one worker has delivered of each row group of a plan: rows, and the trace of their intervals."""

    rows: dict[int, int] = field(default_factory=dict)
    trace: dict[int, int] = field(default_factory=dict)
    # By row group and pass: the stretch that the last pieces make up, not yet in the accounts.
    open: dict[tuple[int, int], tuple[int, int]] = field(default_factory=dict)

    def add(self, plan: BatchPlan, piece: Piece) -> None:
        """Book one delivered piece."""
        _, _, cycle, source, start, stop = piece
        first, last = self.open.get((source, cycle), (start, start))
        if last != start:
            self._close(plan, source, cycle)
            first = start
        self.open[source, cycle] = first, stop
        if stop == plan.rows_of(source):
            self._close(plan, source, cycle)

    def _close(self, plan: BatchPlan, source: int, cycle: int) -> None:
        start, stop = self.open.pop((source, cycle))
        begin = cycle * plan.rows_of(source)
        step = _hash(begin + stop) - _hash(begin + start)
        self.rows[source] = self.rows.get(source, 0) + stop - start
        self.trace[source] = (self.trace.get(source, 0) + step) & MASK

    def as_array(self, plan: BatchPlan) -> Counts:
        """Return both accounts as int64 `[2, row groups]`, to be summed over all workers; sums may wrap around."""
        for source, cycle in list(self.open):
            self._close(plan, source, cycle)
        groups = range(len(plan.row_groups.rows))
        rows = np.array([self.rows.get(source, 0) for source in groups], dtype=np.int64)
        trace = np.array([self.trace.get(source, 0) for source in groups], dtype=np.uint64)
        return np.stack([rows, trace.view(np.int64)])


def require_complete(plan: BatchPlan, summed: Counts, first_step: int = 0, stop_step: int | None = None) -> None:
    """Check that all workers together delivered the steps from `first_step` on, up to `stop_step` (default: the end).

    `summed` is the sum of their ledgers.

    Raises:
        StreamError: a row is missing or came twice; names the file and the row group.
    """
    before, after = plan.delivered(first_step), plan.delivered(plan.steps if stop_step is None else stop_step)
    bounds = zip(before.tolist(), after.tolist(), strict=True)
    trace = np.array([(_hash(last) - _hash(first)) & MASK for first, last in bounds], dtype=np.uint64)
    wrong = np.flatnonzero((summed[0] != after - before) | (summed[1] != trace.view(np.int64)))
    if len(wrong):
        source = int(wrong[0])
        file = plan.snapshot.files[int(plan.row_groups.file[source])]
        raise StreamError(
            f"{file.path}, row group {plan.row_groups.group[source]}: rows are missing or came twice: "
            f"{summed[0, source]} rows delivered, {after[source] - before[source]} planned "
            f"({len(wrong)} row groups are wrong); do not use what was trained on them"
        )


def _hash(value: int) -> int:
    """Apply the finaliser of SplitMix64 (Steele, Lea & Flood, 2014): it mixes 64 bits, and 0 stays 0."""
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & MASK
    return value ^ (value >> 31)
