"""The measure of shuffling: known values on known series, and what the plan reaches."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from bench.stream_quality import autocorrelation, counts_by, fully_shuffled
from camoe.stream.planning.plan import make_plan
from tests.stream.plans import snapshot_of


def test_batches_of_one_value_each_correlate_fully_within():
    found = autocorrelation(np.array([[10, 0], [0, 10]] * 50), [1, 2])
    assert found.within == pytest.approx(1)
    assert found.between == pytest.approx((-1, 1), abs=0.01)


def test_evenly_spread_values_correlate_hardly_at_all():
    found = autocorrelation(np.full((100, 4), 25), [1, 10])
    assert abs(found.within) < 0.02
    assert found.between == pytest.approx((0, 0), abs=1e-3)


def test_it_agrees_with_pairs_counted_one_by_one():
    random = np.random.default_rng(3)
    batches = [random.integers(0, 3, 6) for _ in range(40)]
    counts = np.array([np.bincount(batch, minlength=3) for batch in batches])
    everything = np.concatenate(batches)
    agree = np.mean([a == b for i, a in enumerate(everything) for j, b in enumerate(everything) if i != j])
    inside = np.mean([a == b for batch in batches for i, a in enumerate(batch) for j, b in enumerate(batch) if i != j])
    beside = np.mean([a == b for one, two in pairwise(batches) for a in one for b in two])
    found = autocorrelation(counts, [1])
    assert found.within == pytest.approx((inside - agree) / (1 - agree))
    assert found.between[0] == pytest.approx((beside - agree) / (1 - agree))


def test_one_value_only_has_no_correlation():
    assert np.isnan(autocorrelation(np.full((5, 1), 7), [1]).within)


def test_a_full_shuffle_keeps_the_rows_and_does_not_correlate():
    counts = np.array([[100, 0], [0, 100]] * 50)
    shuffled = fully_shuffled(counts, 1)
    assert np.array_equal(shuffled.sum(axis=0), counts.sum(axis=0))
    assert np.array_equal(shuffled.sum(axis=1), counts.sum(axis=1))
    assert abs(autocorrelation(shuffled, [1]).within) < 0.01


def test_the_plan_mixes_slots_as_well_as_a_full_shuffle_and_days_better_with_more_lanes():
    snapshot = snapshot_of([(slot, day, [500] * 4) for slot in range(3) for day in range(8)])
    slots = [int(file.slot[1:]) for file in snapshot.files]
    days = [file.day.day for file in snapshot.files]
    lags, by_day = [1, 10, 100], {}
    for lanes in (1, 8):
        plan = make_plan(snapshot, seed=1, epoch=0, batch_size=120, lanes=lanes)
        counts = counts_by(plan, slots)
        found, full = autocorrelation(counts, lags), autocorrelation(fully_shuffled(counts, 1), lags)
        assert abs(found.within) < 0.01
        assert max(map(abs, found.between)) < max(map(abs, full.between)) < 0.001
        by_day[lanes] = autocorrelation(counts_by(plan, days), lags)
    assert 0 < by_day[8].within < by_day[1].within / 4
    assert 0 < by_day[8].between[0] < by_day[1].between[0] / 4
    # A row group of a lane lasts for 100 batches of 8 lanes, so by then each lane has another one.
    assert abs(by_day[8].between[2]) < by_day[8].between[0] / 2
