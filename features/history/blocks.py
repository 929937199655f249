"""Blocks of days, aligned and nested: what a long window holds is the sum of a few of them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, timedelta

from camoe.contracts.days import days_between
from features.history.keys import Layout

# Days of a block whose sums are kept; each size is eight times the one before it, which adds up to it.
SIZES = (8, 64, 512)
EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, order=True)
class Block:
    """The `days` days from `first` on, on which things became known; a day alone is one, too."""

    first: date
    days: int = 1

    @property
    def last(self) -> date:
        """The last day."""
        return self.first + timedelta(days=self.days - 1)

    def sources(self, layout: Layout) -> tuple[date, ...]:
        """Return the days of which something can become known on one of the block's."""
        first = max(layout.history.since, self.first - timedelta(days=layout.lag_days))
        return days_between(first, self.last)


def holding(day: date, size: int) -> Block:
    """Return the block of `size` days that `day` lies in."""
    return Block(day - timedelta(days=(day - EPOCH).days % size), size)


def cover(first: date, last: date, have: Collection[Block]) -> list[Block]:
    """Return the fewest blocks that hold each day from `first` to `last` once: single days, and blocks of `have`."""
    found: list[Block] = []
    while first <= last:
        starting = [Block(first), *(holding(first, size) for size in SIZES)]
        fitting = [one for one in starting if one.first == first and one.last <= last]
        found.append(max(one for one in fitting if one.days == 1 or one in have))
        first = found[-1].last + timedelta(days=1)
    return found


def whole_blocks(days: Collection[date], size: int, layout: Layout) -> list[Block]:
    """Return the blocks of `size` days all of whose sources are among `days`, from the history's beginning on."""
    there = {block for block in {holding(day, size) for day in days} if block.first >= layout.history.since}
    return sorted(block for block in there if set(block.sources(layout)) <= set(days))
