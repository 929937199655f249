"""Lists of different lengths as one matrix, and the ages of their elements as another."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

# The value behind a sequence's end; nobody looks at it.
PADDING = 0


def padded(lists: pa.Array, longest: int) -> npt.NDArray[np.int32]:
    """Pad lists of whole numbers to `[rows, 1 + longest]`: each row's length, its numbers, and padding.

    Raises:
        ValueError: the column has other values than lists of numbers that fit into 32 bits, a null, or a list of more
            than `longest` elements; the message says which, as the end of a sentence about the column.
    """
    elements = lists.flatten() if pa.types.is_list(lists.type) or pa.types.is_large_list(lists.type) else lists
    if elements is lists or not (pa.types.is_integer(elements.type) or pa.types.is_null(elements.type)):
        raise ValueError(f"is {lists.type}, where lists of indices are needed")
    if lists.null_count or elements.null_count:
        raise ValueError("has nulls; a row without elements is an empty list")
    lengths = pc.list_value_length(lists).to_numpy(zero_copy_only=False)
    if len(lengths) and lengths.max() > longest:
        raise ValueError(f"has a list of {lengths.max()} elements, where at most {longest} fit")
    try:
        numbers = elements.cast(pa.int32()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        raise ValueError("has an index that does not fit into 32 bits") from None
    made = np.full((len(lists), 1 + longest), PADDING, dtype=np.int32)
    made[:, 0] = lengths
    # In the order of the mask's true cells, which is that of the lists' elements.
    made[:, 1:][np.arange(longest) < lengths[:, np.newaxis]] = numbers
    return made


def padded_ages(lists: pa.Array, longest: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]:
    """Pad lists of ages to `[rows, longest]`; return with them each row's length.

    Raises:
        ValueError: the column has other values than lists of numbers from 0 on, a null, or a list of more than
            `longest`; the message says which, as the end of a sentence about the column.
    """
    ages = lists.flatten() if pa.types.is_list(lists.type) or pa.types.is_large_list(lists.type) else lists
    if ages is lists or not (pa.types.is_floating(ages.type) or pa.types.is_null(ages.type)):
        raise ValueError(f"is {lists.type}, where lists of ages are needed")
    if lists.null_count or ages.null_count:
        raise ValueError("has nulls; a row without elements is an empty list")
    lengths = pc.list_value_length(lists).to_numpy(zero_copy_only=False).astype(np.int32)
    if len(lengths) and lengths.max() > longest:
        raise ValueError(f"has a list of {lengths.max()} elements, where at most {longest} fit")
    numbers = ages.cast(pa.float32()).to_numpy(zero_copy_only=False)
    if len(numbers) and not (np.isfinite(numbers).all() and numbers.min() >= 0):
        raise ValueError("has an age that is no number from 0 on")
    made = np.full((len(lists), longest), PADDING, dtype=np.float32)
    made[np.arange(longest) < lengths[:, np.newaxis]] = numbers
    return made, lengths


def require_an_age_each(ages: npt.NDArray[np.int32], elements: npt.NDArray[np.int32]) -> None:
    """Raise `ValueError` unless each row has as many `ages` as `elements`, `[rows]` both."""
    other = np.flatnonzero(ages != elements)
    if len(other):
        raise ValueError(f"has {elements[other[0]]} elements in a row with {ages[other[0]]} ages")
