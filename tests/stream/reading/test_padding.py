"""Lists of different lengths as one matrix, against a loop over the rows."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camoe.stream.reading.padding import padded

LONGEST = 4
lists = st.lists(st.lists(st.integers(-(2**31), 2**31 - 1), max_size=LONGEST), max_size=9)


@given(lists, st.integers(0, 3), st.sampled_from([pa.list_(pa.int32()), pa.large_list(pa.int64())]))
def test_a_row_is_its_length_and_its_numbers(rows, first, kind):
    found = padded(pa.array(rows, kind).slice(first), LONGEST)
    assert found.dtype == np.int32
    assert found.shape == (max(len(rows) - first, 0), 1 + LONGEST)
    for row, numbers in zip(found.tolist(), rows[first:], strict=True):
        assert row == [len(numbers), *numbers, *[0] * (LONGEST - len(numbers))]


def test_lists_without_any_element_need_no_type():
    assert padded(pa.array([[], []]), 2).tolist() == [[0, 0, 0], [0, 0, 0]]


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pa.array([1, 2]), "is int64, where lists of indices are needed"),
        (pa.array([["jazz"]]), "is list<item: string>, where lists of indices"),
        (pa.array([[1.0]]), "is list<item: double>, where lists of indices"),
        (pa.array([[1], None]), "has nulls; a row without elements is an empty list"),
        (pa.array([[1, None]]), "has nulls"),
        (pa.array([[1], [1, 2, 3]]), "has a list of 3 elements, where at most 2 fit"),
        (pa.array([[2**31]]), "has an index that does not fit into 32 bits"),
    ],
)
def test_what_is_no_sequence_is_refused(column, message):
    with pytest.raises(ValueError, match=message):
        padded(column, 2)
