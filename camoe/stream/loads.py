"""Which row groups one worker reads in an epoch, in the order in which its batches need them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from camoe.stream.plan import Plan, Take, split
from camoe.stream.world import World


@dataclass(frozen=True)
class Load:
    """Segment number `segment` of cursor number `cursor`."""

    cursor: int
    segment: int


@dataclass(frozen=True)
class Piece:
    """Rows `[start, stop)` of a loaded segment."""

    load: Load
    start: int
    stop: int


def pieces(plan: Plan, take: Take, first_segment: int = 0) -> Iterator[Piece]:
    """`take` cut at the bounds of its segments; those before `first_segment` are known to lie before it."""
    cursor = plan.cursors[take.cursor]
    for index in range(first_segment, len(cursor.segments)):
        segment, end = cursor.segments[index], cursor.ends[index]
        begin = end - (segment.stop - segment.start)
        if begin >= take.stop:
            return
        start, stop = max(take.start, begin), min(take.stop, end)
        if start < stop:
            yield Piece(Load(take.cursor, index), start - begin, stop - begin)


def batches(plan: Plan, world: World) -> Iterator[list[Piece]]:
    """For each step of the epoch, the pieces that make up the worker's share of the batch."""
    reached = [0] * len(plan.cursors)
    for step in range(plan.steps):
        share: list[Piece] = []
        for take in split(plan, step, world):
            share.extend(pieces(plan, take, reached[take.cursor]))
            reached[take.cursor] = share[-1].load.segment
        yield share


def loads(plan: Plan, world: World) -> dict[Load, int]:
    """Every segment that the worker needs, in order of first need, and the rows it takes of it."""
    needed: dict[Load, int] = {}
    for share in batches(plan, world):
        for piece in share:
            needed[piece.load] = needed.get(piece.load, 0) + piece.stop - piece.start
    return needed
