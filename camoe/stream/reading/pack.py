"""A row group's columns as records of words, in the order of their delivery."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from camoe.contracts.errors import StreamError
from camoe.contracts.sequences import SequenceColumn
from camoe.stream.reading.columns import SLOT_ID, UNKNOWN_LABEL, WORD, Columns, Words
from camoe.stream.reading.group import RowGroup
from camoe.stream.reading.padding import padded, padded_ages, require_an_age_each

# Rows that are turned into records at once: what is written stays in the processor's cache until its lines are full.
TILE = 2048
NAN = pa.scalar(float("nan"), pa.float32())

ScalarT = TypeVar("ScalarT", bound=np.generic)


class Rows(Protocol):
    """Columns by name, such as a `pa.Table`."""

    @property
    def num_rows(self) -> int:
        """Rows of each column."""

    def column(self, name: str) -> pa.ChunkedArray:
        """Return the column of that name."""


def pack(
    rows: Rows, columns: Columns, order: npt.NDArray[np.int64], *, staged: Words, turned: Words, out: Words
) -> RowGroup:
    """Write the rows `order` of `rows` into `out` `[rows, words]`; columns are asked for in turn, each once.

    They go side by side into `staged` `[words, rows]`, each while the processor's cache holds it, from there row by row
    into `turned` `[rows, words]`, and in order into `out`, which may lie in the memory of `staged`.

    Raises:
        StreamError: a column has a type that does not fit, or nulls where none are allowed.
    """
    # Not through numpy, which lets go of the interpreter for each of these short copies and waits to get it back.
    for part, words in zip(_words(rows, columns), staged, strict=True):
        words.data[:] = np.ascontiguousarray(part).data
    for first in range(0, len(turned), TILE):
        tile = slice(first, first + TILE)
        turned[tile] = staged[:, tile].T
    turned.take(order, axis=0, out=out, mode="clip")
    return RowGroup(out, tuple(rows.column(name).to_numpy()[order] for name in columns.keys))


def _words(rows: Rows, columns: Columns) -> Iterator[Words]:
    for name in columns.categorical:
        yield _integers(rows, name)
    for name in columns.numeric:
        yield _floats(rows, name).view(np.int32)
    aged = {}
    for name, longest in columns.ages.items():
        ages, aged[name] = _ages(rows, name, longest)
        yield from ages.view(np.int32).T
    for name in columns.targets:
        yield _floats(rows, name).view(np.int32)
    yield _integers(rows, SLOT_ID)
    yield from _labels(rows, columns.labels).T
    for column in columns.sequences:
        yield from _lists(rows, column, None if column.ages is None else aged[column.ages]).T


def _labels(rows: Rows, names: tuple[str, ...]) -> Words:
    packed = np.zeros((rows.num_rows, WORD * -(-len(names) // WORD)), dtype=np.int8)
    for index, name in enumerate(names):
        column = _chunk(rows, name)
        known = column.fill_null(UNKNOWN_LABEL) if column.null_count else column
        packed[:, index] = _values(name, known, packed.dtype)
    return packed.view(np.int32)


def _integers(rows: Rows, name: str) -> Words:
    column = _chunk(rows, name)
    if column.null_count:
        raise StreamError(f"column {name} has {column.null_count} nulls, where each row must have an index")
    return _values(name, column, np.dtype(np.int32))


def _floats(rows: Rows, name: str) -> npt.NDArray[np.float32]:
    column = _chunk(rows, name)
    # Arrow fills in what is missing in half the time that its conversion to numpy takes for it.
    known = column.fill_null(NAN) if column.null_count and column.type == NAN.type else column
    return _values(name, known, np.dtype(np.float32))


def _lists(rows: Rows, column: SequenceColumn, aged: npt.NDArray[np.int32] | None) -> Words:
    try:
        found = padded(_chunk(rows, column.name), column.length)
        if aged is not None:
            require_an_age_each(aged, found[:, 0])
        return found
    except ValueError as error:
        raise StreamError(f"column {column.name} {error}; build the features again") from None


def _ages(rows: Rows, name: str, longest: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]:
    try:
        return padded_ages(_chunk(rows, name), longest)
    except ValueError as error:
        raise StreamError(f"column {name} {error}; build the features again") from None


def _chunk(rows: Rows, name: str) -> pa.Array:
    column = rows.column(name)
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _values(name: str, column: pa.Array, dtype: np.dtype[ScalarT]) -> npt.NDArray[ScalarT]:
    """Return the column's values `[rows]`, as they lie in memory if of that type; NaN for nulls of other floats."""
    if len(column) and not column.null_count and column.type == pa.from_numpy_dtype(dtype):
        _, memory = column.buffers()
        return np.frombuffer(memory, dtype, len(column), column.offset * dtype.itemsize)
    values = column.to_numpy(zero_copy_only=False)
    if not np.can_cast(values.dtype, dtype, casting="safe"):
        raise StreamError(f"column {name} is {values.dtype}, which does not fit into {dtype}; build the features again")
    return np.asarray(values, dtype)
