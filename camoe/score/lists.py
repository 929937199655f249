"""The elements of a sequence's raw values that the features' build keeps, without Spark."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from camoe.contracts.sequences import SequenceFeature
from camoe.score.graph_inputs import ScoringError, as_text


@dataclass(frozen=True)
class Elements:
    """The kept elements of all rows, row after row, and by row how many they are.

    Of all elements that the rows have, by row `lengths`, those are kept whose entry in `chosen` is true.
    """

    values: pa.Array
    counts: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int64]
    chosen: npt.NDArray[np.bool_]

    def lists(self, indices: pa.ChunkedArray) -> pa.ChunkedArray:
        """Return one list a row, of the `indices` of its elements."""
        ends = pa.array(np.concatenate([[0], np.cumsum(self.counts)]), pa.int32())
        return pa.chunked_array([pa.ListArray.from_arrays(ends, indices.combine_chunks())])

    def ages(self, table: pa.Table, name: str) -> pa.ChunkedArray:
        """Return one list a row, log1p of the seconds in column `name`, which has one for each of all elements.

        Raises:
            ScoringError: it has other values than lists of seconds from 0 on, or other numbers of them.
        """
        column = table[name].combine_chunks()
        if not (pa.types.is_list(column.type) or pa.types.is_large_list(column.type)):
            raise ScoringError(f"column {name} is {column.type}, where lists of seconds are needed")
        found = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
        if not np.array_equal(found, self.lengths):
            raise ScoringError(f"column {name} has other lengths than the sequence; give one age an element")
        try:
            seconds = column.flatten().cast(pa.float64()).to_numpy(zero_copy_only=False)[self.chosen]
        except pa.ArrowInvalid:
            raise ScoringError(f"column {name} is {column.type}, where lists of seconds are needed") from None
        if not (np.isfinite(seconds).all() and (seconds >= 0).all()):
            raise ScoringError(f"column {name} has an age that is no number of seconds from 0 on")
        return self.lists(pa.chunked_array([pa.array(np.log1p(seconds).astype(np.float32))]))


def elements_of(table: pa.Table, feature: SequenceFeature) -> Elements:
    """Return the elements of column `feature.name`, no nulls or empty pieces of a cut, up to the longest sequence.

    Raises:
        ScoringError: the column has neither lists nor, with a separator, text.
    """
    lists = _lists(table, feature)
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    values = lists.flatten()
    real = values.is_valid() if feature.separator is None else pc.fill_null(pc.not_equal(values, ""), False)
    row = np.repeat(np.arange(len(lists)), lengths)[real.to_numpy(zero_copy_only=False)]
    counts = np.bincount(row, minlength=len(lists))
    place = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
    passed = np.repeat(np.maximum(counts - feature.max_length, 0), counts) if feature.keep == "last" else 0
    kept = (place >= passed) & (place < passed + feature.max_length)
    chosen = real.to_numpy(zero_copy_only=False)
    chosen[np.flatnonzero(chosen)] = kept
    return Elements(values.filter(pa.array(chosen)), np.minimum(counts, feature.max_length), lengths, chosen)


def _lists(table: pa.Table, feature: SequenceFeature) -> pa.Array:
    if feature.separator is not None:
        return pc.split_pattern(as_text(table, feature.name).combine_chunks(), feature.separator)
    column = table[feature.name]
    if not (pa.types.is_list(column.type) or pa.types.is_large_list(column.type)):
        raise ScoringError(f"column {feature.name} is {column.type}, where lists are needed")
    return column.combine_chunks()
