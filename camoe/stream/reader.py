"""A Petastorm reader that reads given row groups in a given order, each packed and shuffled in its worker thread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from petastorm.arrow_reader_worker import ArrowReaderWorker
from petastorm.fs_utils import get_filesystem_and_path_or_paths
from petastorm.reader import Reader
from petastorm.workers_pool import EmptyResultError
from petastorm.workers_pool.ventilator import ConcurrentVentilator

from camoe.contracts.errors import StreamError
from camoe.stream.columns import Block, Columns, pack
from camoe.stream.plan import shuffled
from camoe.stream.pool import SafeThreadPool

# Read-ahead: row groups a reader thread may hold besides the one in hand.
READ_AHEAD = 1


@dataclass(frozen=True)
class Request:
    """Positions `[start, stop)` of the order drawn from `order_key` over row group `group` of the file at `path`.

    The row group must have `rows` rows. The order is drawn in the reader thread, so a request stays small.
    """

    path: str
    group: int
    rows: int
    order_key: tuple[int, ...]
    start: int
    stop: int


class PackedResults:
    """Hands a worker's blocks on as they are."""

    batched_output = True

    def read_next(self, pool: SafeThreadPool, _schema: object, _ngram: object) -> Block:
        """The next block in the order of the requests. Raises StopIteration after the last one."""
        try:
            block: Block = pool.get_results()
        except EmptyResultError:
            raise StopIteration from None
        return block


class PackingWorker(ArrowReaderWorker):  # type: ignore[misc]  # petastorm ships no types
    """Reads one row group a request and publishes it as a `Block`."""

    @staticmethod
    def new_results_queue_reader() -> PackedResults:
        """What unpacks this worker's results."""
        return PackedResults()

    def process(self, request: Request, columns: Columns) -> None:
        """Publish the requested rows.

        Raises:
            StreamError: the row group cannot be read, or does not have the rows that the plan counted.
        """
        try:
            with self._filesystem.open(request.path, "rb") as source:
                table = pq.ParquetFile(source).read_row_group(request.group, columns=list(columns.names))
        except (OSError, pa.ArrowException) as error:
            raise StreamError(f"{request.path}, row group {request.group} cannot be read: {error}") from error
        if table.num_rows != request.rows:
            raise StreamError(
                f"{request.path}, row group {request.group}: {table.num_rows} rows where the plan has {request.rows}; "
                "the file changed after the table version was pinned"
            )
        order = shuffled(request.rows, request.order_key)[request.start : request.stop]
        self.publish_func(pack(table, columns, order))


class PlannedReader(Reader):  # type: ignore[misc]  # petastorm ships no types
    """Petastorm's reader with its own order of row groups replaced by the requests' order."""

    def __init__(self, requests: Sequence[Request], columns: Columns, threads: int) -> None:
        self._items = [{"request": request, "columns": columns} for request in requests]
        paths = sorted({request.path for request in requests})
        filesystem, locations = get_filesystem_and_path_or_paths([f"file://{path}" for path in paths])
        super().__init__(
            filesystem,
            locations,
            schema_fields=list(columns.names),
            worker_class=PackingWorker,
            reader_pool=SafeThreadPool(threads),
            is_batched_reader=True,
        )

    def _create_ventilator(self, *_arguments: Any) -> ConcurrentVentilator:
        ahead = self._workers_pool.workers_count * (1 + READ_AHEAD)
        return ConcurrentVentilator(self._workers_pool.ventilate, self._items, max_ventilation_queue_size=ahead)
