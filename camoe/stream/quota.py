"""How many rows of each slot have been delivered after each batch: proportional, to within one row.

This is just-in-time sequencing: after batch k, slot s must have had floor or ceil of its exact quota
q_s(k) = S_s * T_k / T, never less than before, with the batch exactly full. A schedule with every deviation below one
row exists (Tijdeman, "The chairman assignment problem", 1980), and serving the earliest deadline first finds it,
because all jobs are of unit length (Jackson's rule).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]


def cumulative_quota(rows_per_slot: Counts, batch_size: int) -> Counts:
    """Rows of each slot delivered before each step, `[steps + 1, slots]`; row 0 is zero, the last row `rows_per_slot`.

    Every batch has `batch_size` rows but the last, which has what is left.
    """
    total = int(rows_per_slot.sum())
    steps = -(-total // batch_size)
    delivered = np.zeros((steps + 1, len(rows_per_slot)), dtype=np.int64)
    for step in range(1, steps + 1):
        delivered[step] = _advance(delivered[step - 1], rows_per_slot, min(step * batch_size, total), total)
    return delivered


def _advance(before: Counts, rows_per_slot: Counts, target: int, total: int) -> Counts:
    exact = rows_per_slot * target
    due = exact // total
    after = np.maximum(before, due)
    spare = target - int(after.sum())
    if spare == 0:
        return after
    ceiling = -(-exact // total)
    open_slots = np.flatnonzero(after < ceiling)
    # The next row of slot s falls due when its quota reaches after + 1, at row (after + 1) * T / S_s.
    deadline = (after[open_slots] + 1) * (total / rows_per_slot[open_slots])
    chosen = open_slots[np.argsort(deadline, kind="stable")[:spare]]
    after[chosen] += 1
    return after
