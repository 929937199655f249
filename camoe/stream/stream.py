"""A worker's batches of a plan, each row delivered once or an error."""

from __future__ import annotations

import contextlib
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field

from camoe.contracts.errors import StreamError
from camoe.contracts.snapshot import Snapshot
from camoe.contracts.storage import RETRIES, open_storage
from camoe.stream.ledger import Ledger, require_complete
from camoe.stream.planning.plan import BatchPlan, Piece, make_plan
from camoe.stream.planning.split import walk
from camoe.stream.planning.world import World
from camoe.stream.reading.buffers import Buffers
from camoe.stream.reading.columns import Block, Columns
from camoe.stream.reading.group import RowGroup, assemble
from camoe.stream.reading.held import room_of
from camoe.stream.reading.pool import OrderedPool
from camoe.stream.reading.reader import Load, Request, RequestReader

# Batches whose row groups are asked for ahead of time, at most.
HORIZON = 512


def say_on_stderr(text: str) -> None:
    """Print on stderr what a stream waits for; the default of `say`."""
    print(f"stream: {text}", file=sys.stderr, flush=True)


@dataclass(frozen=True)
class ReadOptions:
    """Options of reading: reader threads, and after how many seconds of waiting for a row group `say` is called.

    A read whose connection to an object store broke is tried again `retries` times, and `say` is called each time.
    Streams with the same `buffers`, of one thread, use each other's memory again.
    """

    threads: int = 2
    patience_s: float = 30.0
    say: Callable[[str], None] = say_on_stderr
    retries: int = RETRIES
    buffers: Buffers = field(default_factory=Buffers)


def all_rows(snapshot: Snapshot, columns: Columns, batch_size: int) -> Generator[Block, None, None]:
    """Yield every row of `snapshot` once, in blocks of `batch_size`, to one reader alone; it is checked at the end.

    Raises:
        StreamError: as `stream` does; or not each row came exactly once.
    """
    plan, ledger = make_plan(snapshot, seed=0, epoch=0, batch_size=batch_size, lanes=1), Ledger()
    with contextlib.closing(stream(plan, columns, World(0, 1), ReadOptions(), ledger=ledger)) as blocks:
        yield from blocks
    require_complete(plan, ledger.as_array(plan))


def stream(
    plan: BatchPlan, columns: Columns, world: World, reading: ReadOptions, *, ledger: Ledger, first_step: int = 0
) -> Generator[Block, None, None]:
    """Yield a block for each step of `plan` from `first_step` on: the worker's share of the batch, maybe no rows.

    Reading begins at once, so a stream that is opened early has its first batch ready. Only the row groups under the
    worker's lanes and a few read ahead are in memory. What was delivered is booked in `ledger`: `require_complete`
    checks the sum over all workers.

    Raises:
        StreamError: a row group came short or could not be read; names it.
    """
    blocks = _begun(plan, columns, world, reading, ledger=ledger, first_step=first_step)
    # It runs up to where the first row groups are asked for; from there on it cleans up behind itself.
    next(blocks)
    return blocks


def _begun(
    plan: BatchPlan, columns: Columns, world: World, reading: ReadOptions, *, ledger: Ledger, first_step: int
) -> Generator[Block, None, None]:
    """Yield an empty block when the first row groups are asked for, then those of `stream`."""

    def say(text: str) -> None:
        reading.say(f"worker {world.rank} {text}")

    storage = open_storage(plan.snapshot.table, reading.retries, say)
    pool = OrderedPool(reading.threads, reading.patience_s, say)
    reader = RequestReader(pool, storage)
    assembly = _Assembly(plan, columns, walk(plan, world, first_step), reader, reading.buffers)
    failure: Exception | None = None
    try:
        assembly.look_ahead()
        yield assemble(columns, [])
        yield from assembly.blocks(ledger)
    except Exception as error:
        failure = error
        raise
    finally:
        _end(reader, failure)
    assembly.give_back()


