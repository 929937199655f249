"""The bootstrap over user buckets covers, pairs, and says when it cannot tell."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest

from camoe.metrics.calibration import normalised_entropy
from camoe.metrics.config import EvaluationConfig
from camoe.metrics.histogram import Histogram
from camoe.metrics.intervals import bucket_weights, interval, paired_difference, resamples
from camoe.metrics.ranking import average_precision
from camoe.metrics.table import StateKey, metric_row

BUCKETS = 50


def simulated(seed: int, rows: int = 4_000):
    rng = np.random.default_rng(seed)
    p = 1 / (1 + np.exp(-rng.normal(-2, 1, rows)))
    return p, (rng.random(rows) < p).astype(float), rng.integers(0, BUCKETS, rows)


def test_the_interval_of_the_click_rate_covers_the_true_rate_about_95_times_in_100():
    weights = bucket_weights(BUCKETS, 200, 1)
    truth = np.mean(simulated(999, 400_000)[0])
    covered = 0
    for seed in range(100):
        p, y, bucket = simulated(seed)
        state = Histogram.from_rows(p, y, bucket, BUCKETS)
        found = interval(resamples(state, lambda bins: bins.positives.sum(-1) / bins.count.sum(-1), weights))
        covered += found.low <= truth <= found.high
    assert 87 <= covered <= 99


def test_a_paired_difference_is_sharper_than_its_parts():
    p, y, bucket = simulated(1)
    weights = bucket_weights(BUCKETS, 200, 1)
    good = Histogram.from_rows(p, y, bucket, BUCKETS)
    worse = Histogram.from_rows(0.8 * p, y, bucket, BUCKETS)
    alone = interval(resamples(good, normalised_entropy, weights))
    paired = paired_difference(good, worse, normalised_entropy, weights)
    assert paired.value < 0
    assert paired.interval.high < 0
    assert paired.interval.high - paired.interval.low < (alone.high - alone.low) / 2
    same = paired_difference(good, good, average_precision, weights)
    assert (same.value, same.interval.low, same.interval.high) == (0, 0, 0)


def test_weights_keep_the_number_of_buckets_and_repeat_with_their_seed():
    weights = bucket_weights(BUCKETS, 30, 4)
    assert (weights.sum(axis=1) == BUCKETS).all()
    np.testing.assert_array_equal(weights, bucket_weights(BUCKETS, 30, 4))
    assert (weights != bucket_weights(BUCKETS, 30, 5)).any()


def test_too_few_clicks_give_no_interval():
    p, _, bucket = simulated(2, 50)
    one = Histogram.from_rows(p, np.arange(50) == 7, bucket, BUCKETS)
    assert interval(resamples(one, average_precision, bucket_weights(BUCKETS, 200, 1))) is None
    assert np.isfinite(average_precision(one.bins()))


@pytest.mark.parametrize("labels", [[], [0.0, 0.0, 0.0], [1.0, 1.0], [float("nan")]])
def test_rows_of_degenerate_groups_are_plain_json(labels):
    state = Histogram.from_rows(np.full(len(labels), 0.25), np.array(labels), None, 4)
    row = metric_row(StateKey("click", "slot", "s", "model"), state, EvaluationConfig(user_buckets=4, bootstrap=10))
    text = json.dumps(asdict(row), allow_nan=False)
    assert json.loads(text)["ne"] is None
