"""One pass over a stratum: each slot's row groups in a shuffled order, dealt to lanes that are served side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from camoe.stream.planning.quota import Counts, Quota, make_quota


@dataclass(frozen=True)
class Lane:
    """Lane `number` of a slot: row groups `sources` one after the other; `ends` counts the rows when each is through.

    A row group lies in one lane as a whole, so it is read once.
    """

    number: int
    sources: tuple[int, ...]
    ends: tuple[int, ...]


class Cut(NamedTuple):
    """Pieces of a pass from moment number `moment` to the next: rows `[start, stop)` of the order of `source`.

    Columns, one entry a piece; a row group's piece comes from the lane at `lane`.
    """

    moment: Counts
    lane: Counts
    source: Counts
    start: Counts
    stop: Counts


class Line(NamedTuple):
    """Row groups on one line: number, rows, and the rows up to its end; and where on the line each lane begins."""

    source: Counts
    rows: Counts
    end: Counts
    lane_begin: Counts


@dataclass(frozen=True)
class Pass:
    """Every row of a stratum once. The first m rows hold each slot in proportion, and each lane within its slot."""

    lanes: tuple[Lane, ...]
    by_slot: Quota
    by_lane: tuple[Quota, ...]

    def delivered(self, first: Counts) -> Counts:
        """Return, of the first `first` `[moments]` rows of the pass, those that each lane gives: `[moments, lanes]`."""
        shares = zip(self.by_slot(first), self.by_lane, strict=True)
        return np.concatenate([quota(rows) for rows, quota in shares]).T

    def cut(self, moments: Counts) -> Cut:
        """Return what the pass gives from each of the `moments` to the next; these are numbers of rows, and rise."""
        given = self.delivered(moments)
        begin, end = given[:-1] + self._line.lane_begin, given[1:] + self._line.lane_begin
        moment, lane = np.nonzero(begin < end)
        begin, end = begin[moment, lane], end[moment, lane]
        head = np.searchsorted(self._line.end, begin, side="right")
        times = np.searchsorted(self._line.end, end, side="left") - head + 1
        # A stretch over several row groups is as many pieces.
        whole = np.repeat(np.arange(len(times)), times)
        at = head[whole] + np.arange(len(whole)) - np.repeat(np.cumsum(times) - times, times)
        origin = self._line.end[at] - self._line.rows[at]
        start = np.maximum(begin[whole], origin) - origin
        stop = np.minimum(end[whole], self._line.end[at]) - origin
        return Cut(moment[whole], lane[whole], self._line.source[at], start, stop)

    @cached_property
    def numbers(self) -> Counts:
        """The number of each lane within its slot."""
        return np.array([lane.number for lane in self.lanes], dtype=np.int64)

    @cached_property
    def _line(self) -> Line:
        """The lanes' row groups, one after the other."""
        source = np.concatenate([lane.sources for lane in self.lanes])
        rows = np.concatenate([np.diff((0, *lane.ends)) for lane in self.lanes])
        lane_begin = np.cumsum([0, *(lane.ends[-1] for lane in self.lanes[:-1])])
        return Line(source, rows, np.cumsum(rows), lane_begin)

    def bound(self) -> float:
        """Return the most rows by which a slot can be off its share of the pass."""
        return self.by_slot.bound()


def draw(slots: Sequence[Counts], rows: Counts, lanes: int, key: tuple[int, ...], stride: int = 1) -> Pass:
    """Draw a pass over `slots`, each given as its row groups, of which number i has `rows[i]` rows.

    It is to be cut at moments at least `stride` rows apart, and at its end.
    """
    dealt = [
        list(_deal(groups[shuffled(len(groups), (*key, slot))], rows, min(lanes, len(groups))))
        for slot, groups in enumerate(slots)
    ]
    by_lane = tuple(make_quota([lane.ends[-1] for lane in of_slot]) for of_slot in dealt)
    by_slot = make_quota([quota.rows for quota in by_lane], stride)
    return Pass(tuple(lane for of_slot in dealt for lane in of_slot), by_slot, by_lane)


def shuffled(size: int, key: tuple[int, ...]) -> Counts:
    """Return a permutation of `size` that depends on `key` only."""
    return np.random.Generator(np.random.PCG64(list(key))).permutation(size)


def _deal(line: Counts, rows: Counts, lanes: int) -> Iterator[Lane]:
    """Cut `line` into `lanes` stretches of about equal rows, none empty."""
    ends = np.cumsum(rows[line])
    first = 0
    for number in range(lanes):
        target = int(ends[-1]) * (number + 1) // lanes
        cut = int(np.searchsorted(ends, target, side="left")) + 1
        last = min(max(cut, first + 1), len(line) - (lanes - 1 - number))
        begin = int(ends[first - 1]) if first else 0
        yield Lane(number, tuple(line[first:last].tolist()), tuple((ends[first:last] - begin).tolist()))
        first = last
