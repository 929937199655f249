"""One pass over a stratum: each slot's row groups in a shuffled order, dealt to lanes that are served side by side."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from camoe.stream.quota import Quota, make_quota

Counts = npt.NDArray[np.int64]

# Counts that are kept: where a batch ends, the next one begins.
KEPT_COUNTS = 2


@dataclass(frozen=True)
class Lane:
    """Lane `number` of a slot: row groups `sources` one after the other; `ends` counts the rows when each is through.

    A row group lies in one lane as a whole, so it is read once.
    """

    number: int
    sources: tuple[int, ...]
    ends: tuple[int, ...]

    def stretches(self, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
        """Rows `[start, stop)` of the lane as (row group, first, last) within the row group's shuffled order."""
        index = bisect_right(self.ends, start)
        begin = self.ends[index - 1] if index else 0
        while start < stop:
            end = self.ends[index]
            last = min(stop, end)
            yield self.sources[index], start - begin, last - begin
            start, begin, index = last, end, index + 1


@dataclass(frozen=True)
class Pass:
    """Every row of a stratum once. The first m rows hold each slot in proportion, and each lane within its slot."""

    lanes: tuple[Lane, ...]
    by_slot: Quota
    by_lane: tuple[Quota, ...]

    def delivered(self, first: int) -> list[int]:
        """Of the first `first` rows of the pass, those that each lane gives."""
        if first not in self._delivered:
            while len(self._delivered) >= KEPT_COUNTS:
                del self._delivered[next(iter(self._delivered))]
            shares = zip(self.by_slot(first), self.by_lane, strict=True)
            self._delivered[first] = [count for rows, quota in shares for count in quota(rows)]
        return self._delivered[first]

    @cached_property
    def _delivered(self) -> dict[int, list[int]]:
        return {}

    def bound(self) -> float:
        """The most rows by which a slot can be off its share of the pass."""
        return self.by_slot.bound()


def draw(slots: Sequence[Counts], rows: Counts, lanes: int, key: tuple[int, ...], stride: int = 1) -> Pass:
    """A pass over `slots`, each given as its row groups, of which number i has `rows[i]` rows.

    It is asked for at moments at least `stride` rows apart, and at its end.
    """
    dealt = [
        list(_deal(groups[shuffled(len(groups), (*key, slot))], rows, min(lanes, len(groups))))
        for slot, groups in enumerate(slots)
    ]
    by_lane = tuple(make_quota([lane.ends[-1] for lane in of_slot]) for of_slot in dealt)
    by_slot = make_quota([quota.rows for quota in by_lane], stride)
    return Pass(tuple(lane for of_slot in dealt for lane in of_slot), by_slot, by_lane)


def shuffled(size: int, key: tuple[int, ...]) -> Counts:
    """A permutation of `size` that depends on `key` only."""
    return np.random.Generator(np.random.PCG64(list(key))).permutation(size)


def _deal(line: Counts, rows: Counts, lanes: int) -> Iterator[Lane]:
    """`line` cut into `lanes` stretches of about equal rows, none empty."""
    ends = np.cumsum(rows[line])
    first = 0
    for number in range(lanes):
        target = int(ends[-1]) * (number + 1) // lanes
        cut = int(np.searchsorted(ends, target, side="left")) + 1
        last = min(max(cut, first + 1), len(line) - (lanes - 1 - number))
        begin = int(ends[first - 1]) if first else 0
        yield Lane(number, tuple(line[first:last].tolist()), tuple((ends[first:last] - begin).tolist()))
        first = last
