"""The additive state: splits merge back, unknown labels are counted only, and extremes are safe."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from camoe.metrics.histogram import Histogram, MetricError, merge

BUCKETS = 5
probabilities = st.one_of(st.floats(0, 1), st.sampled_from([0.0, 1.0, 1e-12, 1e-300, 0.5, 1 - 1e-16]))
rows = st.tuples(probabilities, st.sampled_from([0.0, 1.0, float("nan")]), st.integers(0, BUCKETS - 1))


def state_of(items) -> Histogram:
    columns = np.array(items, dtype=float).reshape(-1, 3)
    return Histogram.from_rows(columns[:, 0], columns[:, 1], columns[:, 2].astype(int), BUCKETS)


def assert_same(left: Histogram, right: Histogram) -> None:
    for name in ("bucket", "bin", "count", "positives"):
        np.testing.assert_array_equal(getattr(left, name), getattr(right, name))
    np.testing.assert_allclose(left.p_sum, right.p_sum, rtol=1e-9)
    np.testing.assert_allclose(left.log_loss, right.log_loss, rtol=1e-9)
    assert (left.buckets, left.unknown) == (right.buckets, right.unknown)


@settings(deadline=None)
@given(st.lists(st.tuples(rows, st.integers(0, 3)), max_size=60))
def test_any_split_of_the_rows_merges_to_the_state_of_all(items):
    parts = [state_of([row for row, part in items if part == number]) for number in range(4)]
    assert_same(merge(parts, BUCKETS), state_of([row for row, _ in items]))
    assert_same(parts[0] + parts[1] + parts[2] + parts[3], merge(reversed(parts), BUCKETS))


@settings(deadline=None)
@given(st.lists(rows, max_size=60))
def test_sums_are_those_of_the_labelled_rows(items):
    state = state_of(items)
    known = [(p, y) for p, y, _ in items if y == y]
    assert state.rows == len(known)
    assert state.unknown == len(items) - len(known)
    assert state.clicks == sum(y for _, y in known)
    assert state.p_sum.sum() == pytest.approx(sum(p for p, _ in known))
    clipped = [(min(max(p, 1e-12), 1 - 1e-12), y) for p, y in known]
    loss = -sum(np.log(p) if y else np.log1p(-p) for p, y in clipped)
    assert state.log_loss.sum() == pytest.approx(loss, rel=1e-9)


@settings(deadline=None)
@given(st.lists(rows, min_size=1, max_size=60), st.lists(st.integers(0, 4), min_size=BUCKETS, max_size=BUCKETS))
def test_weights_repeat_whole_buckets(items, weights):
    repeated = [row for row in items for _ in range(weights[row[2]])]
    left, right = state_of(items).weighted([weights]), state_of(repeated).bins()
    for name in ("count", "positives", "p_sum", "log_loss"):
        assert getattr(left, name).sum() == pytest.approx(getattr(right, name).sum(), rel=1e-9)
    held = left.count[0] > 0
    np.testing.assert_array_equal(left.count[0][held], right.count)
    np.testing.assert_array_equal(left.positives[0][held], right.positives)


def test_the_sums_of_many_buckets_take_the_room_of_their_entries():
    """A head's state in training has a bucket a slot and bucket of users: 1,000 slots of 100, and bins by thousands."""
    rng = np.random.default_rng(1)
    buckets, rows = 100_000, 200_000
    state = Histogram.from_rows(rng.random(rows), rng.random(rows) < 0.1, rng.integers(0, buckets, rows), buckets)
    tracemalloc.start()
    bins = state.bins()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert bins.count.sum() == rows
    assert peak < 50e6  # a table of all buckets and bins would take 3 GB


def test_bins_run_from_the_highest_prediction_down():
    bins = Histogram.from_rows([0.1, 0.9, 0.5, 0.9], [0, 1, 0, 1]).bins()
    np.testing.assert_array_equal(bins.count, [2, 1, 1])
    np.testing.assert_array_equal(bins.positives, [2, 0, 0])


@pytest.mark.parametrize(
    ("p", "y", "bucket", "message"),
    [
        ([float("nan")], [1], [0], "probabilities"),
        ([1.1], [1], [0], "probabilities"),
        ([-1e-9], [1], [0], "probabilities"),
        ([0.5], [2], [0], "labels"),
        ([0.5], [1], [BUCKETS], "buckets"),
        ([0.5, 0.5], [1], [0], "shape"),
    ],
)
def test_rows_that_mean_nothing_are_refused(p, y, bucket, message):
    with pytest.raises(MetricError, match=message):
        Histogram.from_rows(p, y, bucket, BUCKETS)


def test_states_of_other_buckets_do_not_merge():
    with pytest.raises(MetricError, match="5 user buckets"):
        merge([Histogram.empty(BUCKETS)], 3)
