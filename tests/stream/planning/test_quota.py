"""Counts in closed form: exact sums, never falling, within their stated bound of the exact share."""

from __future__ import annotations

from itertools import accumulate, pairwise

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from camoe.stream.planning.quota import Quota, make_quota

parts = st.lists(st.integers(1, 60) | st.integers(1, 10**9), min_size=1, max_size=12)


def at(quota: Quota, moment: int) -> list[int]:
    """The counts of one moment, which are those of that moment among others."""
    alone = quota(np.array(moment)).tolist()
    assert quota(np.array([0, moment]))[:, 1].tolist() == alone
    return alone


@settings(max_examples=300, deadline=None)
@given(parts, st.data())
def test_counts_add_up_never_fall_and_keep_within_their_bound(rows, data):
    quota = make_quota(rows)
    total = sum(rows)
    moments = sorted([*data.draw(st.lists(st.integers(0, total), max_size=30)), 0, total])
    before = [0] * len(rows)
    for moment in moments:
        counts = at(quota, moment)
        assert sum(counts) == moment
        assert all(old <= new for old, new in zip(before, counts, strict=True))
        assert all(
            abs(count - size * moment / total) <= quota.bound() + 1e-6 for count, size in zip(counts, rows, strict=True)
        )
        before = counts
    assert before == rows


@settings(max_examples=300, deadline=None)
@given(parts, st.data())
def test_moments_a_stride_apart_keep_within_one_row(rows, data):
    total = sum(rows)
    stride = data.draw(st.integers(-(-total // min(rows)), 2 * total))
    quota = make_quota(rows, stride)
    assert quota.bound() <= 1
    steps = data.draw(st.lists(st.integers(stride, 2 * stride), max_size=30))
    moments = [moment for moment in accumulate([0, *steps]) if moment <= total] + [total]
    for before, after in pairwise(moments):
        then, now = at(quota, before), at(quota, after)
        assert sum(now) == after
        assert all(old <= new for old, new in zip(then, now, strict=True))
        assert all(abs(count - size * after / total) < 1 + 1e-6 for count, size in zip(now, rows, strict=True))
    assert at(quota, total) == rows


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=7))
def test_each_row_belongs_to_one_part(rows):
    quota = make_quota(rows)
    for first in range(sum(rows)):
        now, then = at(quota, first), at(quota, first + 1)
        assert sorted(b - a for a, b in zip(now, then, strict=True)) == [0] * (len(rows) - 1) + [1]


@settings(max_examples=300, deadline=None)
@given(parts)
@example([2**power for power in range(30)])
@example([1, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233])
def test_the_bound_is_below_two_rows_whatever_the_parts(rows):
    assert make_quota(rows).bound() < 1.7


def test_seven_even_slots_keep_within_one_row():
    assert make_quota([100] * 7).bound() < 1


def test_billions_of_rows_lose_no_precision():
    rows = [3 * 10**12 + 1, 10**12, 7]
    assert at(make_quota(rows), sum(rows)) == rows
