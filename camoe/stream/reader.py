"""A Petastorm reader that reads the row groups it is asked for, each packed and shuffled in its worker thread."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import pyarrow as pa
from petastorm.arrow_reader_worker import ArrowReaderWorker
from petastorm.reader import Reader
from petastorm.workers_pool.ventilator import Ventilator
from pyarrow.filesystem import FileSystem

from camoe.contracts.errors import StreamError
from camoe.contracts.storage import Storage, explained, path_of
from camoe.stream.columns import Block, Columns, Words
from camoe.stream.lanes import shuffled
from camoe.stream.pack import pack
from camoe.stream.pool import OrderedPool

# Read-ahead: row groups a reader thread may hold besides the one in hand.
READ_AHEAD = 1


@dataclass(frozen=True)
class Request:
    """`columns` of row group `group` of the file at `path` in `storage`; it must have `rows` rows, given in an order.

    The order is drawn from `order_key` in the reader thread, so a request stays small. The rows are laid out in
    `scratch` and go into `records`, both of `rows` rows, which belong to the request until its block has come.
    """

    storage: Storage
    path: str
    group: int
    rows: int
    order_key: tuple[int, ...]
    columns: Columns
    scratch: Words
    records: Words

    def __str__(self) -> str:
        return f"{self.path}, row group {self.group}"


class PackedResults:
    """Hands a worker's blocks on as they are."""

    batched_output = True

    def read_next(self, pool: OrderedPool, _schema: object, _ngram: object) -> Block:
        """The next block in the order of the requests. Raises StopIteration when none is due."""
        if not pool.due:
            raise StopIteration
        block: Block = pool.get_results()
        return block


class PackingWorker(ArrowReaderWorker):  # type: ignore[misc]  # petastorm ships no types
    """Reads one row group a request and publishes it as a `Block`, or the `StreamError` that says why not."""

    @staticmethod
    def new_results_queue_reader() -> PackedResults:
        """What unpacks this worker's results."""
        return PackedResults()

    def process(self, request: Request) -> None:
        """Publish the requested rows."""
        try:
            self.publish_func(read_block(request))
        except StreamError as error:
            self.publish_func(error)


def read_block(request: Request) -> Block:
    """The requested rows in their order.

    Raises:
        StreamError: the row group cannot be read, or is not what the plan and the columns say.
    """
    columns = request.columns
    try:
        table = request.storage.tried(lambda: _read(request), str(request))
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(str(request), error) from None
    missing = [name for name in columns.names if name not in table.column_names]
    if table.num_rows != request.rows or missing:
        rows = f"{table.num_rows} rows where the plan has {request.rows}"
        found = f"no column {', '.join(missing)}" if missing else rows
        raise StreamError(f"{request}: {found}; the file changed after the table version was pinned")
    try:
        packed = pack(table, columns, request.scratch)
    except StreamError as error:
        raise StreamError(f"{request}: {error}") from None
    return packed.reorder(shuffled(request.rows, request.order_key), request.records)


def _read(request: Request) -> pa.Table:
    with request.storage.parquet(request.path) as source:
        return source.read_row_group(request.group, columns=list(request.columns.names), use_threads=False)


def _unreadable(what: str, error: Exception) -> StreamError:
    return StreamError(f"{what} cannot be read: {explained(error)}")


class SingleFiles(FileSystem):  # type: ignore[misc]  # pyarrow ships no types
    """The files of a storage through pyarrow's old interface, the only one that Petastorm's reader takes."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def isdir(self, _path: str) -> bool:
        """No: the reader is given one file."""
        return False

    def isfile(self, _path: str) -> bool:
        """As far as is known; `open` tells otherwise and says why."""
        return True

    def open(self, path: str, mode: str = "rb") -> pa.NativeFile:
        """The file at `path`, for reading."""
        if mode != "rb":
            raise ValueError(f"{path} was to be opened as {mode}, and a stream only reads")
        return self._storage.filesystem.open_input_file(path)


class Idle(Ventilator):  # type: ignore[misc]  # petastorm ships no types
    """Petastorm's reader wants something that hands out work; here the consumer does it."""

    def start(self) -> None:
        """Nothing to start."""

    def processed_item(self) -> None:
        """Nothing to count."""

    def completed(self) -> bool:
        """It will hand out nothing more."""
        return True

    def stop(self) -> None:
        """Nothing to stop."""


class RequestReader(Reader):  # type: ignore[misc]  # petastorm ships no types
    """Petastorm's reader, with blocks in the order of the requests.

    Petastorm infers a schema from the file at `example`, one file of the pinned version; the others' footers were read
    when it was pinned.

    Raises:
        StreamError: that file cannot be read.
    """

    def __init__(self, example: str, columns: Columns, pool: OrderedPool, storage: Storage) -> None:
        self._pool = pool
        self.storage = storage
        begin = partial(
            super().__init__,
            SingleFiles(storage),
            [path_of(example)],
            schema_fields=list(columns.names),
            worker_class=PackingWorker,
            reader_pool=pool,
            is_batched_reader=True,
        )
        try:
            storage.tried(begin, f"the schema of {example}")
        except (OSError, pa.ArrowException) as error:
            raise _unreadable(example, error) from None

    def stop(self) -> None:
        """Let the reader threads end; one that waits to try again does not wait any longer."""
        self.storage.ended.set()
        super().stop()

    @property
    def wants_more(self) -> bool:
        """Whether a reader thread would have nothing to do once it is through with what it has."""
        most: int = self._pool.workers_count * (1 + READ_AHEAD)
        return self._pool.due < most

    def request(self, request: Request) -> None:
        """Ask for one row group."""
        self._pool.submit(request)

    def _create_ventilator(self, *_arguments: Any) -> Idle:
        return Idle(self._pool.ventilate)
