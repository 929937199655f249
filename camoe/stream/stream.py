"""From a plan to a worker's batches, each row delivered once or an error."""

from __future__ import annotations

from collections.abc import Iterator

from camoe.contracts.errors import StreamError
from camoe.stream.columns import Block, Columns, concatenate, empty_block
from camoe.stream.loads import Load, batches, loads
from camoe.stream.plan import Plan
from camoe.stream.reader import PlannedReader, Request
from camoe.stream.world import World


def stream(plan: Plan, columns: Columns, world: World, threads: int) -> Iterator[Block]:
    """One block for each step of `plan`: this worker's share of the global batch, possibly without rows.

    Only the row groups under the worker's cursors and a few read ahead are in memory.

    Raises:
        StreamError: a row group came short, or a row was not delivered.
    """
    wanted = loads(plan, world)
    if not wanted:
        yield from (empty_block(columns) for _ in range(plan.steps))
        return
    reader = PlannedReader([_request(plan, load) for load in wanted], columns, threads)
    try:
        yield from _assemble(plan, columns, world, reader, wanted)
    finally:
        reader.stop()
        reader.join()


def _assemble(
    plan: Plan, columns: Columns, world: World, reader: PlannedReader, wanted: dict[Load, int]
) -> Iterator[Block]:
    arriving = iter(wanted)
    left = dict(wanted)
    held: dict[Load, Block] = {}
    for share in batches(plan, world):
        parts = []
        for piece in share:
            while piece.load not in held:
                held[next(arriving)] = _next_block(reader)
            parts.append(held[piece.load].between(piece.start, piece.stop))
            left[piece.load] -= piece.stop - piece.start
            if left[piece.load] == 0:
                del held[piece.load], left[piece.load]
        yield concatenate(parts) if parts else empty_block(columns)
    if left:
        raise StreamError(f"{sum(left.values())} rows of the plan were not delivered to worker {world.rank}")


def _next_block(reader: PlannedReader) -> Block:
    try:
        block: Block = next(reader)
    except StopIteration:
        raise StreamError("Petastorm ended before all row groups of the plan had come") from None
    return block


def _request(plan: Plan, load: Load) -> Request:
    segment = plan.cursors[load.cursor].segments[load.segment]
    group = plan.row_groups[segment.source]
    path = plan.snapshot.files[group.file].path
    return Request(path, group.group, group.rows, plan.order_key(segment.source), segment.start, segment.stop)
