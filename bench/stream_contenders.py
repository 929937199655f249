"""Ways from the same parquet files to tensors that a model can take, each a generator of batches.

All end with `Tensors`: categorical int32, numeric float32, labels int64, slot int64, of `BATCH` rows, on the CPU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.dataset as ds
import torch

from bench.stream_table import COLUMNS
from camoe.contracts.snapshot import Snapshot
from camoe.stream.api import Block, Ledger, ReadOptions, World, make_plan, require_complete, stream
from camoe.stream.reading.buffers import Buffers
from camoe.stream.reading.columns import SLOT_ID, UNKNOWN_LABEL, Words
from camoe.stream.reading.pack import pack
from camoe.train.loop.tensors import Tensors, to_tensors

BATCH = 4096
LANES = 4
CPU = torch.device("cpu")
NO_SEQUENCES = torch.empty((BATCH, 0), dtype=torch.int32)
NO_TARGETS = torch.empty(0)

Array = npt.NDArray[np.generic]
Contender = Callable[[Snapshot], Iterator[Tensors]]


def camoe(snapshot: Snapshot, buffers: Buffers) -> Iterator[Tensors]:
    """Yield from this stream: shuffled, all slots in a batch, counted and checked; in the memory of the pass before."""
    plan = make_plan(snapshot, seed=1, epoch=0, batch_size=BATCH, lanes=LANES)
    ledger = Ledger()
    for block in stream(plan, COLUMNS, World(0, 1), ReadOptions(2, buffers=buffers), ledger=ledger):
        yield to_tensors(block, CPU, torch.float32)
    require_complete(plan, ledger.as_array(plan))


def pyarrow_dataset(snapshot: Snapshot) -> Iterator[Tensors]:
    """Yield from pyarrow's threaded scanner, in file order: a matrix a type for 65 536 rows, cut into batches."""
    dataset = ds.dataset([file.path for file in snapshot.files], format="parquet")
    for rows in dataset.to_batches(columns=list(COLUMNS.names), batch_size=65_536):
        labels = {name: rows[name].fill_null(UNKNOWN_LABEL) for name in COLUMNS.labels}
        categorical = np.stack([rows[name].to_numpy() for name in COLUMNS.categorical], axis=1)
        numeric = np.stack([rows[name].to_numpy(zero_copy_only=False) for name in COLUMNS.numeric], axis=1)
        label = np.stack([column.to_numpy() for column in labels.values()], axis=1)
        slot = rows[SLOT_ID].to_numpy()
        for first in range(0, rows.num_rows, BATCH):
            part = slice(first, first + BATCH)
            yield _tensors(categorical[part], numeric[part], label[part], slot[part])


def memory_map(snapshot: Snapshot) -> Iterator[Tensors]:
    """Yield the packed rows of one memory-mapped numpy file, drawn in a full shuffle."""
    records = np.load(memory_mapped(snapshot), mmap_mode="r")
    order = np.random.default_rng(1).permutation(len(records))
    for first in range(0, len(order), BATCH):
        rows = records[order[first : first + BATCH]]
        yield to_tensors(Block(COLUMNS, rows), CPU, torch.float32)


def memory_mapped(snapshot: Snapshot) -> Path:
    """Return the file of packed rows beside the table, written once."""
    path = Path(f"{snapshot.table}.npy")
    if not path.exists():
        tables = [ds.dataset(file.path).to_table(columns=list(COLUMNS.names)) for file in snapshot.files]
        np.save(path, np.concatenate([_records(table) for table in tables]))
    return path


def _records(table: pa.Table) -> Words:
    rows, words = table.num_rows, COLUMNS.words
    staged, turned, out = (np.empty(shape, np.int32) for shape in ((words, rows), (rows, words), (rows, words)))
    return pack(table, COLUMNS, np.arange(rows), staged=staged, turned=turned, out=out).records


def _tensors(categorical: Array, numeric: Array, labels: Array, slot: Array) -> Tensors:
    return Tensors(
        categorical=torch.from_numpy(categorical),
        numeric=torch.from_numpy(numeric),
        labels=torch.from_numpy(labels).to(torch.int64),
        slot=torch.from_numpy(slot).to(torch.int64),
        sequences=NO_SEQUENCES,
        targets=NO_TARGETS,
    )