def _end(reader: RequestReader, failure: Exception | None) -> None:
    """Let the reader threads end. One that does not is an error, or a note on the `failure` that ended the stream."""
    reader.stop()
    try:
        reader.join()
    except StreamError as error:
        if failure is None:
            raise
        failure.add_note(str(error))


class _Assembly:
    """Maker of a worker's batches: asks for row groups in the order they are needed in, and cuts batches from them."""

    def __init__(
        self, plan: BatchPlan, columns: Columns, shares: Iterator[list[Piece]], reader: RequestReader, buffers: Buffers
    ) -> None:
        self._plan, self._columns, self._shares, self._reader = plan, columns, shares, reader
        self._coming: deque[list[Piece]] = deque()
        # By lane: the row group asked for last, and the one in use.
        self._asked: dict[tuple[int, int], Load] = {}
        self._held: dict[tuple[int, int], tuple[Load, RowGroup]] = {}
        self._passed: list[RowGroup] = []
        self._buffers, self._room = buffers, room_of(plan, columns)
        # A stack for the reader threads, with room for each.
        self._scratch = deque(buffers.take(self._room.size) for _ in range(reader.threads))

    def blocks(self, ledger: Ledger) -> Iterator[Block]:
        """Yield the worker's share of each step."""
        while self.look_ahead():
            share = self._coming.popleft()
            block = assemble(self._columns, [(self._group(piece), piece.start, piece.stop) for piece in share])
            self._give(self._passed)
            self._passed.clear()
            for piece in share:
                ledger.add(self._plan, piece)
            yield block

    def give_back(self) -> None:
        """Let other streams have the memory; the reader threads have ended."""
        self._give(group for _, group in self._held.values())
        for buffer in self._scratch:
            self._buffers.give(buffer)

    def _give(self, groups: Iterable[RowGroup]) -> None:
        for group in groups:
            self._buffers.give(group.records)

    def look_ahead(self) -> bool:
        """Ask for the row groups that the coming steps need; return whether there is a step to come."""
        while not self._coming or (self._reader.wants_more and len(self._coming) < HORIZON):
            share = next(self._shares, None)
            if share is None:
                break
            for piece in share:
                lane, load = (piece.stratum, piece.lane), (piece.source, piece.cycle)
                if self._asked.get(lane) != load:
                    self._asked[lane] = load
                    self._reader.request(self._request(piece))
            self._coming.append(share)
        return bool(self._coming)

    def _group(self, piece: Piece) -> RowGroup:
        """Return the row group of `piece`; a lane's row group goes when the lane moves on to the next."""
        lane, load = (piece.stratum, piece.lane), (piece.source, piece.cycle)
        held = self._held.get(lane)
        if held is not None and held[0] == load:
            return held[1]
        if held is not None:
            self._passed.append(held[1])
        group = self._next_group(load)
        self._held[lane] = (load, group)
        return group

    def _next_group(self, load: Load) -> RowGroup:
        """Return the next row group, which must be `load`: the ledger books the planned one, so no other may come."""
        came: Load
        group: RowGroup
        try:
            came, group = next(self._reader)
        except StopIteration:
            raise StreamError("the reader ended before all row groups of the plan had come") from None
        if came != load:
            raise StreamError(
                f"{self._plan.name_of(*came)} came where {self._plan.name_of(*load)} was due; "
                "this is a fault of the stream: do not use what was trained on it"
            )
        return group

    def _request(self, piece: Piece) -> Request:
        plan, source = self._plan, piece.source
        room = self._room
        return Request(
            load=(source, piece.cycle),
            storage=self._reader.storage,
            version=plan.snapshot.version,
            path=plan.snapshot.files[int(plan.row_groups.file[source])].path,
            group=int(plan.row_groups.group[source]),
            rows=plan.rows_of(source),
            order_key=plan.order_key(source, piece.cycle),
            columns=self._columns,
            room=room,
            buffer=self._buffers.take(room.size),
            scratch=self._scratch,
        )
