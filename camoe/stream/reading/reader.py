"""A Petastorm reader that reads the row groups it is asked for, each packed and shuffled in its worker thread."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq
from petastorm.arrow_reader_worker import ArrowReaderWorker
from petastorm.cache import NullCache
from petastorm.reader import Reader
from petastorm.workers_pool.ventilator import Ventilator

from camoe.contracts.errors import StreamError
from camoe.contracts.storage import Storage, storage_error
from camoe.stream.planning.lanes import shuffled
from camoe.stream.planning.quota import Counts
from camoe.stream.reading.buffers import Room
from camoe.stream.reading.columns import Columns, Words
from camoe.stream.reading.group import RowGroup
from camoe.stream.reading.pack import pack
from camoe.stream.reading.pool import OrderedPool

# Read-ahead: row groups a reader thread may hold besides the one in hand.
READ_AHEAD = 3
# Values of a local file that are decoded at once, at four bytes each: what the processor's cache holds.
AT_ONCE = 1 << 18
# What Petastorm tells its workers of a dataset: here a request has all.
NOTHING_TOLD = (None,) * 12

# A row group of a plan, by its number, in a pass.
Load = tuple[int, int]


@dataclass(frozen=True)
class Request:
    """`columns` of row group `group` of the file at `path` in `storage`; it must have `rows` rows, given in an order.

    `load` says which of the plan's it is, and `version` which table version lists the file. The order is drawn from
    `order_key` in the reader thread, so a request stays small. `buffer`, of the size of `room`, takes the rows and
    belongs to the request until its row group has come; `scratch` is a stack of such buffers, one for each thread.
    """

    load: Load
    storage: Storage
    version: int
    path: str
    group: int
    rows: int
    order_key: tuple[int, ...]
    columns: Columns
    room: Room
    buffer: Words
    scratch: deque[Words]

    def __str__(self) -> str:
        return f"{self.path}, row group {self.group}"


class PackedResults:
    """Queue reader that hands a worker's row groups on as they are."""

    batched_output = True

    def read_next(self, pool: OrderedPool, _schema: object, _ngram: object) -> tuple[Load, RowGroup]:
        """Return the row group requested next, and which it is. Raises StopIteration when none is due."""
        if not pool.due:
            raise StopIteration
        came: tuple[Load, RowGroup] = pool.get_results()
        return came


class PackingWorker(ArrowReaderWorker):  # type: ignore[misc]  # petastorm ships no types
    """Worker that publishes, for each request, (its load, `RowGroup`) or the `StreamError` that says why not."""

    @staticmethod
    def new_results_queue_reader() -> PackedResults:
        """Return the reader that unpacks this worker's results."""
        return PackedResults()

    def process(self, request: Request) -> None:
        """Publish the requested rows."""
        try:
            self.publish_func((request.load, read_group(request)))
        except StreamError as error:
            self.publish_func(error)


def read_group(request: Request) -> RowGroup:
    """Return the requested rows in their order.

    Raises:
        StreamError: the row group cannot be read, or is not what the plan and the columns say.
    """
    order = shuffled(request.rows, request.order_key)
    scratch = request.scratch.pop()
    try:
        return request.storage.tried(lambda: _read(request, order, scratch), str(request))
    except StreamError as error:
        raise StreamError(f"{request}: {error}") from None
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(str(request), error) from None
    finally:
        request.scratch.append(scratch)


def _read(request: Request, order: Counts, scratch: Words) -> RowGroup:
    columns, room = request.columns, request.room
    with request.storage.parquet(request.path) as source:
        at_once = len(columns.names) if request.storage.remote else max(1, AT_ONCE // request.rows)
        rows = Decoded(source, request, at_once)
        if rows.num_rows != request.rows:
            raise _changed(f"{rows.num_rows} rows where the plan has {request.rows}", request.version)
        return pack(
            rows,
            columns,
            order,
            staged=room.columns(request.buffer, request.rows),
            turned=room.records(scratch, request.rows),
            out=room.records(request.buffer, request.rows),
        )


class Decoded:
    """The columns of the requested row group, decoded `at_once` many when the first of them is asked for.

    Few at once are still in the processor's cache when they are put in order; all at once are one round trip.
    """

    def __init__(self, source: pq.ParquetFile, request: Request, at_once: int) -> None:
        self._source, self._group, self._version = source, request.group, request.version
        self._names, self._at_once = request.columns.names, at_once
        self._decoded: dict[str, pa.ChunkedArray] = {}

    @property
    def num_rows(self) -> int:
        """Rows of the row group."""
        rows: int = self._source.metadata.row_group(self._group).num_rows
        return rows

    def column(self, name: str) -> pa.ChunkedArray:
        """Return the column; those before it are let go of. Raises `StreamError` when the file has none such."""
        if name not in self._decoded:
            first = self._names.index(name)
            names = list(self._names[first : first + self._at_once])
            rows = self._source.read_row_group(self._group, columns=names, use_threads=False)
            self._decoded = dict(zip(rows.column_names, rows.itercolumns(), strict=True))
            if missing := [name for name in names if name not in self._decoded]:
                raise _changed(f"no column {', '.join(missing)}", self._version)
        return self._decoded[name]


def _changed(found: str, version: int) -> StreamError:
    return StreamError(
        f"{found}; the file changed after version {version} of the table was pinned: "
        "build the features of its day again, and start anew from the version that this makes"
    )


def _unreadable(what: str, error: Exception) -> StreamError:
    return StreamError(f"{what} cannot be read: {storage_error(error)}")


class Idle(Ventilator):  # type: ignore[misc]  # petastorm ships no types
    """Ventilator without work: Petastorm's reader wants one, but here the consumer hands out the work."""

    def start(self) -> None:
        """Do nothing: there is nothing to start."""

    def processed_item(self) -> None:
        """Do nothing: there is nothing to count."""

    def completed(self) -> bool:
        """Return True: it will hand out nothing more."""
        return True

    def stop(self) -> None:
        """Do nothing: there is nothing to stop."""


class RequestReader(Reader):  # type: ignore[misc]  # petastorm ships no types
    """Petastorm's reader, with row groups in the order of the requests.

    Petastorm's own beginning is left out. It lists files and row groups, which a plan has, through an interface that
    pyarrow has given up, and takes a schema from pickled metadata, which may run any code.
    """

    def __init__(self, pool: OrderedPool, storage: Storage) -> None:
        self.storage = storage
        self.num_epochs, self.is_batched_reader, self.ngram, self.schema = 1, True, None, None
        self.cache = NullCache()
        self._results_queue_reader = PackingWorker.new_results_queue_reader()
        self._workers_pool = self._pool = pool
        self.ventilator = Idle(pool.ventilate)
        pool.start(PackingWorker, NOTHING_TOLD, self.ventilator)
        self.last_row_consumed = self.stopped = False

    def stop(self) -> None:
        """Let the reader threads end; one that waits to try again does not wait any longer."""
        self.storage.ended.set()
        super().stop()

    @property
    def threads(self) -> int:
        """Reader threads."""
        number: int = self._pool.workers_count
        return number

    @property
    def wants_more(self) -> bool:
        """True when a reader thread would have nothing to do after its present row groups."""
        return self._pool.due < self.threads * (1 + READ_AHEAD)

    def request(self, request: Request) -> None:
        """Ask for one row group."""
        self._pool.submit(request)
