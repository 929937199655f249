"""A Petastorm reader that reads the row groups it is asked for, each packed and shuffled in its worker thread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from petastorm.arrow_reader_worker import ArrowReaderWorker
from petastorm.fs_utils import get_filesystem_and_path_or_paths
from petastorm.reader import Reader
from petastorm.workers_pool.ventilator import Ventilator

from camoe.contracts.errors import StreamError
from camoe.stream.columns import Block, Columns, Words
from camoe.stream.lanes import shuffled
from camoe.stream.pack import pack
from camoe.stream.pool import OrderedPool

# Read-ahead: row groups a reader thread may hold besides the one in hand.
READ_AHEAD = 1


@dataclass(frozen=True)
class Request:
    """`columns` of row group `group` of the file at `path`, which must have `rows` rows, in an order of its own.

    The order is drawn from `order_key` in the reader thread, so a request stays small. The rows are laid out in
    `scratch` and go into `records`, both of `rows` rows, which belong to the request until its block has come.
    """

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
        with pq.ParquetFile(request.path) as source:
            table = source.read_row_group(request.group, columns=list(columns.names), use_threads=False)
    except (OSError, pa.ArrowException) as error:
        raise StreamError(f"{request} cannot be read: {error}; rebuild its day") from error
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

    def __init__(self, example: str, columns: Columns, pool: OrderedPool) -> None:
        self._pool = pool
        filesystem, locations = get_filesystem_and_path_or_paths([f"file://{example}"])
        try:
            super().__init__(
                filesystem,
                locations,
                schema_fields=list(columns.names),
                worker_class=PackingWorker,
                reader_pool=pool,
                is_batched_reader=True,
            )
        except (OSError, pa.ArrowException) as error:
            raise StreamError(f"{example} cannot be read: {error}; rebuild its day") from error

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
