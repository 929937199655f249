"""Packs a row group's columns into records."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from camoe.contracts.errors import StreamError
from camoe.contracts.features import SequenceColumn
from camoe.stream.columns import SLOT_ID, UNKNOWN_LABEL, WORD, Block, Columns, Words
from camoe.stream.padding import padded

# Rows laid side by side at once: what is written stays in the processor's cache until its lines are full.
TILE = 2048

ScalarT = TypeVar("ScalarT", bound=np.generic)


def pack(table: pa.Table, columns: Columns, out: Words) -> Block:
    """The rows of `table` as a block, in their order, written into `out`, which has as many rows.

    Raises:
        StreamError: a column has a type that does not fit, or nulls where none are allowed.
    """
    parts = [
        *(_integers(table, name) for name in columns.categorical),
        *(_floats(table, name).view(np.int32) for name in columns.numeric),
        _integers(table, SLOT_ID),
    ]
    sequences = (_lists(table, column) for column in columns.sequences)
    wide = [*(part[:, np.newaxis] for part in parts), _labels(table, columns.labels), *sequences]
    for first in range(0, table.num_rows, TILE):
        tile = slice(first, first + TILE)
        np.concatenate([part[tile] for part in wide], axis=1, out=out[tile])
    return Block(columns, out, tuple(table[name].to_numpy() for name in columns.keys))


def _labels(table: pa.Table, names: tuple[str, ...]) -> Words:
    padded = np.zeros((table.num_rows, WORD * -(-len(names) // WORD)), dtype=np.int8)
    for index, name in enumerate(names):
        column = _chunk(table, name)
        known = column.fill_null(UNKNOWN_LABEL) if column.null_count else column
        padded[:, index] = _checked(name, known.to_numpy(), padded.dtype)
    return padded.view(np.int32)


def _integers(table: pa.Table, name: str) -> Words:
    column = _chunk(table, name)
    if column.null_count:
        raise StreamError(f"column {name} has {column.null_count} nulls, where each row must have an index")
    return _checked(name, column.to_numpy(), np.dtype(np.int32))


def _floats(table: pa.Table, name: str) -> npt.NDArray[np.float32]:
    column = _chunk(table, name)
    return _checked(name, column.to_numpy(zero_copy_only=not column.null_count), np.dtype(np.float32))


def _lists(table: pa.Table, column: SequenceColumn) -> Words:
    try:
        return padded(_chunk(table, column.name), column.length)
    except ValueError as error:
        raise StreamError(f"column {column.name} {error}; build the features again") from None


def _chunk(table: pa.Table, name: str) -> pa.Array:
    column = table.column(name)
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _checked(name: str, values: npt.NDArray[np.generic], dtype: np.dtype[ScalarT]) -> npt.NDArray[ScalarT]:
    if not np.can_cast(values.dtype, dtype, casting="safe"):
        raise StreamError(f"column {name} is {values.dtype}, which does not fit into {dtype}; build the features again")
    return np.ascontiguousarray(values, dtype=dtype)
