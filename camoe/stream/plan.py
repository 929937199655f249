"""The plan of an epoch: global batches as a pure function of (snapshot, seed, epoch, batch size, lanes).

Each slot's row groups are shuffled and laid end to end. `lanes` cursors start at equal distances along this line, and
a batch takes each slot's rows from its lanes in turn; the rows of a row group come in a shuffled order of their own.
So a batch mixes every slot in proportion and `lanes` row groups of each slot, every row comes exactly once, and only
the row groups under the cursors are in memory. A batch is laid out lane by lane: a worker takes a contiguous share of
it and so reads about 1/N of the row groups. Nothing here depends on the number of workers.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from camoe.contracts.snapshot import Snapshot
from camoe.stream.quota import Counts, cumulative_quota
from camoe.stream.world import World


@dataclass(frozen=True)
class RowGroup:
    """Row group `group` of the snapshot's file number `file`."""

    file: int
    group: int
    rows: int


@dataclass(frozen=True)
class Segment:
    """Positions `[start, stop)` of the shuffled order of row group number `source`."""

    source: int
    start: int
    stop: int


@dataclass(frozen=True)
class Cursor:
    """What one lane of one slot delivers: its segments, one after the other."""

    slot: int
    lane: int
    segments: tuple[Segment, ...]

    @cached_property
    def ends(self) -> tuple[int, ...]:
        """Rows delivered when each segment ends."""
        return tuple(itertools.accumulate(segment.stop - segment.start for segment in self.segments))


@dataclass(frozen=True)
class Take:
    """Rows `[start, stop)` of what cursor number `cursor` delivers."""

    cursor: int
    start: int
    stop: int


@dataclass(frozen=True)
class Plan:
    """All batches of one epoch. `delivered[k, s]` counts the rows of slot s in the batches before step k."""

    snapshot: Snapshot
    seed: int
    epoch: int
    batch_size: int
    lanes: int
    slots: tuple[str, ...]
    row_groups: tuple[RowGroup, ...]
    cursors: tuple[Cursor, ...]
    delivered: Counts

    @property
    def steps(self) -> int:
        """Batches of the epoch."""
        return len(self.delivered) - 1

    @property
    def rows(self) -> int:
        """Rows of the epoch: every row of the snapshot once."""
        return int(self.delivered[-1].sum())

    def batch_rows(self, step: int) -> int:
        """Rows of the global batch of `step`."""
        return int(self.delivered[step + 1].sum() - self.delivered[step].sum())

    def batch(self, step: int) -> Iterator[Take]:
        """The global batch of `step`, lane by lane."""
        before, after = self.delivered[step].tolist(), self.delivered[step + 1].tolist()
        for index, cursor in enumerate(self.cursors):
            start = _lane_rows(before[cursor.slot], cursor.lane, self.lanes)
            stop = _lane_rows(after[cursor.slot], cursor.lane, self.lanes)
            if start < stop:
                yield Take(index, start, stop)

    def permutation(self, source: int) -> Counts:
        """The shuffled order of row group number `source`: row numbers within the row group."""
        return shuffled(self.row_groups[source].rows, self.order_key(source))

    def order_key(self, source: int) -> tuple[int, ...]:
        """What the shuffled order of row group number `source` is drawn from."""
        return (self.seed, self.epoch, 1, source)

    def content_hash(self) -> str:
        """First 16 hex digits of a SHA-256 over all that determines the batches."""
        what = [self.snapshot.content_hash(), self.seed, self.epoch, self.batch_size, self.lanes]
        return hashlib.sha256(repr(what).encode()).hexdigest()[:16]


def shuffled(size: int, key: tuple[int, ...]) -> Counts:
    """A permutation of `size` that depends on `key` only."""
    return np.random.Generator(np.random.PCG64(list(key))).permutation(size)


def make_plan(snapshot: Snapshot, *, seed: int, epoch: int, batch_size: int, lanes: int) -> Plan:
    """Plan one epoch over every row of `snapshot`."""
    slots = tuple(sorted({file.slot for file in snapshot.files if file.rows}))
    row_groups = tuple(
        RowGroup(number, group, rows)
        for number, file in enumerate(snapshot.files)
        for group, rows in enumerate(file.row_groups)
        if rows
    )
    lines = [_shuffled_line(snapshot, row_groups, slot, (seed, epoch, 0, index)) for index, slot in enumerate(slots)]
    cursors = tuple(
        Cursor(slot, lane, tuple(_cut(lines[slot], row_groups, lane, lanes)))
        for lane in range(lanes)
        for slot in range(len(slots))
    )
    totals = np.array([sum(row_groups[source].rows for source in line) for line in lines], dtype=np.int64)
    delivered = cumulative_quota(totals, batch_size)
    return Plan(snapshot, seed, epoch, batch_size, lanes, slots, row_groups, cursors, delivered)


def split(plan: Plan, step: int, world: World) -> Iterator[Take]:
    """The part of the global batch of `step` that belongs to one worker: sizes differ by one row at the most."""
    first, last = world.share(plan.batch_rows(step))
    offset = 0
    for take in plan.batch(step):
        size = take.stop - take.start
        start, stop = max(first - offset, 0), min(last - offset, size)
        if start < stop:
            yield Take(take.cursor, take.start + start, take.start + stop)
        offset += size


def row_names(plan: Plan, take: Take) -> Counts:
    """The rows of `take` as `[rows, 3]`: file number, row group, row within the row group."""
    cursor = plan.cursors[take.cursor]
    parts = []
    for segment, end in zip(cursor.segments, cursor.ends, strict=True):
        begin = end - (segment.stop - segment.start)
        start, stop = max(take.start, begin), min(take.stop, end)
        if start < stop:
            group = plan.row_groups[segment.source]
            chosen = plan.permutation(segment.source)[segment.start + start - begin : segment.start + stop - begin]
            parts.append(np.column_stack([np.full_like(chosen, group.file), np.full_like(chosen, group.group), chosen]))
    return np.concatenate(parts) if parts else np.empty((0, 3), dtype=np.int64)


def _lane_rows(delivered: int, lane: int, lanes: int) -> int:
    """Of a slot's first `delivered` rows, those that come from `lane` when the lanes serve in turn."""
    return (delivered + lanes - 1 - lane) // lanes


def _shuffled_line(
    snapshot: Snapshot, row_groups: tuple[RowGroup, ...], slot: str, key: tuple[int, ...]
) -> tuple[int, ...]:
    of_slot = [source for source, group in enumerate(row_groups) if snapshot.files[group.file].slot == slot]
    return tuple(of_slot[position] for position in shuffled(len(of_slot), key))


def _cut(line: tuple[int, ...], row_groups: tuple[RowGroup, ...], lane: int, lanes: int) -> Iterator[Segment]:
    """The stretch of a slot's line that belongs to `lane`; lanes before it hold the rows that `_lane_rows` gives."""
    total = sum(row_groups[source].rows for source in line)
    first = sum(_lane_rows(total, earlier, lanes) for earlier in range(lane))
    last = first + _lane_rows(total, lane, lanes)
    offset = 0
    for source in line:
        rows = row_groups[source].rows
        start, stop = max(first - offset, 0), min(last - offset, rows)
        if start < stop:
            yield Segment(source, start, stop)
        offset += rows
