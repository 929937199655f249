"""Most memory that a stream's row groups take in one worker; row groups being decoded come on top.

Each row group lies in a buffer of the size of the largest. Buffers are held by

- the row groups under the lanes: one a lane, until the lane moves on;
- those asked for: `threads * (1 + READ_AHEAD) - 1`, and all that the one step needs that was looked at last. When lanes
  have row groups of one size they move on at one step, and that step needs a row group of each;
- the reader threads: one each.

A batch that runs through whole row groups of a lane holds these too. All this is for one worker that reads whole
batches; of several, each has the row groups only of the lanes that reach into its share.
"""

from __future__ import annotations

from math import ceil

import numpy as np

from camoe.stream.planning.plan import BatchPlan
from camoe.stream.planning.quota import Counts
from camoe.stream.reading.buffers import Room
from camoe.stream.reading.columns import WORD, Columns
from camoe.stream.reading.reader import READ_AHEAD


def most_held(plan: BatchPlan, threads: int) -> int:
    """Return the buffers that a stream with so many reader threads has at once, at most."""
    return most_held_early(plan, threads) + _lanes(plan)


def most_held_early(plan: BatchPlan, threads: int) -> int:
    """Return the same as `most_held` of a stream that is open and has not given a batch yet."""
    return threads + threads * (1 + READ_AHEAD) - 1 + _begun_in_a_batch(plan)


def room_of(plan: BatchPlan, columns: Columns) -> Room:
    """Return the room of each buffer: the largest row group of the plan."""
    return Room(int(plan.row_groups.rows.max()), columns.words)


def buffer_bytes(plan: BatchPlan, columns: Columns) -> int:
    """Return the bytes of one buffer."""
    return WORD * room_of(plan, columns).size


def most_bytes(
    plan: BatchPlan, columns: Columns, threads: int, checked: BatchPlan | None = None, within: bool = False
) -> int:
    """Return the bytes of all buffers of a worker that streams epochs as `plan`, each in the memory of the one before.

    With `checked`, the plan of the validation rows, each next epoch is open while these are read; where they are read
    `within` epochs, too, an epoch is in full use meanwhile.
    """
    most, largest = most_held(plan, threads), buffer_bytes(plan, columns)
    if checked is not None:
        meanwhile = most if within else most_held_early(plan, threads)
        most = max(most, meanwhile + most_held(checked, threads))
        largest = max(largest, buffer_bytes(checked, columns))
    return most * largest


def _lanes(plan: BatchPlan) -> int:
    """Count the lanes of all slots of all strata."""
    return sum(len(plan.drawn(number, 0).lanes) for number in range(len(plan.strata)))


def _begun_in_a_batch(plan: BatchPlan) -> int:
    """Return the most row groups that a batch begins: one a lane, and another after each that it holds whole."""
    whole = (
        _whole_in_a_batch(plan, number, sources)
        for number, stratum in enumerate(plan.strata)
        for sources in stratum.sources
    )
    return _lanes(plan) + sum(whole)


def _whole_in_a_batch(plan: BatchPlan, number: int, sources: Counts) -> int:
    """Return the most row groups of one slot of a stratum, `sources`, that lie whole in one batch."""
    stratum, rows = plan.strata[number], np.sort(plan.row_groups.rows[sources])
    of_slot = int(rows.sum())
    share = of_slot / stratum.rows * stratum.epoch_rows / plan.rows
    in_batch = ceil(plan.batch_size * share + 2 * (plan.quota.bound() + plan.drawn(number, 0).bound()))
    # In a batch in which passes meet a row group can come in both.
    times = in_batch // of_slot + 2 if stratum.epoch_rows > stratum.rows else 1
    return int(np.searchsorted(np.cumsum(np.repeat(rows, times)), in_batch, side="right"))
