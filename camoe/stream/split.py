"""Which rows of which row groups each worker's share of a batch is made of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from camoe.stream.plan import Plan, Take
from camoe.stream.world import World


class Piece(NamedTuple):
    """Rows `[start, stop)` of the order that row group number `source` has in pass `cycle` of a stratum.

    They are due in a lane of the stratum; a lane only moves on.
    """

    stratum: int
    lane: int
    cycle: int
    source: int
    start: int
    stop: int


def split(plan: Plan, step: int, world: World) -> Iterator[Take]:
    """The part of the global batch of `step` that belongs to one worker: sizes differ by one row at the most."""
    first, last = world.share(plan.batch_rows(step))
    offset = 0
    for take in plan.batch(step):
        end = offset + take.stop - take.start
        if first <= offset and end <= last:
            yield take
        elif max(first, offset) < min(last, end):
            yield take._replace(start=take.start + max(first - offset, 0), stop=take.stop - max(end - last, 0))
        offset = end


def pieces(plan: Plan, step: int, world: World) -> list[Piece]:
    """One worker's share of the global batch of `step`, cut at the bounds of row groups."""
    found: list[Piece] = []
    for stratum, cycle, number, first, last in split(plan, step, world):
        lane = plan.drawn(stratum, cycle).lanes[number]
        for source, start, stop in lane.stretches(first, last):
            found.append(Piece(stratum, number, cycle, source, start, stop))
    return found
