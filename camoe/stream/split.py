"""Which rows of which row groups each worker's share of a batch is made of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from camoe.stream.plan import Plan, Take
from camoe.stream.world import World


class Load(NamedTuple):
    """Row group number `source`, in its order of pass `cycle`."""

    source: int
    cycle: int


class Piece(NamedTuple):
    """Rows `[start, stop)` of a row group's order, which are due in `lane` (stratum, lane). A lane only moves on."""

    lane: tuple[int, int]
    load: Load
    start: int
    stop: int


def split(plan: Plan, step: int, world: World) -> Iterator[Take]:
    """The part of the global batch of `step` that belongs to one worker: sizes differ by one row at the most."""
    first, last = world.share(plan.batch_rows(step))
    offset = 0
    for take in plan.batch(step):
        size = take.stop - take.start
        start, stop = max(first - offset, 0), min(last - offset, size)
        if start < stop:
            yield Take(take.stratum, take.cycle, take.lane, take.start + start, take.start + stop)
        offset += size


def pieces(plan: Plan, step: int, world: World) -> list[Piece]:
    """One worker's share of the global batch of `step`, cut at the bounds of row groups."""
    found: list[Piece] = []
    for take in split(plan, step, world):
        lane = plan.drawn(take.stratum, take.cycle).lanes[take.lane]
        found.extend(
            Piece((take.stratum, take.lane), Load(source, take.cycle), start, stop)
            for source, start, stop in lane.stretches(take.start, take.stop)
        )
    return found
